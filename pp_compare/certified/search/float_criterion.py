"""The profiled deviance in float64 with exact derivatives, at many points at once.

The formulas are those of ``curvature``. Nothing here is a proof. The factor T of each random term
is unconstrained: the deviance depends on T T' and is smooth in T, so a variance of zero is an
ordinary stationary point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pp_compare.certified.components.component import floats
from pp_compare.certified.equations.crossproducts import CrossProducts
from pp_compare.certified.equations.parametrisation import lower_triangle
from pp_compare.certified.search.float_strata import FloatStratum, Solved

Floats = NDArray[np.float64]

SCREENING = 2e7
"""Multiplications that a look at many points may cost, about a tenth of a second."""

CHUNK = 2_000_000
"""Numbers that one pass over points may hold."""


class FloatCriterion:
    """Profiled deviance, gradient and Hessian over all entries of T, in float64."""

    def __init__(self, products: CrossProducts, reml: bool) -> None:
        self.products, self.reml = products, reml
        self.df = products.n - (products.p if reml else 0)
        self.parameters = lower_triangle(products.sizes)
        self._strata = [FloatStratum.of(products, s) for s in products.strata]
        p = products.p
        self._total = np.zeros((p + 1, p + 1))
        self._total[:p, :p], self._total[p, p] = floats(products.xx), float(products.yy)
        self._total[:p, p] = self._total[p, :p] = floats(products.xy)[:, 0]
        basis = np.diag(floats(products.coordinates.basis))
        self._constant = self.df * (
            1 + np.log(2 * np.pi / self.df) + products.coordinates.y_exponent * np.log(4.0)
        ) - (2 * float(np.log(basis).sum()) if reml else 0.0)
        self._constant -= float(products.log_weights)

    def factors(self, x: Floats) -> list[Floats]:
        """Unpack vectors over ``parameters``, (.., t), into lower-triangular (.., q, q) a term."""
        result = [np.zeros((*x.shape[:-1], q, q)) for q in self.products.sizes]
        for k, p in enumerate(self.parameters):
            result[p.block][..., p.row, p.column] = x[..., k]
        return result

    def vector(self, factors: Sequence[Floats]) -> Floats:
        """Pack lower-triangular factors into a vector over ``parameters``."""
        return np.array([factors[p.block][p.row, p.column] for p in self.parameters])

    def typical(self, term: int) -> Floats:
        """Root of the covariance (q, q) by which a level of the mean cross-product brings I."""
        spans = [
            (s.zz[:, start:stop, start:stop].sum(axis=0), len(s.zz))
            for s in self._strata
            for block, start, stop in s.spans
            if block == term
        ]
        levels = sum(count for _, count in spans)
        values, vectors = np.linalg.eigh(np.sum([zz for zz, _ in spans], axis=0) / levels)
        size = np.sqrt(np.maximum(values, 1e-12 * values[-1]))
        return np.asarray((vectors / size) @ vectors.T)

    @property
    def cost(self) -> int:
        """Multiplications at a point, about."""
        return sum(s.cost for s in self._strata)

    @property
    def affordable(self) -> int:
        """How many points to look at: a power of 2, about as dear together as a few descents."""
        return int(2 ** np.clip(np.floor(np.log2(SCREENING / self.cost)), 5, 9))

    def __call__(self, x: Floats) -> tuple[float, Floats, Floats]:
        """Return deviance, gradient (t,) and Hessian (t, t) at a vector over ``parameters``."""
        value, gradient, hessian = self.derivatives(np.asarray(x)[None])
        return float(value[0]), gradient[0], hessian[0]

    def derivatives(self, points: Floats) -> tuple[Floats, Floats, Floats]:
        """Deviance (N,), gradients (N, t) and Hessians (N, t, t); NaN where there is no value."""
        parts = [_at_points(self, part) for part in self._chunks(points, moments=True)]
        value, gradient, hessian = (np.concatenate(found) for found in zip(*parts, strict=True))
        return value, gradient, hessian

    def values(self, points: Floats) -> Floats:
        """Deviance at many points, (N, t); infinite or NaN where float64 has no value."""
        found = []
        for part in self._chunks(points, moments=False):
            T = self.factors(part)
            with np.errstate(all="ignore"):
                found.append(self.deviance(self.solve(T, moments=False)))
        return np.concatenate(found)

    def solve(self, T: Sequence[Floats], *, moments: bool = True) -> list[Solved]:
        """Every stratum at factors T, (N, q, q) a term."""
        G = [t @ t.swapaxes(1, 2) for t in T]
        return [s.solve(G, moments=moments) for s in self._strata]

    def left(self, solved: Sequence[Solved]) -> Floats:
        """[X y]'V^-1 [X y], (N, p + 1, p + 1)."""
        return np.asarray(self._total - sum(s.explained for s in solved))

    def deviance(self, solved: Sequence[Solved]) -> Floats:
        """Profiled deviance at each point."""
        p, left = self.products.p, self.left(solved)
        fixed = np.linalg.slogdet(left[:, :p, :p])[1] if p else np.zeros(len(left))
        whole = np.linalg.slogdet(left)
        quadratic = np.where(whole[0] > 0, whole[1] - fixed, np.nan)
        value = sum(s.logdet for s in solved) + self.df * quadratic + self._constant
        return np.asarray(value + (fixed if self.reml else 0.0))

    @property
    def strata(self) -> Sequence[FloatStratum]:
        """The strata, rounded."""
        return self._strata

    def _chunks(self, points: Floats, *, moments: bool) -> list[Floats]:
        size = sum(
            len(s.zz) * s.width * (s.zf.shape[2] + (s.width if moments else 4))
            for s in self._strata
        )
        return np.array_split(points, max(1, min(len(points), len(points) * size // CHUNK)))


@dataclass(frozen=True)
class _Sums:
    """Sums over levels at N points, as ``curvature._Sums`` has them."""

    pairs: dict[tuple[int, int], Floats]
    grams: list[Any]
    slopes: list[Any]


def _at_points(criterion: FloatCriterion, points: Floats) -> tuple[Floats, Floats, Floats]:
    t, p = points.shape[1], criterion.products.p
    T = criterion.factors(points)
    with np.errstate(all="ignore"):
        solved = criterion.solve(T)
        value, left = criterion.deviance(solved), criterion.left(solved)
        good = np.isfinite(value)
        left = np.where(good[:, None, None], left, np.eye(p + 1))
        H: Floats = np.asarray(np.linalg.inv(left[:, :p, :p]), dtype=np.float64)
        to_residual = np.zeros_like(left) + np.eye(p + 1)
        to_residual[:, :p, p] = -(H @ left[:, :p, p, None])[..., 0]
        q = left[:, p, p] + (left[:, p, None, :p] @ to_residual[:, :p, p, None])[:, 0, 0]
        sums = _sums(criterion, solved, H, to_residual, q)
        gradient, hessian = _chained(criterion, sums, T, H, q)
    bad = ~(good & np.isfinite(hessian).all(axis=(1, 2)))
    value = np.where(bad, np.inf, value)
    gradient[bad], hessian[bad] = np.nan, np.nan
    return value, gradient.reshape(-1, t), hessian


def _sums(
    criterion: FloatCriterion, solved: Sequence[Solved], H: Floats, to_residual: Floats, q: Floats
) -> _Sums:
    sizes, f = criterion.products.sizes, H.shape[1] + 1
    middle = np.zeros((len(q), f, f))
    middle[:, -1, -1] = criterion.df / q
    if criterion.reml:
        middle[:, :-1, :-1] = H
    pairs: dict[tuple[int, int], Any] = {
        (a, b): 0.0 for a in range(len(sizes)) for b in range(a + 1)
    }
    grams: list[Any] = [0.0] * len(sizes)
    slopes: list[Any] = [0.0] * len(sizes)
    for stratum, s in zip(criterion.strata, solved, strict=True):
        # One product a point, not one a component.
        long = s.F.reshape(len(q), -1, f) @ to_residual
        F, used = long.reshape(s.F.shape), (long @ middle).reshape(s.F.shape)
        R = 2 * (used @ F.swapaxes(2, 3)) - s.M
        at = stratum.starts
        for a, rows in at.items():
            n = sizes[a]
            Fa = _levels(F, rows, n).reshape(len(q), -1, n * f)
            grams[a] = grams[a] + Fa.swapaxes(1, 2) @ Fa
            for b, columns in at.items():
                if b > a:
                    continue
                pairs[a, b] = pairs[a, b] + _paired(s.M, R, rows, columns, (n, sizes[b]))
            slopes[a] = slopes[a] + _within(s.M, rows, n)
    for a, n in enumerate(sizes):
        gram = grams[a].reshape(len(q), n, f, n, f)
        slopes[a] = slopes[a] - np.einsum("Nixjy,Nxy->Nij", gram, middle)
    return _Sums(pairs, grams, slopes)


def _levels(F: Floats, rows: Sequence[int], n: int) -> Floats:
    """Rows of the levels of a term: they stand together."""
    return F[:, :, rows[0] : rows[-1] + n]


def _within(M: Floats, rows: Sequence[int], n: int) -> Floats:
    """The sum of the blocks of single levels, (N, n, n)."""
    own = M[:, :, rows[0] : rows[-1] + n, rows[0] : rows[-1] + n]
    found = np.empty((len(M), n, n))
    for i in range(n):
        for j in range(n):
            found[:, i, j] = np.einsum("Nkll->N", own[:, :, i::n, j::n])
    return found


def _paired(
    M: Floats, R: Floats, rows: Sequence[int], columns: Sequence[int], size: tuple[int, int]
) -> Floats:
    """Sums of products of entries of the blocks of all pairs of levels, (N, n m, n m)."""
    n, m = size
    where = np.s_[:, :, rows[0] : rows[-1] + n, columns[0] : columns[-1] + m]
    if n == m == 1:
        return np.asarray(np.einsum("Nkij,Nkij->N", M[where], R[where])[:, None, None])
    shape = (len(M), M.shape[1], len(rows), n, len(columns), m)
    left, right = (
        a[where].reshape(shape).transpose(0, 3, 5, 1, 2, 4).reshape(len(M), n * m, -1)
        for a in (M, R)
    )
    return np.asarray(left @ right.swapaxes(1, 2))


def _chained(
    criterion: FloatCriterion, sums: _Sums, T: Sequence[Floats], H: Floats, q: Floats
) -> tuple[Floats, Floats]:
    """From sums to derivatives in the entries of T."""
    parameters, sizes, df = criterion.parameters, criterion.products.sizes, criterion.df
    N, t, p = len(q), len(parameters), H.shape[1]
    A = [_direction(T[a.block], a.row, a.column) for a in parameters]
    hessian = np.zeros((N, t, t))
    fixed, pull, push = np.zeros((N, t, p, p)), np.zeros((N, t, p)), np.zeros((N, t))
    for i, a in enumerate(parameters):
        gram = sums.grams[a.block].reshape(N, sizes[a.block], p + 1, sizes[a.block], p + 1)
        all_of_it = np.einsum("Nixjy,Nij->Nxy", gram, A[i])
        fixed[:, i], pull[:, i] = all_of_it[:, :p, :p], all_of_it[:, :p, p]
        push[:, i] = all_of_it[:, p, p]
        for j, b in enumerate(parameters[: i + 1]):
            first, second, x, y = (a, b, A[i], A[j]) if a.block >= b.block else (b, a, A[j], A[i])
            n, m = sizes[first.block], sizes[second.block]
            table = sums.pairs[first.block, second.block].reshape(N, n, m, n, m)
            hessian[:, i, j] = np.einsum("Njkil,Nij,Nkl->N", table, x, y)
    if criterion.reml:
        spread = (H[:, None] @ fixed).reshape(N, t, -1)
        turned = (H[:, None] @ fixed).swapaxes(2, 3).reshape(N, t, -1)
        hessian -= spread @ turned.swapaxes(1, 2)
    hessian -= (2 * df / q)[:, None, None] * (pull @ H @ pull.swapaxes(1, 2))
    hessian -= (df / q**2)[:, None, None] * push[:, :, None] * push[:, None, :]
    lower = np.tril(hessian)
    hessian = lower + np.tril(lower, -1).swapaxes(1, 2)
    steep = [d @ f for d, f in zip(sums.slopes, T, strict=True)]
    gradient = np.stack([2 * steep[a.block][:, a.row, a.column] for a in parameters], axis=1)
    for i, a in enumerate(parameters):
        for j, b in enumerate(parameters):
            if (a.block, a.column) == (b.block, b.column):
                hessian[:, i, j] += 2 * sums.slopes[a.block][:, a.row, b.row]
    return gradient, hessian


def _direction(T: Floats, row: int, column: int) -> Floats:
    """The derivative E T' + T E' of T T' in one entry of T, (N, q, q)."""
    result = np.zeros_like(T)
    result[:, row] += T[:, :, column]
    result[:, :, row] += T[:, :, column]
    return result
