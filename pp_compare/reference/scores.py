"""How many digits of each quantity an engine has right: the log relative error of NIST's StRD.

``-log10(|x - t| / |t|)`` with t the certified decimal, at least 0 and at most 15; of a vector or a
matrix the fewest. Where t is 0, or is certified to fewer digits than x shows, there is none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import product
from typing import Any

from pp_compare.reference.answers import QUANTITIES, Answers
from pp_compare.verdict.digits import MAX_DIGITS, digits_text, least

Tables = Mapping[str, Mapping[str, list[str]]]
HEADER = ("item", "status", "deviance_above", *QUANTITIES)
FAR = 1e-2
"""Deviance above the optimum beyond which an engine did not find it: log-likelihoods are reported
to two decimals."""
FEW = 4.0
"""Digits below which an answer differs in print."""


@dataclass(frozen=True)
class Score:
    """One engine on one item.

    Attributes
    ----------
    item, status : str
    above : float
        The engine's own deviance less the certified one; nan without an answer.
    digits : dict
        By kind of quantity; nan where there are none.
    message : str
    """

    item: str
    status: str
    above: float
    digits: dict[str, float]
    message: str

    @property
    def row(self) -> list[str]:
        """As in the engine's CSV file."""
        above = "-" if math.isnan(self.above) else f"{self.above:.1e}"
        digits = [digits_text(self.digits[kind]) for kind in QUANTITIES]
        return [self.item, self.status, above, *digits]


def scores(answers: Answers, truths: Mapping[str, Tables]) -> list[Score]:
    """Of every item that was asked and has certified values."""
    return [
        _score(item, answers.items[item], truths[item])
        for item in sorted(truths)
        if item in answers.items
    ]


def _score(item: str, answer: Mapping[str, Any], truth: Tables) -> Score:
    digits = {kind: least(_digits(kind, answer["values"], truth)) for kind in QUANTITIES}
    above = math.nan
    if "loglik" in answer["values"]:
        loglik = _fraction(answer["values"]["loglik"][2])
        if loglik is not None:
            above = float(-2 * loglik - Fraction(truth["deviance"]["value"][0]))
    return Score(item, answer["status"], above, digits, answer["message"])


def _digits(kind: str, values: Mapping[str, Any], truth: Tables) -> Iterator[float]:
    for name, table in truth.items():
        if name.partition("[")[0] != kind or name not in values:
            continue
        found = dict(_entries(*values[name]))
        for row, column, t, radius in zip(*table.values(), strict=True):
            if (row, column) in found:
                yield digits_right(found[row, column], t, radius)


def _entries(rows: list[str] | None, columns: list[str] | None, values: Any) -> Iterator[Any]:
    for (i, row), (j, column) in product(enumerate(rows or [""]), enumerate(columns or [""])):
        value = values if not rows else values[i]
        yield (row, column), value[j] if columns else value


def digits_right(value: float, truth: str, radius: str) -> float:
    """Digits of a double that are right; nan where the truth is 0 or not known to as many."""
    t, x = Fraction(truth), _fraction(value)
    if t == 0:
        return math.nan
    if x is None:
        return 0.0
    error = abs(x - t)
    if error <= abs(t) / 10**15:
        return MAX_DIGITS if Fraction(radius) <= abs(t) / 10**15 else math.nan
    return max(0.0, -_log10(error / abs(t)))


def _log10(x: Fraction) -> float:
    return float((Decimal(x.numerator) / Decimal(x.denominator)).log10())


def _fraction(value: float) -> Fraction | None:
    return Fraction(value) if math.isfinite(value) else None


def difficulty(of_engines: Mapping[str, Score]) -> dict[str, str]:
    """The grade of an item, with the reason from what engines get of it.

    ``notorious``: an engine has no answer, or one whose deviance is `FAR` from the optimum.
    ``hard``: an engine has fewer than `FEW` digits of a quantity. ``easy``: neither. Standard
    errors do not count: engines define them differently.
    """
    asked = list(of_engines.items())
    failed = [f"{e} has no answer ({_line(s.message)})" for e, s in asked if s.status == "error"]
    failed += [_far(e, s) for e, s in asked if s.status == "ok" and not abs(s.above) <= FAR]
    if failed:
        return {"grade": "notorious", "reason": "; ".join(failed)}
    digits = sorted(
        (s.digits[kind], e, kind)
        for e, s in asked
        for kind in QUANTITIES
        if kind != "beta_se" and not math.isnan(s.digits[kind])
    )
    words = [f"{e} has {digits_text(d)} digits of {kind}" for d, e, kind in digits]
    short = [word for word, (d, _, _) in zip(words, digits, strict=True) if d < FEW]
    if short:
        return {"grade": "hard", "reason": "; ".join(short)}
    if words:
        return {"grade": "easy", "reason": f"at the worst, {words[0]}"}
    return {"grade": "not graded", "reason": "no engine was asked"}


def _far(engine: str, score: Score) -> str:
    if math.isnan(score.above):
        return f"{engine} gives no number for the likelihood"
    side = "above" if score.above > 0 else "below"
    return f"{engine} gives a deviance {abs(score.above):.2g} {side} the least one"


def _line(text: str) -> str:
    return " ".join(text.split())[:120]
