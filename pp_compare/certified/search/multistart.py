"""A search for the minima of the profiled deviance, in float64.

Nothing here is a proof: the search finds the points that a proof then starts from. The factors of
the random terms are unconstrained (see ``float_criterion``), so that one method reaches boundary
and interior optima alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice

import numpy as np
from flint import arb_mat, ctx
from numpy.typing import NDArray

from pp_compare.certified.equations.curvature import derivatives
from pp_compare.certified.equations.mixed_equations import solve
from pp_compare.certified.search.descent import descend
from pp_compare.certified.search.float_criterion import FloatCriterion
from pp_compare.certified.search.starts import basins, each_alone, enough, spread, suggested

Floats = NDArray[np.float64]

SAME_POINT = 1e-4
"""Two stops are one optimum if no relative covariance differs by more than this (of 1 + size):
Newton stops within 1e-6 of an optimum, and two optima of one criterion lie apart by a barrier."""

LEVEL = 1e-8
"""Relative difference of two deviances that a flat direction may leave: the rounding of a
difference of log determinants, and what a stop within 1e-6 of the valley's floor costs."""

FLAT = 1e-3
"""Largest slope, in units of the deviance, at which a stop counts as a stationary point."""

DIVERGED = 1e4
"""Relative standard deviations, in units of each column's size, beyond which a failed proof is put
down to a criterion without an optimum; no two such stops count as two minima."""


NEAR = 1e-2
"""Relative difference of covariances at which a whole Newton step, from where the criterion is
convex, has reached a known minimum; two minima stand further apart (see `SAME_POINT`)."""

DEAR = 100_000
"""Multiplications at a point from which one descent goes ahead of the others."""

FEW, BITS = 3, 256
"""Where float64 fails: from how many of its stops the search goes on, and at what precision."""

MOST_DESCENTS = 64
"""Where a criterion shows new minima for ever, it is their number that is to be reported."""


@dataclass(frozen=True)
class Stop:
    """Where the search came to rest: T of each term, deviance, how many starts led there."""

    factors: tuple[Floats, ...]
    deviance: float
    stationary: bool
    hits: int = 1

    @property
    def covariances(self) -> list[Floats]:
        """Relative covariance T T' of each term."""
        return [T @ T.T for T in self.factors]

    @property
    def lost(self) -> bool:
        """Whether it ran off, or did not come to rest."""
        return not self.stationary or max(np.abs(T).max() for T in self.factors) > DIVERGED


def search(
    criterion: FloatCriterion, starts: Sequence[Floats], seed: int
) -> tuple[list[Stop], int]:
    """Minimise from many starts; return the distinct minima, best first, and the number of starts.

    Parameters
    ----------
    criterion : FloatCriterion
    starts : sequence of (t,) arrays
        Starts of the caller, in the coordinates of the criterion; those that hold a NaN or an
        infinity are left out, and more are added until `starts.enough` says so.
    seed : int
        Of the points that are looked at.
    """
    stops: list[Stop] = []
    given = [start for start in starts if np.isfinite(start).all()]
    own = list(_suggested(criterion))
    count, waiting = 0, chain(given, own, _screened(criterion, seed))
    first = len(given) + len(own)
    while count < first or not (_is_enough(count, stops) or count >= MOST_DESCENTS):
        batch = list(islice(waiting, _next_batch(criterion, count, first, stops)))
        if not batch:
            break
        count += len(batch)
        for stop in search_from(criterion, np.array(batch), stops):
            _record(criterion, stops, stop)
    if stops and criterion.cost < DEAR and all(stop.lost for stop in stops):
        stops = _in_balls(criterion, stops)
    return sorted(stops, key=lambda s: s.deviance), count


def _in_balls(criterion: FloatCriterion, stops: Sequence[Stop]) -> list[Stop]:
    """Go on from where float64 knew too little of y'Py: far out it loses all its digits."""
    points = [criterion.vector(stop.factors) for stop in stops]
    points += list(_suggested(criterion))
    best = sorted(points[: len(stops)], key=lambda x: _at_balls(criterion, x)[0])[:FEW]
    starts = np.array([*best, *points[len(stops) :]])

    def each(x: Floats) -> tuple[Floats, Floats, Floats]:
        value, gradient, hessian = zip(*(_at_balls(criterion, point) for point in x), strict=True)
        return np.array(value), np.array(gradient), np.array(hessian)

    found: list[Stop] = []
    rest, at, _ = descend(each, starts, lambda x: np.zeros(len(x), dtype=bool))
    for point, value, slope in zip(rest, at.value, at.gradient, strict=True):
        if np.isfinite(value):
            flat = bool(np.abs(slope).max() < FLAT)
            new = Stop(tuple(criterion.factors(point)), float(value), flat)
            if not any(_same(old, new) for old in found):
                found.append(new)
    return found or list(stops)


def _at_balls(criterion: FloatCriterion, x: Floats) -> tuple[float, Floats, Floats]:
    """Deviance and derivatives at a point, rounded from balls."""
    with ctx.workprec(BITS):
        T = [arb_mat(f.tolist()) for f in criterion.factors(x)]
        solution = solve(criterion.products, [t * t.transpose() for t in T])
        value = float(solution.profiled_deviance(criterion.reml))
        slope, bend = derivatives(solution, T, criterion.parameters, criterion.reml)
    t = len(x)
    hessian = np.array([float(v) for v in bend.entries()]).reshape(t, t)
    return value, np.array([float(v) for v in slope.entries()]), hessian


def _is_enough(count: int, stops: Sequence[Stop]) -> bool:
    return enough(count, sum(stop.stationary for stop in stops))


def _next_batch(criterion: FloatCriterion, count: int, first: int, stops: Sequence[Stop]) -> int:
    """How many starts to descend from at once: as many as will be needed for certain.

    Where evaluations are dear one goes ahead, so that the others can end where it did.
    """
    if count == 0 and criterion.cost > DEAR:
        return 1
    minima = max(1, sum(stop.stationary for stop in stops))
    needed = next((n for n in range(count + 1, MOST_DESCENTS) if enough(n, minima)), MOST_DESCENTS)
    return max(needed, first) - count


def _suggested(criterion: FloatCriterion) -> Iterator[Floats]:
    """Starts that follow from the model: lme4's, nlme's, and the best scale of each part of it."""
    products = criterion.products
    for factors in suggested(products.sizes, products.levels, products.n):
        yield criterion.vector(factors)
    for line in each_alone(products.sizes):
        points = np.array([criterion.vector(factors) for factors in line])
        values = criterion.values(points)
        if np.isfinite(values).any():
            yield points[int(np.nanargmin(np.where(np.isfinite(values), values, np.inf)))]


def _screened(criterion: FloatCriterion, seed: int) -> Iterator[Floats]:
    """Lowest points of their neighbourhoods, then the rest by their values."""
    count = criterion.affordable
    cube, points = spread(criterion.products.sizes, count, seed)
    values = criterion.values(points)
    first = basins(cube, values)
    rest = [int(i) for i in np.argsort(values, kind="stable") if i not in set(first)]
    for i in [*first, *rest]:
        if np.isfinite(values[i]):
            yield points[i]


def search_from(
    criterion: FloatCriterion, starts: Floats, known: Sequence[Stop] = ()
) -> Iterator[Stop]:
    """Where starts (N, t) come to rest; one that nears a known minimum is counted for it."""
    near = [stop for stop in known if not stop.lost]

    def known_at(point: Floats) -> Stop | None:
        factors = criterion.factors(point)
        return next((stop for stop in near if _nears(stop, factors)), None)

    def arrived(points: Floats) -> NDArray[np.bool_]:
        return np.array([known_at(point) is not None for point in points])

    points, at, ended = descend(criterion.derivatives, starts, arrived)
    for point, value, slope, end in zip(points, at.value, at.gradient, ended, strict=True):
        if np.isfinite(value):
            flat = bool(np.abs(slope).max() < FLAT)
            own = Stop(tuple(criterion.factors(point)), float(value), flat)
            yield (known_at(point) if end else None) or own


def _nears(stop: Stop, factors: Sequence[Floats]) -> bool:
    return all(
        np.abs(s - f @ f.T).max() <= NEAR * np.abs(s).max()
        for s, f in zip(stop.covariances, factors, strict=True)
    )


def _record(criterion: FloatCriterion, stops: list[Stop], new: Stop) -> None:
    """Add a stop, or count it for the optimum that it repeats."""
    for i, old in enumerate(stops):
        if _same(old, new) or _in_one_valley(criterion, old, new):
            best = min(old, new, key=lambda s: s.deviance)
            stops[i] = replace(best, hits=old.hits + 1)
            return
    stops.append(new)


def _same(a: Stop, b: Stop) -> bool:
    if a.lost and b.lost:
        return True  # what ran off or was stopped on its way is no minimum of its own
    return all(
        np.abs(s - t).max() <= SAME_POINT * (1 + np.abs(s).max())
        for s, t in zip(a.covariances, b.covariances, strict=True)
    )


def _in_one_valley(criterion: FloatCriterion, a: Stop, b: Stop) -> bool:
    """Whether the criterion is as low half way between two stops: a flat direction joins them.

    Where V does not change along a line of variances, it does not along relative ones either.
    """
    level = LEVEL * (1 + abs(a.deviance))
    if abs(a.deviance - b.deviance) > level:
        return False
    between = [(s + t) / 2 for s, t in zip(a.covariances, b.covariances, strict=True)]
    point = criterion.vector([_lower_root(g) for g in between])
    return bool(abs(criterion.values(point[None])[0] - a.deviance) <= level)


def _lower_root(G: Floats) -> Floats:
    """Lower triangular T with T T' = G, of a G that may be singular."""
    values, vectors = np.linalg.eigh(G)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return np.asarray(np.linalg.qr(root.T, mode="r")).T
