"""One quantity of one Fit held against a reference.

*Truth* holds an engine against the certified optimum, *parity* one engine against another. Both use
the tolerances of `pp_compare.verdict.tolerance`; parity allows both sides theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pp_compare.model import Fit, Quantity
from pp_compare.verdict.digits import excess, least, lre
from pp_compare.verdict.tolerance import Tolerance, Tolerances

Verdict = Literal["pass", "fail", "known", "skip"]
Cause = Literal[
    "specification",
    "definition",
    "objective",
    "optimiser",
    "wrong optimum",
    "post-processing",
    "failure",
]

NOT_FIXED = "not identified: other values are as good"
LISTED = 20
"""Quantities with more numbers than this are listed by their worst one only."""


@dataclass(frozen=True)
class Comparison:
    """One number of a candidate against the same number of a reference.

    Parameters
    ----------
    candidate, reference : str
        Engine ids; the reference ``certified`` makes it a comparison with the truth.
    quantity, label : str
    candidate_value, reference_value : float
    error : float
        Absolute difference.
    digits : float
        `pp_compare.verdict.digits.lre`; nan against an exact 0, which has none.
    tolerance : float
    reason : str
        Why the tolerance is what it is.
    verdict : {"pass", "fail", "known", "skip"}
    count : int
        How many numbers this line stands for; it shows the worst of them.
    cause : str or None
        Of a failure.
    follows : str or None
        The quantity whose difference explains this one.
    blamed : str or None
        Of a difference between two engines: the one that is further from the truth.
    deviation : str or None
        Id of the known deviation.
    """

    candidate: str
    reference: str
    quantity: str
    label: str
    candidate_value: float
    reference_value: float
    error: float
    digits: float
    tolerance: float
    reason: str
    verdict: Verdict
    count: int = 1
    cause: Cause | None = None
    follows: str | None = None
    blamed: str | None = None
    deviation: str | None = None

    @property
    def kind(self) -> Literal["truth", "parity"]:
        """Whether the reference is the certified optimum or another engine."""
        return "truth" if self.reference.partition(":")[0] == "certified" else "parity"


def compare(candidate: Fit, reference: Fit, tolerances: Tolerances) -> list[Comparison]:
    """Compare every quantity that the reference has.

    One that the candidate lacks is a failure, unless it says why it has none (`Fit.not_given`). One
    that the criterion does not fix has no tolerance: two sound engines may differ in it.
    """
    slack = 1.0 if reference.engine == "certified" else 2.0
    found: list[Comparison] = []
    for name, quantity in reference.quantities.items():
        tolerance = tolerances.quantities.get(name)
        theirs = candidate.quantities.get(name)
        if tolerance is None:
            found.append(_skipped(_missing(candidate, reference, quantity), NOT_FIXED))
        elif theirs is None:
            found.append(_missing(candidate, reference, quantity))
        else:
            lines = list(_lines(candidate, reference, theirs, quantity, tolerance, slack))
            found.extend(lines if len(lines) <= LISTED else [_worst(lines)])
    return found


def compare_criterion(
    candidate: str, deviance: float, optimum: float, tolerances: Tolerances
) -> Comparison:
    """The criterion at an engine's own variances against the certified optimum.

    Parameters
    ----------
    deviance : float
        ``-2 loglik`` at the engine's variances, computed by the certified core.
    optimum : float
        The smallest there is (or, of a local certificate, that is known).
    """
    above = deviance - optimum
    return Comparison(
        candidate,
        "certified",
        "criterion",
        "",
        deviance,
        optimum,
        abs(above),
        lre(deviance, optimum),
        tolerances.criterion,
        tolerances.criterion_reason,
        _verdict(abs(above), tolerances.criterion),
    )


def _lines(
    candidate: Fit,
    reference: Fit,
    theirs: Quantity,
    ours: Quantity,
    tolerance: Tolerance,
    slack: float,
) -> Iterator[Comparison]:
    allowed = Quantity(ours.name, slack * tolerance.values, ours.rows, ours.columns)
    values = dict(theirs.entries())
    for (label, truth), (_, limit) in zip(ours.entries(), allowed.entries(), strict=True):
        value = values.get(label, float("nan"))
        error = 0.0 if value == truth else abs(value - truth)
        yield Comparison(
            candidate.engine,
            reference.engine,
            ours.name,
            label,
            value,
            truth,
            error,
            lre(value, truth),
            limit,
            tolerance.reason
            if slack == 1.0 or np.isinf(limit)
            else f"both sides: {tolerance.reason}",
            _verdict(error, limit),
        )


def _verdict(error: float, limit: float) -> Verdict:
    """NaN fails; where no tolerance means anything nothing is judged."""
    if np.isinf(limit):
        return "skip"
    return "pass" if error <= limit else "fail"


def _worst(lines: list[Comparison]) -> Comparison:
    def badness(line: Comparison) -> float:
        ratio = excess(line.error, line.tolerance)
        return float("inf") if np.isnan(ratio) and line.verdict == "fail" else ratio

    digits = least(line.digits for line in lines)
    return replace(max(lines, key=badness), count=len(lines), digits=digits)


def _missing(candidate: Fit, reference: Fit, quantity: Quantity) -> Comparison:
    label, truth = next(quantity.entries())
    line = Comparison(
        candidate.engine,
        reference.engine,
        quantity.name,
        label,
        float("nan"),
        truth,
        float("nan"),
        0.0,
        0.0,
        "the candidate did not give this quantity",
        "fail",
        count=quantity.values.size,
        cause="failure",
    )
    why = candidate.not_given.get(quantity.name.partition("[")[0])
    return line if why is None else _skipped(line, why)


def _skipped(line: Comparison, why: str) -> Comparison:
    return replace(line, digits=float("nan"), reason=why, verdict="skip", count=0, cause=None)
