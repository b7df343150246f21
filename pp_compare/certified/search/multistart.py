"""A search for the minima of the profiled deviance, in float64.

Nothing here is a proof: the search finds the points that a proof then starts from. The factors of
the random terms are unconstrained (see ``float_criterion``), so that one method reaches boundary
and interior optima alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from pp_compare.certified.search.descent import descend
from pp_compare.certified.search.float_criterion import FloatCriterion
from pp_compare.certified.search.in_balls import beyond_float, in_balls
from pp_compare.certified.search.starts import (
    SMALL,
    basins,
    directions,
    each_alone,
    enough,
    spread,
    suggested,
    valleys,
)
from pp_compare.certified.search.stops import FLAT, Stop, same

Floats = NDArray[np.float64]

LEVEL = 1e-8
"""Relative difference of two deviances that a flat direction may leave: the rounding of a
difference of log determinants, and what a stop within 1e-6 of the valley's floor costs."""

NEAR = 1e-2
"""Relative difference of covariances at which a whole Newton step, from where the criterion is
convex, has reached a known minimum; two minima stand further apart (see `stops.SAME_POINT`)."""

DEAR = 100_000
"""Multiplications at a point from which one descent goes ahead of the others."""

MOST_DESCENTS = 64
"""Where a criterion shows new minima for ever, it is their number that is to be reported."""

SCALES = 10.0 ** np.arange(-1.0, 4.01, 1 / 3)
"""Relative standard deviations along a face, in units of what a level brings; a valley is wider."""


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
    own = [*_suggested(criterion), *_on_faces(criterion)]
    count, waiting = 0, chain(given, own, _screened(criterion, seed))
    first = len(given) + len(own)
    while count < first or not (_is_enough(count, stops) or count >= MOST_DESCENTS):
        batch = list(islice(waiting, _next_batch(criterion, count, first, stops)))
        if not batch:
            break
        count += len(batch)
        for stop in search_from(criterion, np.array(batch), stops):
            _record(criterion, stops, stop)
    stops.sort(key=lambda s: s.deviance)
    if stops and criterion.cost < DEAR and beyond_float(criterion, stops):
        stops = sorted(in_balls(criterion, stops, own), key=lambda s: s.deviance)
    return stops, count


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


def _on_faces(criterion: FloatCriterion) -> Iterator[Floats]:
    """Lowest points along the faces of each covariance matrix, by direction and at any scale."""
    sizes = criterion.products.sizes
    for term, q in enumerate(sizes):
        if q == 1:
            continue
        lines, typical = directions(q, criterion.affordable // 8), criterion.typical(term)
        for flat in (lambda u: np.outer(u, u), lambda u: np.eye(len(u)) - np.outer(u, u))[: q - 1]:
            roots = [typical @ flat(u) for u in lines]
            for others in (1.0, SMALL) if len(sizes) > 1 else (1.0,):
                yield from _along(criterion, term, lines, roots, others)


def _along(
    criterion: FloatCriterion, term: int, lines: Floats, roots: Sequence[Floats], others: float
) -> Iterator[Floats]:
    """The lowest scale of each valley among the lines, the other terms at a scale of their own."""
    sizes = criterion.products.sizes
    rest = [np.zeros((q, q)) if b == term else others * np.eye(q) for b, q in enumerate(sizes)]
    alone = [np.zeros((q, q)) for q in sizes]
    on_lines = [
        criterion.vector([*alone[:term], _lower_root(root @ root.T), *alone[term + 1 :]])
        for root in roots
    ]
    scaled = np.array(on_lines)[:, None, :] * SCALES[:, None]
    points = (criterion.vector(rest) + scaled).reshape(len(lines) * len(SCALES), -1)
    values = criterion.values(points).reshape(len(lines), len(SCALES))
    values = np.where(np.isfinite(values), values, np.inf)
    for i in valleys(lines, values.min(axis=1)):
        yield points[i * len(SCALES) + int(values[i].argmin())]


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
        if same(old, new) or _in_one_valley(criterion, old, new):
            best = min(old, new, key=lambda s: s.deviance)
            stops[i] = replace(best, hits=old.hits + 1)
            return
    stops.append(new)


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
