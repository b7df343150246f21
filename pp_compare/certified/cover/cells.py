"""Pieces of the space of relative covariances, term by term.

One coefficient a level: g in [l, u], two columns. Two: G = b I + t v v' with t and b at least 0 and
v a direction, which is every positive semidefinite matrix (b its smaller eigenvalue); t in
[t1, t2], b in [b1, b2] and the angle of v in pi [f1, f2], six columns. Upper ends of g, t and b may
be infinite.

A cell of two coefficients lies in the convex hull of b I + t P, P one of v1 v1', v2 v2' and
(v1 v2' + v2 v1') / (2 v1'v2): a direction between v1 and v2 is a v1 + c v2 with a, c >= 0, so that
its square is a combination of the three with positive weights. The last one is indefinite, V at it
need not be positive definite, and then the hull says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise, product

import numpy as np
from numpy.typing import NDArray

from pp_compare.certified.cover.enclosures import Enclosures
from pp_compare.certified.cover.values import Covariances

Floats = NDArray[np.float64]

MARGIN = 1e-13
"""By how much t is widened for what rounding does to the lengths of directions: 1e-15."""

FAR = 16.0
"""An unbounded interval [l, inf) is split at this times l."""

SECTORS = 4
"""Of the half circle of directions, to begin with: P is finite for angles below pi / 2."""


@dataclass(frozen=True)
class Corners:
    """Points of N cells, and which of them have every lower end; (N, corners) together.

    ``G`` holds entries (N, corners, q, q) a term, ``at`` the same flattened with determinants.
    """

    G: list[Enclosures]
    at: list[Covariances]
    lower: NDArray[np.bool_]

    @property
    def count(self) -> int:
        """Corners of a cell."""
        return len(self.lower)


def everything(sizes: Sequence[int]) -> Floats:
    """Cells that cover all covariances, (cells, columns)."""
    parts = []
    for q in sizes:
        ends = [(0.0, 1.0), (1.0, np.inf)]
        if q == 1:
            parts.append([list(end) for end in ends])
            continue
        angles = np.linspace(0.0, 1.0, SECTORS + 1)
        parts.append([[*t, *b, f1, f2] for t in ends for b in ends for f1, f2 in pairwise(angles)])
    return np.array([list(chain(*chosen)) for chosen in product(*parts)])


def columns(sizes: Sequence[int]) -> list[slice]:
    """Which columns of a cell belong to each term."""
    widths = [2 if q == 1 else 6 for q in sizes]
    ends = np.cumsum([0, *widths])
    return [slice(int(a), int(b)) for a, b in pairwise(ends)]


def bounded(cells: Floats) -> NDArray[np.bool_]:
    """Which cells have finite ends."""
    return np.asarray(np.isfinite(cells).all(axis=1))


def corners(cells: Floats, sizes: Sequence[int]) -> Corners:
    """The corners of cells; an infinite end is replaced by the lower one."""
    parts = [
        _corners_of_one(cells[:, c]) if q == 1 else _corners_of_two(cells[:, c])
        for q, c in zip(sizes, columns(sizes), strict=True)
    ]
    choices = np.array(list(product(*(range(len(low)) for _, _, low in parts))))
    G, at = [], []
    for (entries, determinants, _), chosen in zip(parts, choices.T, strict=True):
        whole, flat = entries[:, chosen], determinants[:, chosen]
        q = whole.mid.shape[-1]
        G.append(whole)
        at.append(
            Covariances(
                Enclosures(whole.mid.reshape(-1, q, q), whole.rad.reshape(-1, q, q)),
                Enclosures(flat.mid.ravel(), flat.rad.ravel()),
            )
        )
    low = np.array([[part[2][i] for part, i in zip(parts, row, strict=True)] for row in choices])
    return Corners(G, at, np.asarray(low.all(axis=1)))


def above(cells: Floats, sizes: Sequence[int]) -> list[Covariances]:
    """One covariance a term above all of a cell; the cell has to be bounded."""
    result = []
    for q, c in zip(sizes, columns(sizes), strict=True):
        part = cells[:, c]
        size = part[:, 1] if q == 1 else (part[:, 1] + part[:, 3]) * (1 + MARGIN)
        result.append(_multiple_of_unit(size, q))
    return result


def below_two(cells: Floats) -> tuple[Floats, Floats, list[Covariances]]:
    """t1 and b1 of cells of one term with two coefficients, and (t1 + b1) I."""
    t, b = cells[:, 0], cells[:, 2]
    return t, b, [_multiple_of_unit((t + b) * (1 + MARGIN), 2)]


def _multiple_of_unit(size: Floats, q: int) -> Covariances:
    g = Enclosures.exact(size)
    eye = Enclosures.exact(np.eye(q))
    return Covariances(g[:, None, None] * eye[None], g if q == 1 else g * g)


def centres(cells: Floats, sizes: Sequence[int]) -> list[Floats]:
    """A covariance inside each bounded cell, (N, q, q) a term: where to touch y'Py."""
    result = []
    for q, c in zip(sizes, columns(sizes), strict=True):
        part = cells[:, c]
        t = _between(part[:, 0], part[:, 1])
        if q == 1:
            result.append(t[:, None, None])
            continue
        b, angle = _between(part[:, 2], part[:, 3]), np.pi * (part[:, 4] + part[:, 5]) / 2
        v = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        result.append(
            b[:, None, None] * np.eye(2) + t[:, None, None] * v[:, :, None] * v[:, None, :]
        )
    return result


def halves(cells: Floats, sizes: Sequence[int]) -> Floats:
    """Split each cell across its longest side, measured by what it changes in V.

    Columns of Z are such that a level's Z'Z is about the unit matrix: a variance g counts as
    log(1 + g), and turning v by an angle as the off-diagonal that it makes, in units of the
    variances there.
    """
    rows = np.arange(len(cells))
    sides, ends = [], []
    for q, c in zip(sizes, columns(sizes), strict=True):
        at = c.start
        for first in range(at, at + (2 if q == 1 else 4), 2):
            sides.append(_length(cells[:, first], cells[:, first + 1]))
            ends.append(first)
        if q == 2:
            t1, t2, b1 = cells[:, at], cells[:, at + 1], cells[:, at + 2]
            t = np.where(np.isfinite(t2), t2, t1)
            turn = np.pi * (cells[:, at + 5] - cells[:, at + 4])
            sides.append(2 * turn * t / np.sqrt((1 + b1) * (1 + t + b1)))
            ends.append(at + 4)
    first = np.array(ends)[np.argmax(np.stack(sides), axis=0)]
    low, high = cells[rows, first], cells[rows, first + 1]
    is_angle = np.isin(
        first, [c.start + 4 for q, c in zip(sizes, columns(sizes), strict=True) if q == 2]
    )
    middle = np.where(is_angle, (low + high) / 2, _split_at(low, high))
    left, right = cells.copy(), cells.copy()
    left[rows, first + 1], right[rows, first] = middle, middle
    return np.concatenate([left, right])


def _length(low: Floats, high: Floats) -> Floats:
    far = np.where(np.isfinite(high), high, FAR**2 * (1 + low))
    return np.asarray(np.log1p(far) - np.log1p(low))


def _between(low: Floats, high: Floats) -> Floats:
    return np.asarray(np.clip(np.sqrt((1 + low) * (1 + high)) - 1, low, high))


def _split_at(low: Floats, high: Floats) -> Floats:
    finite = np.where(np.isfinite(high), high, 0.0)
    inside = _between(low, np.maximum(finite, low))
    # Below about 1e-8 the middle of log(1 + g) loses its digits to rounding.
    inside = np.where((inside <= low) | (inside >= finite), (low + finite) / 2, inside)
    return np.where(np.isfinite(high), inside, FAR * np.maximum(low, 1.0))


def _corners_of_one(part: Floats) -> tuple[Enclosures, Enclosures, list[bool]]:
    high = np.where(np.isfinite(part[:, 1]), part[:, 1], part[:, 0])
    values = Enclosures.exact(np.stack([part[:, 0], high], axis=1))
    return values[:, :, None, None], values, [True, False]


def _corners_of_two(part: Floats) -> tuple[Enclosures, Enclosures, list[bool]]:
    squares, flats, traces = _generators(part[:, 4], part[:, 5])
    t = np.stack([part[:, 0], np.where(np.isfinite(part[:, 1]), part[:, 1], part[:, 0])], axis=1)
    b = np.stack([part[:, 2], np.where(np.isfinite(part[:, 3]), part[:, 3], part[:, 2])], axis=1)
    t = t * np.array([1 - MARGIN, 1 + MARGIN])
    G, D, low = [], [], []
    eye = Enclosures.exact(np.eye(2))[None]
    for i, j, k in product(range(2), range(2), range(3)):
        tt, bb = Enclosures.exact(t[:, i]), Enclosures.exact(b[:, j])
        G.append(bb[:, None, None] * eye + tt[:, None, None] * squares[k])
        D.append(bb * bb + bb * tt * traces[k] + tt * tt * flats[k])
        low.append(i == 0 and j == 0)
    return _beside(G), _beside(D), low


def _generators(
    f1: Floats, f2: Floats
) -> tuple[list[Enclosures], list[Enclosures], list[Enclosures]]:
    """The three P with their determinants and traces."""
    v, w = _direction(f1), _direction(f2)
    scale = Enclosures.exact(1 / (2 * (v[:, 0] * w[:, 0] + v[:, 1] * w[:, 1])))
    a, c = Enclosures.exact(v), Enclosures.exact(w)
    mixed = a[:, :, None] * c[:, None, :]
    turned = Enclosures(mixed.mid.swapaxes(1, 2), mixed.rad.swapaxes(1, 2))
    between = (mixed + turned) * scale[:, None, None]
    across = (a[:, 0] * c[:, 1] - a[:, 1] * c[:, 0]) * scale
    squares = [a[:, :, None] * a[:, None, :], c[:, :, None] * c[:, None, :], between]
    zero = Enclosures.exact(np.zeros(len(f1)))
    traces = [s[:, 0, 0] + s[:, 1, 1] for s in squares]
    return squares, [zero, zero, -(across * across)], traces


def _direction(f: Floats) -> Floats:
    """The same doubles for one f in every cell, and opposite ones for 0 and 1."""
    v = np.stack([np.cos(np.pi * f), np.sin(np.pi * f)], axis=1)
    v[f == 1.0] = [-1.0, 0.0]
    return v


def _beside(parts: Sequence[Enclosures]) -> Enclosures:
    return Enclosures(
        np.stack([p.mid for p in parts], axis=1), np.stack([p.rad for p in parts], axis=1)
    )
