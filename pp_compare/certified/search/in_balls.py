"""The search where float64 fails: where random effects fit all but exactly, or run off.

Of y'Py float64 loses as many digits as the squares of the relative standard deviations have. There
the descent goes on in balls, at a precision that keeps them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from flint import arb, arb_mat, ctx
from numpy.typing import NDArray

from pp_compare.certified.equations.curvature import derivatives
from pp_compare.certified.equations.mixed_equations import Solution, solve
from pp_compare.certified.search.descent import descend
from pp_compare.certified.search.float_criterion import FloatCriterion
from pp_compare.certified.search.stops import FLAT, Stop, same

Floats = NDArray[np.float64]

BELIEVED = 1e-6
"""Relative difference of a deviance in float64 and in balls up to which the search is believed:
what rounding leaves of it where random effects are a thousand times the noise."""

FAR = 100.0
"""Relative standard deviations up to which float64 keeps y'Py: its relative error is the unit
roundoff times their squares."""

FEW, BITS = 3, 256
"""Where float64 fails: from how many of its stops the search goes on, and at what precision."""


def beyond_float(criterion: FloatCriterion, stops: Sequence[Stop]) -> bool:
    """Whether float64 found no minimum, or one at which its deviance is another than the balls'."""
    if all(stop.lost for stop in stops):
        return True
    best = stops[0]
    if max(np.abs(T).max() for T in best.factors) < FAR:
        return False
    exact = float(_in_ball(criterion, criterion.vector(best.factors))[0])
    return abs(exact - best.deviance) > BELIEVED * (1 + abs(exact))


def _in_ball(criterion: FloatCriterion, x: Floats) -> tuple[arb, Solution, list[arb_mat]]:
    with ctx.workprec(BITS):
        T = [arb_mat(f.tolist()) for f in criterion.factors(x)]
        solution = solve(criterion.products, [t * t.transpose() for t in T])
        return solution.profiled_deviance(criterion.reml), solution, T


def in_balls(
    criterion: FloatCriterion, stops: Sequence[Stop], starts: Sequence[Floats]
) -> list[Stop]:
    """The minima, each once, from the lowest stops of float64 and from more starts."""
    points = [criterion.vector(stop.factors) for stop in stops]
    best = sorted(points, key=lambda x: float(_in_ball(criterion, x)[0]))[:FEW]

    def each(x: Floats) -> tuple[Floats, Floats, Floats]:
        value, gradient, hessian = zip(*(_at_balls(criterion, point) for point in x), strict=True)
        return np.array(value), np.array(gradient), np.array(hessian)

    found: list[Stop] = []
    rest, at, _ = descend(each, np.array([*best, *starts]), lambda x: np.zeros(len(x), dtype=bool))
    for point, value, slope in zip(rest, at.value, at.gradient, strict=True):
        if np.isfinite(value):
            flat = bool(np.abs(slope).max() < FLAT)
            new = Stop(tuple(criterion.factors(point)), float(value), flat)
            if not any(same(old, new) for old in found):
                found.append(new)
    return found or list(stops)


def _at_balls(criterion: FloatCriterion, x: Floats) -> tuple[float, Floats, Floats]:
    """Deviance and derivatives at a point, rounded from balls."""
    value, solution, T = _in_ball(criterion, x)
    with ctx.workprec(BITS):
        slope, bend = derivatives(solution, T, criterion.parameters, criterion.reml)
    t = len(x)
    hessian = np.array([float(v) for v in bend.entries()]).reshape(t, t)
    return float(value), np.array([float(v) for v in slope.entries()]), hessian
