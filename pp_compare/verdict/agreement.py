"""One quantity of one Fit held against a reference.

*Truth* holds an engine against the certified optimum, *parity* one engine against another. Both use
the tolerances of `pp_compare.verdict.tolerance`; parity allows both sides theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from pp_compare.model import Fit, Quantity
from pp_compare.verdict.digits import lre, lre_of
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
            pair = _Pair.of(candidate, reference, theirs, quantity, tolerance, slack)
            found.extend(pair.lines() if len(pair.values) <= LISTED else [pair.worst()])
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


@dataclass(frozen=True, eq=False)
class _Pair:
    """The numbers of a quantity that two fits have, in the order of the reference's labels."""

    candidate: str
    reference: str
    quantity: Quantity
    values: np.ndarray
    limits: np.ndarray
    reason: str
    slack: float

    @staticmethod
    def of(
        candidate: Fit,
        reference: Fit,
        theirs: Quantity,
        ours: Quantity,
        tolerance: Tolerance,
        slack: float,
    ) -> _Pair:
        """Bring the candidate's numbers and the tolerances into the order of the reference's."""
        allowed = Quantity(ours.name, slack * tolerance.values, ours.rows, ours.columns)
        return _Pair(
            candidate=candidate.engine,
            reference=reference.engine,
            quantity=ours,
            values=theirs.numbers_as(ours),
            limits=allowed.numbers,
            reason=tolerance.reason,
            slack=slack,
        )

    @cached_property
    def errors(self) -> np.ndarray:
        """Absolute differences; 0 between equal infinities."""
        truths = self.quantity.numbers
        with np.errstate(invalid="ignore"):
            return np.where(self.values == truths, 0.0, np.abs(self.values - truths))

    def lines(self) -> Iterator[Comparison]:
        """One for each number."""
        for place, (label, _) in enumerate(self.quantity.entries()):
            yield self._line(place, label)

    def worst(self) -> Comparison:
        """The number furthest beyond its tolerance, for all of them."""
        with np.errstate(all="ignore"):
            over = self.errors / self.limits
        # 0 of a tolerance of 0 is sound; NaN against a tolerance is as bad as can be.
        unknown = np.where(np.isnan(self.errors) & ~np.isinf(self.limits), np.inf, -np.inf)
        place = int(np.argmax(np.where(np.isnan(over), unknown, over)))
        digits = lre_of(self.values, self.quantity.numbers)
        line = self._line(place, self.quantity.label(place))
        fewest = float(np.min(digits, initial=np.inf, where=~np.isnan(digits)))
        return replace(line, count=len(digits), digits=fewest if fewest < np.inf else np.nan)

    def _line(self, place: int, label: str) -> Comparison:
        value, truth = float(self.values[place]), float(self.quantity.numbers[place])
        error, limit = float(self.errors[place]), float(self.limits[place])
        return Comparison(
            self.candidate,
            self.reference,
            self.quantity.name,
            label,
            value,
            truth,
            error,
            lre(value, truth),
            limit,
            self.reason if self.slack == 1.0 or np.isinf(limit) else f"both sides: {self.reason}",
            _verdict(error, limit),
        )


def _verdict(error: float, limit: float) -> Verdict:
    """NaN fails; where no tolerance means anything nothing is judged."""
    if np.isinf(limit):
        return "skip"
    return "pass" if error <= limit else "fail"


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
