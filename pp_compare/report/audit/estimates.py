"""The numbers that one reports of a model, an engine a column, the wrong ones marked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from pp_compare.model import Fit
from pp_compare.report.digest import KINDS, kind_of
from pp_compare.report.record import CaseReport
from pp_compare.verdict.harm import Z95

Mark = Literal["", "!", "*", "?"]
LEGEND: dict[Mark, str] = {
    "!": "wrong, by more than is harmless",
    "*": "another documented quantity of the same name",
    "?": "not identified: other values are as good",
}
"""What the marks say."""
MARK_STYLE: dict[Mark, str] = {"!": "fail", "*": "known", "?": "known", "": ""}
"""The verdict whose colour a mark has."""
REPORTED = frozenset({"beta", "beta_se", "sigma", "random_cov", "loglik"})
"""Not the predictions, nor a covariance beside its standard errors."""


@dataclass(frozen=True)
class Number:
    """A number of an engine; nan where it gives none."""

    value: float
    mark: Mark = ""


@dataclass(frozen=True)
class Row:
    """One quantity of all engines, in their order."""

    title: str
    numbers: tuple[Number, ...]


@dataclass(frozen=True)
class Interval:
    """A fixed effect with its 95 % interval, estimate -/+ 1.96 standard errors."""

    estimate: float
    lower: float
    upper: float
    mark: Mark = ""


@dataclass(frozen=True)
class Estimates:
    """A table of numbers; the certified ones first where there are any.

    Parameters
    ----------
    engines : tuple of str
    rows : tuple of Row
    intervals : mapping of str to tuple of Interval
        By fixed effect, in the order of the engines.
    """

    engines: tuple[str, ...]
    rows: tuple[Row, ...]
    intervals: dict[str, tuple[Interval, ...]]

    @property
    def marks(self) -> tuple[Mark, ...]:
        """The marks that occur."""
        used = {number.mark for row in self.rows for number in row.numbers}
        return tuple(mark for mark in LEGEND if mark in used)


def estimates_of(case: CaseReport) -> Estimates:
    """Gather the estimates of a model."""
    answered = [engine for engine, fit in case.fits.items() if fit.status == "ok"]
    engines = tuple(sorted(answered, key=lambda engine: engine != "certified"))
    values = {e: _values(case.fits[e]) for e in engines}
    marks = {e: _marks(case, e) for e in engines}
    found = dict.fromkeys(key for e in answered for key in values[e])
    order = {kind: i for i, kind in enumerate(KINDS)}
    keys = sorted(found, key=lambda key: order[kind_of(key[0])])
    rows = tuple(
        Row(" ".join(key).strip(), tuple(_number(values[e], marks[e], key) for e in engines))
        for key in keys
    )
    effects = [label for name, label in keys if name == "beta"]
    intervals = {
        label: tuple(_interval(values[e], marks[e], label) for e in engines) for label in effects
    }
    return Estimates(engines, rows, intervals)


def _number(
    values: dict[tuple[str, str], float], marks: dict[tuple[str, str], Mark], key: tuple[str, str]
) -> Number:
    return Number(values[key], marks.get(key, "")) if key in values else Number(math.nan)


def _values(fit: Fit) -> dict[tuple[str, str], float]:
    return {
        (name, label): value
        for name, quantity in fit.quantities.items()
        if kind_of(name) in REPORTED
        for label, value in quantity.entries()
    }


def _marks(case: CaseReport, engine: str) -> dict[tuple[str, str], Mark]:
    """Marks of one engine's numbers: harmful ones where it is judged wrong; other definitions."""
    judgement = next((j for j in case.judgements if j.engine == engine), None)
    if judgement is None:
        return {}
    free = _not_identified(case)
    loose: dict[tuple[str, str], Mark] = {
        key: "?" for key in _values(case.fits[engine]) if kind_of(key[0]) in free
    }
    off = [
        line
        for line in case.comparisons
        if line.candidate == engine and line.kind == "truth" and line.verdict in ("fail", "known")
    ]
    other = {line.quantity for line in off if line.cause == "definition"}
    found = loose | {(line.quantity, line.label): "*" for line in off if line.quantity in other}
    found |= {key: "*" for key in judgement.harm.beyond if key[0] in other}
    harmful = {line.quantity for line in off} if judgement.bad else set()
    return found | {key: "!" for key in judgement.harm.beyond if key[0] in harmful}


def _interval(
    values: dict[tuple[str, str], float], marks: dict[tuple[str, str], Mark], label: str
) -> Interval:
    estimate = values.get(("beta", label), math.nan)
    reach = Z95 * values.get(("beta_se", label), math.nan)
    both = {marks.get((name, label), "") for name in ("beta", "beta_se")}
    mark: Mark = "!" if "!" in both else "*" if "*" in both else ""
    return Interval(estimate, estimate - reach, estimate + reach, mark)


def _not_identified(case: CaseReport) -> set[str]:
    """Kinds of quantities that the data do not determine, by the certified engine."""
    certified = case.fits.get("certified")
    return set(certified.not_given) if certified and certified.status == "ok" else set()


def identified_line(case: CaseReport) -> str:
    """Why not everything of a model is identified, and what is; empty where all is."""
    free = _not_identified(case)
    if not free:
        return ""
    certified = case.fits["certified"]
    told = [kind for kind in KINDS if kind in map(kind_of, certified.quantities)]
    reason = next(iter(certified.not_given.values()))
    return f"{reason[:1].upper()}{reason[1:]}. Only {', '.join(told)} can be compared."


MOST_OPTIMA = 5
"""Local optima that are listed."""


def optima_lines(case: CaseReport) -> list[str]:
    """What is proved, why it is singular, and the other optima where there are any."""
    extra = case.fits["certified"].extra if "certified" in case.fits else {}
    optima = extra.get("optima")
    if not isinstance(optima, list) or not optima:
        return []
    first = f"deviance {optima[0]['deviance']}"
    if extra["claim"] == "none":  # the other points are where a search gave up
        return [f"certified: nothing is proved; the best point that a search found; {first}"]
    why = [f"singular: {extra['why_singular']}"] if "why_singular" in extra else []
    if len(optima) == 1:
        return [f"certified: {extra['claim']} optimum; {first}", *why]
    listed = [
        f"  deviance {point['deviance']} at {', '.join(point['position'])}"
        f"{' (boundary)' if point['boundary'] else ''}"
        for point in optima[:MOST_OPTIMA]
    ]
    more = len(optima) - len(listed)
    found = [f"certified: {extra['claim']} optimum, the first of {len(optima)}:", *listed]
    return [*found, *([f"  and {more} more"] if more else []), *why]
