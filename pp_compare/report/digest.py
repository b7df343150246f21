"""What a reader looks for in a report, gathered once for every page and figure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median

import numpy as np

from pp_compare.model import Fit
from pp_compare.report.record import CaseReport, Report
from pp_compare.verdict.judgement import Judgement, Standing

KINDS = (
    "beta", "beta_se", "beta_cov", "sigma", "random_cov", "loglik",
    "blup", "cluster_mean", "fitted",
)  # fmt: skip
"""Kinds of quantities in the order in which people ask for them."""
DETAILED = 6
"""With up to this many models each is told by itself; with more, what is off is told once."""


@dataclass(frozen=True, eq=False)
class Digits:
    """Digits right against the certified optimum, over the models of a report.

    Parameters
    ----------
    engines, kinds : tuple of str
    median, least : ndarray, shape (engines, kinds)
        Of the worst number of each model; nan where there is none.
    """

    engines: tuple[str, ...]
    kinds: tuple[str, ...]
    median: np.ndarray
    least: np.ndarray


@dataclass(frozen=True, eq=False)
class Scatter:
    """One point an engine and model: least digits of its variance components."""

    engines: list[str]
    engine: list[str]
    rows: np.ndarray
    icc: np.ndarray
    digits: np.ndarray


BEHIND_THE_BAD: tuple[Standing, ...] = (
    "not judged",
    "short of the optimum, harmless",
    "right, other definition",
)
"""Order of the standings that are not bad; ``right`` comes last."""


def severity(judgement: Judgement) -> tuple[int, float]:
    """Sorts the worst first: what cannot be used by its harm, then the standings that can."""
    if judgement.bad:
        # An engine without an answer misleads nobody: its harm is 0, behind every wrong number.
        return -1, -judgement.harm.worst
    if judgement.standing not in BEHIND_THE_BAD:
        return len(BEHIND_THE_BAD), 0.0
    return BEHIND_THE_BAD.index(judgement.standing), -judgement.harm.worst


def engines_of(report: Report) -> list[str]:
    """Engine ids in the order in which they first appear."""
    return list(dict.fromkeys(engine for case in report.cases for engine in case.fits))


def least_digits(case: CaseReport) -> dict[tuple[str, str], float]:
    """Digits of each engine's worst number of each kind against the truth, where it has any."""
    found: dict[tuple[str, str], float] = {}
    for line in case.comparisons:
        if line.kind == "truth" and line.count and not math.isnan(line.digits):
            key = (line.candidate, kind_of(line.quantity))
            found[key] = min(line.digits, found.get(key, math.inf))
    return found


def variance_digits(least: dict[tuple[str, str], float], engine: str) -> float:
    """Digits of an engine's worst variance component; nan without any."""
    found = [least[engine, kind] for kind in ("random_cov", "sigma") if (engine, kind) in least]
    return min(found, default=math.nan)


def kind_of(quantity: str) -> str:
    """``random_cov`` of ``random_cov[cluster]``."""
    return quantity.partition("[")[0]


def wrong_optimum(case: CaseReport) -> bool:
    """Whether an engine stopped at an optimum that is not the best."""
    return any(line.cause == "wrong optimum" for line in case.comparisons)


def worst(verdicts: Iterable[str]) -> str:
    """The verdict that matters most; ``skip`` where there is none."""
    found = set(verdicts)
    return next((v for v in ("fail", "known", "pass") if v in found), "skip")


def digits_of(report: Report) -> Digits:
    """Digits by engine and kind of quantity."""
    by_case = [least_digits(case) for case in report.cases]
    table = {
        (engine, kind): [least[engine, kind] for least in by_case if (engine, kind) in least]
        for engine in engines_of(report)
        for kind in KINDS
    }
    engines = tuple(e for e in engines_of(report) if any(table[e, k] for k in KINDS))
    kinds = tuple(k for k in KINDS if any(table[e, k] for e in engines))

    def over(statistic: Callable[[list[float]], float]) -> np.ndarray:
        rows = [
            [statistic(table[e, k]) if table[e, k] else math.nan for k in kinds] for e in engines
        ]
        return np.array(rows, dtype=float).reshape(len(engines), len(kinds))

    return Digits(engines, kinds, over(median), over(min))


def scatter_of(report: Report) -> Scatter:
    """Points for the figure of agreement against N and ICC; models whose truth is known."""
    points = [
        (engine, case.n_obs, icc(case.fits["certified"]), digits)
        for case in report.cases
        if "certified" in case.fits and case.fits["certified"].status == "ok"
        for least in [least_digits(case)]
        for engine in case.fits
        if not math.isnan(digits := variance_digits(least, engine))
    ]
    engine = [point[0] for point in points]
    numbers = np.array([point[1:] for point in points], dtype=float).reshape(-1, 3)
    return Scatter([e for e in engines_of(report) if e in engine], engine, *numbers.T)


def icc(fit: Fit) -> float:
    """Variance of the random intercepts over itself and the residual; nan without intercepts."""
    between = [
        quantity.values[i, i]
        for name, quantity in fit.quantities.items()
        if name.startswith("random_cov[")
        for i, label in enumerate(quantity.rows)
        if label == "Intercept"
    ]
    return float(sum(between) / (sum(between) + fit["sigma"] ** 2)) if between else math.nan
