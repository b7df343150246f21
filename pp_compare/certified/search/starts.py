"""Where a search begins, and when it may end.

Many points are looked at cheaply, spread over all scales of each random effect, over its
correlations and over the boundary (variances of 0, correlations of +-1). A point from which no
neighbour is lower is a start: the multi level single linkage of Rinnooy Kan & Timmer (1987,
Mathematical Programming 39, 57-78), with neighbours instead of a radius. Before them come the
starts that the model itself suggests, and the lowest points of the faces on which a covariance
matrix has rank one, or lacks one: a valley there is narrow in its direction, as where two clusters
are fitted all but exactly by one line, and points that are spread over the space miss it.

The search ends by the rule of Boender & Rinnooy Kan (1987, Mathematical Programming 37, 59-80):
where n descents have led to w minima, the posterior expectation of their number, with all numbers
and basins equally likely beforehand, is w (n - 1) / (n - w - 2); it ends when fewer than half a
minimum is left to expect.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from pp_compare.certified.equations.parametrisation import lower_triangle

Floats = NDArray[np.float64]

SMALLEST, LARGEST = -2.0, 3.0
"""Powers of ten of the relative standard deviations that are looked at, in units of each column's
size: below, a random effect is a hundredth of the noise and the criterion flat; above, a thousand
times, and the criterion a straight line in the logarithm."""

EDGE = 0.1
"""Share of the points with a given variance at 0, and with a given angle at each of its ends."""

SMALL = 1e-2
"""Relative standard deviation that stands for 0 in a start: a descent can leave it, 0 it cannot."""


def enough(descents: int, minima: int) -> bool:
    """Whether fewer than half a minimum is to be expected beyond those that were found."""
    left = descents - minima - 2
    return left > 0 and minima * (descents - 1) < (minima + 0.5) * left


def suggested(sizes: Sequence[int], levels: Sequence[int], n: int) -> list[list[Floats]]:
    """Starts of lme4 and nlme: factors T of each random term.

    lme4 begins at the identity (Bates et al. 2015, section 2.3); nlme at 1 / 0.375 over the root
    of the mean sum of squares of each column within a level (Pinheiro & Bates 2000, section 3.1).
    """
    per_level = [max(n / m, 1.0) for m in levels]
    return [
        [np.eye(q) for q in sizes],
        [np.eye(q) / (0.375 * rows**0.5) for q, rows in zip(sizes, per_level, strict=True)],
    ]


def each_alone(sizes: Sequence[int]) -> Iterator[list[list[Floats]]]:
    """For each selection of the random terms: those at several scales, the others nearly 0."""
    terms = range(len(sizes))
    chosen = [set(c) for k in terms[1:] for c in combinations(terms, k)] if len(sizes) < 5 else []
    for some in [*chosen, set(terms)]:
        yield [
            [(10.0**power if b in some else SMALL) * np.eye(q) for b, q in enumerate(sizes)]
            for power in np.arange(-1.5, LARGEST + 0.5, 0.5)
        ]


def directions(q: int, count: int) -> Floats:
    """Lines through the origin of q dimensions, (count, q) unit vectors: evenly spread for two."""
    if q == 2:
        angle = np.pi * np.arange(count) / count
        return np.column_stack([np.cos(angle), np.sin(angle)])
    from scipy.special import ndtri  # noqa: PLC0415 - as in `spread`
    from scipy.stats import qmc  # noqa: PLC0415

    cube = qmc.Sobol(q, rng=np.random.default_rng(q)).random_base2(int(np.log2(count)))
    normal = ndtri(np.clip(cube, 1e-9, 1 - 1e-9))
    return np.asarray(normal / np.linalg.norm(normal, axis=1, keepdims=True))


def valleys(lines: Floats, values: Floats) -> list[int]:
    """Lines (N, q) that are lower than those next to them, the lowest first."""
    planes = (lines[:, :, None] * lines[:, None, :]).reshape(len(lines), -1)
    return basins(planes, values, neighbours=2 * lines.shape[1] - 1)


def spread(sizes: Sequence[int], count: int, seed: int) -> tuple[Floats, Floats]:
    """Points spread over the whole parameter space (Sobol's sequence).

    Returns
    -------
    cube : (count, t) array
        In [0, 1]: what neighbourhood is measured by.
    points : (count, t) array
        Entries of the factors, as `lower_triangle` orders them.
    """
    from scipy.stats import qmc  # noqa: PLC0415 - half a second that few processes need

    t = len(lower_triangle(sizes))
    cube = qmc.Sobol(t, rng=np.random.default_rng(seed)).random_base2(int(np.log2(count)))
    columns: list[Floats] = []
    at = 0
    for q in sizes:
        deviations = _deviations(cube[:, at : at + q])
        at += q
        factor = np.zeros((len(cube), q, q))
        for row in range(q):
            factor[:, row, : row + 1] = deviations[:, row, None] * _directions(
                cube[:, at : at + row]
            )
            at += row
        columns += [factor[:, row, column] for column in range(q) for row in range(column, q)]
    return cube, np.array(columns).T


def _deviations(u: Floats) -> Floats:
    inside = np.clip((u - EDGE) / (1 - EDGE), 0.0, 1.0)
    return np.where(u < EDGE, 0.0, 10 ** (SMALLEST + (LARGEST - SMALLEST) * inside))


def _directions(u: Floats) -> Floats:
    """Unit vectors, (count, d + 1), the last coordinate at least 0, from d angles."""
    angle = np.pi * np.clip((u - EDGE) / (1 - 2 * EDGE), 0.0, 1.0)
    result = np.ones((len(u), u.shape[1] + 1))
    for k in range(u.shape[1]):
        result[:, k] *= np.cos(angle[:, k])
        result[:, k + 1 :] *= np.sin(angle[:, k])[:, None]
    return result


def basins(cube: Floats, values: Floats, neighbours: int | None = None) -> list[int]:
    """Points that are lower than all their nearest neighbours, the lowest first.

    Parameters
    ----------
    cube : (N, d) array
    values : (N,) array
    neighbours : int, optional
        How many are asked, the point among them; those next to it in d dimensions by default.
    """
    from scipy.spatial import cKDTree  # noqa: PLC0415 - a tenth of a second that few models need

    finite = np.flatnonzero(np.isfinite(values))
    if len(finite) == 0:
        return []
    asked = min(neighbours or 2 * cube.shape[1] + 2, len(finite))
    _, near = cKDTree(cube[finite]).query(cube[finite], k=asked)
    near = near.reshape(len(finite), -1)
    lowest = values[finite] <= values[finite][near].min(axis=1)
    found = finite[lowest]
    return [int(i) for i in found[np.argsort(values[found], kind="stable")]]
