"""One model, fitted by two candidates: what changed from one to the other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pp_compare.model import Fit
from pp_compare.releases.noise import FACTOR, Noise, distance, warnings_of
from pp_compare.report.digest import kind_of, wrong_optimum
from pp_compare.report.record import CaseReport
from pp_compare.report.release.record import Change, Direction
from pp_compare.verdict.digits import digits_text, worst_first
from pp_compare.verdict.judgement import STANDINGS

LOST_DIGIT = 1.0
"""By so many digits a number that disagrees with the truth must move to be better or worse."""

WRONG = ("fail", "known")
CONVERGENCE = "ConvergenceWarning"
"""Class of the warnings that say in words what the convergence flag says."""


@dataclass(frozen=True)
class Seen:
    """A change in one model; `size` says in which it shows most."""

    change: Change
    size: float = 0.0


class Pair:
    """One model, fitted by both."""

    def __init__(self, before: CaseReport, after: CaseReport, noise: Noise) -> None:
        self.title = before.title
        self.noise = noise
        self.cases = before, after
        self.before, self.after = _fit(before), _fit(after)
        names = dict.fromkeys([*self.before.quantities, *self.after.quantities])
        self.distances = {n: distance(self.before, self.after, n) for n in names}
        same = self.before.status == self.after.status
        self.identical = same and not any(self.distances.values())
        self.moved = {name for name, size in self.distances.items() if size > self._floor(name)}

    def _floor(self, name: str) -> float:
        """What a quantity moves by where nothing changed: noise, or the last bit of its largest."""
        quantity = self.before.quantities.get(name)
        if quantity is None:
            return 0.0
        finite = quantity.values[np.isfinite(quantity.values)]
        last_bit = np.finfo(float).eps * float(np.max(np.abs(finite), initial=0.0))
        return FACTOR * max(self.noise.spread.get(name, 0.0), last_bit)

    def changes(self) -> Iterator[Seen]:
        """Of every kind."""
        if self.before.status != self.after.status or self.before.status == "error":
            yield from self._exception()
            return
        flag: list[Seen] = []
        if self.before.status == "ok":
            if self.moved:
                yield from self._standing()
                yield from self._wrong_optimum()
                yield from self._values()
                yield from self._identities()
            if self.moved or self.identical:
                # The same bits may be known of one version and not of another.
                yield from self._deviations()
            flag = list(self._flag())
            yield from flag
        # What is said with a flag is one thing with it.
        yield from self._warnings(besides=CONVERGENCE if flag else "")

    def _change(
        self, kind: str, direction: Direction, subject: str, words: Sequence[str], size: float = 0.0
    ) -> Seen:
        before, after = words
        return Seen(Change(kind, direction, subject, before, after, (self.title,)), size)

    def _exception(self) -> Iterator[Seen]:
        before, after = _answer(self.before), _answer(self.after)
        if self.noise.status or before == after:
            return
        ok = self.before.status == "ok", self.after.status == "ok"
        direction: Direction = "worse" if ok[0] else "better" if ok[1] else "changed"
        words = [fit.messages[0] if fit.messages else fit.status for fit in self._failing()]
        told = [words.pop(0) if not fine else "answers" for fine in ok]
        yield self._change("exception", direction, f"{before} became {after}", told)

    def _standing(self) -> Iterator[Seen]:
        """What the numbers are worth to a reader, where both are judged."""
        judged = [judgement for case in self.cases for judgement in case.judgements]
        if len(judged) < len(self.cases):
            return
        one, two = judged
        if one.standing == two.standing or "not judged" in (one.standing, two.standing):
            return
        lower = STANDINGS.index(two.standing) > STANDINGS.index(one.standing)
        subject = f"{one.standing} became {two.standing}"
        # What follows the first sentence is how far the criterion itself is from another one.
        words = [judgement.sentence.partition(". ")[0] for judgement in judged]
        yield self._change("standing", "worse" if lower else "better", subject, words)

    def _failing(self) -> list[Fit]:
        return [fit for fit in (self.before, self.after) if fit.status != "ok"]

    def _wrong_optimum(self) -> Iterator[Seen]:
        wrong = [wrong_optimum(case) for case in self.cases]
        if wrong[0] != wrong[1]:
            words = [_criterion(case) for case in self.cases]
            direction: Direction = "worse" if wrong[1] else "better"
            yield self._change("wrong optimum", direction, "wrong optimum", words)

    def _values(self) -> Iterator[Seen]:
        """A quantity that moved: into agreement with the truth, out of it, or neither."""
        truth = [_truth(case) for case in self.cases]
        for name in sorted(self.moved):
            there = name in self.before.quantities, name in self.after.quantities
            if not all(there):
                direction: Direction = "worse" if there[0] else "better"
                words = ["given" if given else "not given" for given in there]
                yield self._change("value", direction, kind_of(name), words, math.inf)
            elif all(name in lines for lines in truth):
                yield self._value(name, *(lines[name] for lines in truth))
            else:
                first = [f"{fit[name].flat[0]:.10g}" for fit in (self.before, self.after)]
                yield self._shift(name, *first)

    def _value(self, name: str, one: _Truth, two: _Truth) -> Seen:
        kind, words, lost = kind_of(name), (one.text, two.text), one.digits - two.digits
        if one.wrong != two.wrong:
            direction: Direction = "worse" if two.wrong else "better"
        elif one.wrong and abs(lost) >= LOST_DIGIT:
            direction = "worse" if lost > 0 else "better"
        else:
            return self._shift(name, *words)
        return self._change("value", direction, kind, words, abs(lost))

    def _shift(self, name: str, before: str, after: str) -> Seen:
        """A move in words; where ten digits do not show it, by how much it is."""
        size = self._relative(name)
        if before.partition(",")[0] == after.partition(",")[0]:
            after = f"the same but for {size:.1g} of it"
        return self._change("moved", "changed", kind_of(name), (before, after), size)

    def _relative(self, name: str) -> float:
        scale = float(abs(self.before[name]).max())
        return self.distances[name] / scale if scale else math.inf

    def _identities(self) -> Iterator[Seen]:
        one, two = ({i.identity: i for i in case.identities} for case in self.cases)
        for name in one.keys() & two.keys():
            wrong = one[name].verdict in WRONG, two[name].verdict in WRONG
            if wrong[0] != wrong[1]:
                words = [
                    f"off by {c.error:.2g} (rounding {c.tolerance:.1g})"
                    for c in (one[name], two[name])
                ]
                yield self._change("identity", "worse" if wrong[1] else "better", name, words)

    def _deviations(self) -> Iterator[Seen]:
        one, two = (_deviations_of(case) for case in self.cases)
        for name in one ^ two:
            words = ["shows" if name in shown else "does not show" for shown in (one, two)]
            yield self._change("deviation", "worse" if name in two else "better", name, words)

    def _flag(self) -> Iterator[Seen]:
        """At the same bits, better where it then tells the truth of the numbers, else worse."""
        flags = self.before.converged, self.after.converged
        if flags[0] == flags[1] or self.noise.flag:
            return
        wrong = _stopped_short(self.cases[1])
        direction: Direction = "better" if flags[1] != wrong else "worse"
        if not self.identical:
            # The search itself took another way, and by how little is no matter to its last step.
            direction = "changed"
        state = "at numbers that are off" if wrong else "at the optimum"
        words = [_flag_of(fit) for fit in (self.before, self.after)]
        yield self._change("flag", direction, f"converged={flags[1]} {state}", words)

    def _warnings(self, besides: str = "") -> Iterator[Seen]:
        one, two = warnings_of(self.before), warnings_of(self.after)
        for text in sorted((one.keys() | two.keys()) - self.noise.warnings):
            before, after = one.get(text), two.get(text)
            if before == after or {before, after} == {besides, None}:
                continue
            silent = before and not after and self.identical and _stopped_short(self.cases[1])
            words = [name or "not given" for name in (before, after)]
            yield self._change("warning", "worse" if silent else "changed", _shortened(text), words)


@dataclass(frozen=True)
class _Truth:
    """The worst line of one quantity against the certified optimum."""

    wrong: bool
    digits: float
    text: str


def _truth(case: CaseReport) -> dict[str, _Truth]:
    found: dict[str, _Truth] = {}
    for line in case.comparisons:
        if line.kind != "truth":
            continue
        wrong = line.verdict in WRONG
        old = found.get(line.quantity)
        digits = worst_first(line.digits)
        if old is None or (wrong, -digits) > (old.wrong, -old.digits):
            name = f"{line.label} = " if line.label else ""
            cause = f", {line.cause}" if line.cause else ""
            text = (
                f"{name}{line.candidate_value:.10g}, true {line.reference_value:.10g} "
                f"({digits_text(line.digits)} digits{cause})"
            )
            found[line.quantity] = _Truth(wrong, digits, text)
    return found


def _criterion(case: CaseReport) -> str:
    for line in case.comparisons:
        if line.quantity == "criterion":
            return f"deviance {line.error:.3g} above the optimum"
    return "deviance not known"


def _stopped_short(case: CaseReport) -> bool:
    """Whether the criterion is off, or, where it is not judged, any number."""
    lines = [line for line in case.comparisons if line.kind == "truth"]
    criterion = [line for line in lines if line.quantity == "criterion"]
    return any(line.verdict in WRONG for line in criterion or lines)


def _deviations_of(case: CaseReport) -> set[str]:
    shown = [line.deviation for line in case.comparisons] + [i.deviation for i in case.identities]
    return set(filter(None, shown))


def _flag_of(fit: Fit) -> str:
    """Its convergence flag, and how many warnings say the same in words."""
    count = sum(name == CONVERGENCE for name in warnings_of(fit).values())
    warned = f", {count} {CONVERGENCE}{'s' if count > 1 else ''}" if count else ""
    return f"converged={fit.converged}{warned}"


def _fit(case: CaseReport) -> Fit:
    (fit,) = case.fits.values()
    return fit


def _answer(fit: Fit) -> str:
    """``ok``, or the kind of failure."""
    if fit.status == "ok":
        return "an answer"
    first = fit.messages[0] if fit.messages else fit.status
    name, colon, _ = first.partition(":")
    return name if colon and " " not in name else first.partition(":")[0]


def _shortened(text: str, most: int = 90) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
