"""The criterion of a random-intercept model along tau2 / sigma2, everything else at its best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pp_compare.certified.intercept.likelihood import deviance_at
from pp_compare.certified.intercept.statistics import InterceptStatistics
from pp_compare.certified.models import InterceptModel, LocalOptimum
from pp_compare.errors import InputError
from pp_compare.model import Fit
from pp_compare.model.design import Design

POINTS, POINTS_OF_LARGE = 160, 48
"""Of the curve, and of that of a model with more than `LARGE` fixed effects: each is a proof, and
its cost grows with their cube."""
LARGE = 20
BEYOND = 4.0
"""How far the axis goes past the last optimum and stop: e^4, more than a 50-fold ratio."""


@dataclass(frozen=True, eq=False)
class CriterionProfile:
    """Minus twice the log-likelihood along the variance ratio.

    Parameters
    ----------
    mean_size : float
        Rows of an average cluster, N / m.
    ratio, deviance : ndarray, shape (k,)
        ``tau2 / sigma2``, rising from 0, and the profiled deviance there.
    optima : tuple of LocalOptimum
        All local optima, certified, the global one first.
    stops : dict of str to (float, float)
        Ratio at which each engine stopped, and the deviance there.
    """

    mean_size: float
    ratio: np.ndarray
    deviance: np.ndarray
    optima: tuple[LocalOptimum, ...]
    stops: dict[str, tuple[float, float]]

    def axis(self, ratio: np.ndarray | float) -> np.ndarray:
        """``log(1 + n tau2 / sigma2)`` for an average cluster: 0 at 0, a logarithm far from it."""
        return np.log1p(np.asarray(ratio) * self.mean_size)


def criterion_profile(design: Design, fits: dict[str, Fit] | None = None) -> CriterionProfile:
    """Profile the criterion and mark where the engines stopped.

    Parameters
    ----------
    design : Design
    fits : dict of str to Fit, optional
        By engine id; those without an answer, and the certified one, are left out.

    Raises
    ------
    InputError
        Where the model is not one random intercept.
    DegenerateModelError
        Where the criterion has no optimum.
    """
    if not design.spec.is_random_intercept or design.weights is not None:
        raise InputError(f"'{design.spec.formula}' is not one random intercept without weights")
    block, reml = design.blocks[0], design.spec.method == "REML"
    statistics = InterceptStatistics.from_arrays(design.y, design.X, block.codes)
    optima = InterceptModel(design, statistics).optimum.optima
    mean_size = design.n_obs / len(block.levels)
    stops = {
        engine: _ratio(fit, block.group)
        for engine, fit in (fits or {}).items()
        if fit.status == "ok" and engine != "certified"
    }
    stops = {engine: ratio for engine, ratio in stops.items() if 0 <= ratio < np.inf}
    marked = [*stops.values(), *(float(point.position[0]) for point in optima)]
    last = np.log1p(max(marked) * mean_size) + BEYOND
    points = POINTS if design.X.shape[1] <= LARGE else POINTS_OF_LARGE
    # The optima are points of the curve, so that it touches their marks.
    ratios = np.unique([*(np.expm1(np.linspace(0, last, points)) / mean_size), *marked])

    def deviance(ratio: float) -> float:
        return float(deviance_at(statistics, ratio, reml=reml))

    return CriterionProfile(
        mean_size,
        ratios,
        np.array([deviance(ratio) for ratio in ratios.tolist()]),
        optima,
        {engine: (ratio, deviance(ratio)) for engine, ratio in stops.items()},
    )


def _ratio(fit: Fit, group: str) -> float:
    sigma = float(fit["sigma"])
    return float(fit[f"random_cov[{group}]"][0, 0]) / sigma**2 if sigma > 0 else np.inf
