"""The profiled deviance in float64 with exact derivatives, and a search for its minima.

The formulas are those of ``curvature``, here over whole strata at a time. Nothing here is a
proof: the search finds the points that a proof then starts from. The factor T of each random term
is unconstrained: the deviance depends on T T' and is smooth in T, so a variance of zero is an
ordinary stationary point, and a trust-region Newton method (Nocedal & Wright 2006, algorithm 4.3)
reaches boundary and interior optima alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from flint import arb_mat
from numpy.typing import NDArray
from scipy.optimize import minimize

from pp_compare.certified.general.crossproducts import CrossProducts, Stratum
from pp_compare.certified.general.parametrisation import Parameter, lower_triangle
from pp_compare.certified.general.starts import basins, each_alone, enough, spread, suggested

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


SCREENING = 2e8
"""Multiplications that a look at many points may cost, about a tenth of a second."""

NARROW = 12
"""Coefficients of a component up to which numpy's passes over many points beat LAPACK's calls."""

MOST_DESCENTS = 64
"""Where a criterion shows new minima for ever, it is their number that is to be reported."""

CHUNK = 2_000_000
"""Numbers that one pass over points may hold."""


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


@dataclass(frozen=True)
class _FloatStratum:
    widths: tuple[tuple[int, int, int], ...]
    zz: Floats
    zx: Floats
    zy: Floats

    @cached_property
    def zf(self) -> Floats:
        """[zx zy], (k, r, p + 1)."""
        return np.concatenate([self.zx, self.zy[:, :, None]], axis=2)


class FloatCriterion:
    """Profiled deviance, gradient and Hessian over all entries of T, in float64."""

    def __init__(self, products: CrossProducts, reml: bool) -> None:
        self.products, self.reml = products, reml
        self.df = products.n - (products.p if reml else 0)
        self.parameters = lower_triangle(products.sizes)
        self._xx, self._xy = _floats(products.xx), _floats(products.xy)[:, 0]
        self._yy = float(products.yy)
        self._strata = [_float_stratum(products, s) for s in products.strata]
        p = len(self._xx)
        self._total = np.zeros((p + 1, p + 1))
        self._total[:p, :p], self._total[p, p] = self._xx, self._yy
        self._total[:p, p] = self._total[p, :p] = self._xy
        basis = np.diag(_floats(products.coordinates.basis))
        self._constant = self.df * (
            1 + np.log(2 * np.pi / self.df) + products.coordinates.y_exponent * np.log(4.0)
        ) - (2 * float(np.log(basis).sum()) if reml else 0.0)
        self._constant -= float(products.log_weights)

    def factors(self, x: Floats) -> list[Floats]:
        """Unpack a vector over ``parameters`` into one lower-triangular T a random term."""
        result = [np.zeros((q, q)) for q in self.products.sizes]
        for value, p in zip(x, self.parameters, strict=True):
            result[p.block][p.row, p.column] = value
        return result

    def vector(self, factors: Sequence[Floats]) -> Floats:
        """Pack lower-triangular factors into a vector over ``parameters``."""
        return np.array([factors[p.block][p.row, p.column] for p in self.parameters])

    def __call__(self, x: Floats) -> tuple[float, Floats, Floats]:
        """Return deviance, gradient (t,) and Hessian (t, t) at a vector over ``parameters``."""
        T = self.factors(x)
        solved = [_solve_stratum(s, T) for s in self._strata]
        H = np.asarray(np.linalg.inv(self._xx - sum(s.xgx for s in solved)), dtype=np.float64)
        xy = self._xy - sum(s.xgy for s in solved)
        beta = H @ xy
        q = self._yy - sum(s.ygy for s in solved) - xy @ beta
        logdet = sum(s.logdet for s in solved) - (np.linalg.slogdet(H)[1] if self.reml else 0.0)
        if not q > 0:
            return np.inf, np.full(len(x), np.nan), np.full((len(x), len(x)), np.nan)
        w = [s.v - s.C @ beta for s in solved]
        gradient, hessian = self._derivatives(T, solved, w, H, float(q))
        return float(logdet + self.df * np.log(q) + self._constant), gradient, hessian

    @property
    def affordable(self) -> int:
        """How many points to look at: a power of 2, about as dear together as a few descents."""
        cost = sum(len(s.zz) * (s.zz.shape[1] + 3) ** 3 for s in self._strata)
        return int(2 ** np.clip(np.floor(np.log2(SCREENING / cost)), 5, 9))

    def values(self, points: Floats) -> Floats:
        """Deviance at many points, (N, t); infinite or NaN where float64 has no value."""
        chunk = max(1, CHUNK // sum(s.zz.size + s.zx.size for s in self._strata))
        parts = [self._values(points[i : i + chunk]) for i in range(0, len(points), chunk)]
        return np.concatenate(parts)

    def _values(self, points: Floats) -> Floats:
        count, p = len(points), self.products.p
        T = [np.zeros((count, q, q)) for q in self.products.sizes]
        for column, at in zip(points.T, self.parameters, strict=True):
            T[at.block][:, at.row, at.column] = column
        left = np.zeros((count, p + 1, p + 1)) + self._total
        logdet = np.zeros(count)
        with np.errstate(all="ignore"):
            for s in self._strata:
                r = s.zz.shape[1]
                half = np.zeros((count, r, r))
                for block, start, stop in s.widths:
                    half[:, start:stop, start:stop] = T[block]
                turned = half.swapaxes(1, 2)[:, None]
                system = np.eye(r) + turned @ s.zz @ half[:, None]
                explained, spread_out = _explained(system, turned @ s.zf)
                left -= explained
                logdet += spread_out
            fixed = np.linalg.slogdet(left[:, :p, :p])[1] if p else np.zeros(count)
            whole = np.linalg.slogdet(left)
            quadratic = np.where(whole[0] > 0, whole[1] - fixed, np.nan)
            values = logdet + self.df * quadratic + self._constant
        return np.asarray(values + (fixed if self.reml else 0.0))

    def _derivatives(
        self, T: list[Floats], solved: list[_Solved], w: list[Floats], H: Floats, q: float
    ) -> tuple[Floats, Floats]:
        t, p = len(self.parameters), len(H)
        D = [np.zeros_like(f) for f in T]
        log_part, bent = np.zeros((t, t)), np.zeros((t, t))
        fixed, pull, push = np.zeros((t, p, p)), np.zeros((t, p)), np.zeros(t)
        for stratum, s, wk in zip(self._strata, solved, w, strict=True):
            W = s.M - s.C @ H @ s.C.transpose(0, 2, 1) if self.reml else s.M
            self._add_slopes(D, stratum, W, wk, self.df / q)
            A = np.array([_direction(stratum, T, parameter) for parameter in self.parameters])[
                :, None
            ]
            MA, AC, Aw = s.M @ A, A @ s.C, (A @ wk[..., None])[..., 0]
            log_part -= _inner(MA, MA.swapaxes(2, 3))
            if self.reml:
                log_part += 2 * _inner(AC, s.M @ AC @ H)
            fixed += (s.C.swapaxes(1, 2) @ AC).sum(1)
            bent += _inner(Aw, (s.M @ Aw[..., None])[..., 0])
            pull += np.tensordot(Aw, s.C, axes=2)
            push += np.tensordot(Aw, wk, axes=2)
        if self.reml:
            projected = H @ fixed
            log_part -= _inner(projected, projected.swapaxes(1, 2))
        bent -= pull @ H @ pull.T
        hessian = log_part + self.df * (2 * bent / q - np.outer(push, push) / q**2)
        return self._chain(D, T, hessian)

    def _add_slopes(
        self, D: list[Floats], stratum: _FloatStratum, W: Floats, w: Floats, weight: float
    ) -> None:
        for block, start, stop in stratum.widths:
            part = slice(start, stop)
            D[block] += W[:, part, part].sum(0) - weight * w[:, part].T @ w[:, part]

    def _chain(self, D: list[Floats], T: list[Floats], hessian: Floats) -> tuple[Floats, Floats]:
        """Add what the curvature of G = T T' in T contributes."""
        steep = [d @ f for d, f in zip(D, T, strict=True)]
        gradient = np.array([2 * steep[p.block][p.row, p.column] for p in self.parameters])
        for i, a in enumerate(self.parameters):
            for j, b in enumerate(self.parameters):
                if (a.block, a.column) == (b.block, b.column):
                    hessian[i, j] += 2 * D[a.block][a.row, b.row]
        return gradient, hessian


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
    count = 0
    given = [start for start in starts if np.isfinite(start).all()]
    own = list(_suggested(criterion))
    for start in (*given, *own, *_screened(criterion, seed)):
        minima = sum(stop.stationary for stop in stops)
        if count >= len(given) + len(own) and (enough(count, minima) or count >= MOST_DESCENTS):
            break
        count += 1
        stop = _descend(criterion, start)
        if stop is not None:
            _record(criterion, stops, stop)
    return sorted(stops, key=lambda s: s.deviance), count


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


def _descend(criterion: FloatCriterion, start: Floats) -> Stop | None:
    @lru_cache(maxsize=4)
    def evaluate(key: bytes) -> tuple[float, Floats, Floats]:
        return criterion(np.frombuffer(key))

    def deviance_at(x: Floats) -> float:
        return evaluate(x.tobytes())[0]

    def gradient_at(x: Floats) -> Floats:
        return evaluate(x.tobytes())[1]

    def hessian_at(x: Floats) -> Floats:
        return evaluate(x.tobytes())[2]

    try:
        result = minimize(
            deviance_at,
            start,
            method="trust-exact",
            jac=gradient_at,
            hess=hessian_at,
            options={"gtol": 1e-7, "maxiter": 100},
        )
    except (ValueError, np.linalg.LinAlgError):
        return None  # scipy's and numpy's word for numbers that overflow far out
    x = np.asarray(result.x, dtype=np.float64)
    deviance, gradient, hessian = evaluate(x.tobytes())
    if not np.isfinite(deviance):
        return None
    # One step more, across a flat direction where there is one: a proof may not come after it.
    closer = x - np.linalg.pinv(hessian, rcond=1e-8, hermitian=True) @ gradient
    value, slope, _ = criterion(closer)
    if np.isfinite(value) and np.abs(slope).max() < np.abs(gradient).max():
        x, deviance, gradient = closer, value, slope
    return Stop(tuple(criterion.factors(x)), deviance, bool(np.abs(gradient).max() < FLAT))


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


@dataclass(frozen=True)
class _Solved:
    """One stratum at a given G; k components of r coefficients: M (k,r,r), C (k,r,p), v (k,r)."""

    M: Floats
    C: Floats
    v: Floats
    xgx: Floats
    xgy: Floats
    ygy: float
    logdet: float


def _solve_stratum(s: _FloatStratum, T: Sequence[Floats]) -> _Solved:
    r = s.zz.shape[1]
    G = np.zeros((r, r))
    for block, start, stop in s.widths:
        G[start:stop, start:stop] = T[block] @ T[block].T
    system = np.eye(r) + s.zz @ G
    solved = np.linalg.solve(system, np.concatenate([s.zz, s.zx, s.zy[:, :, None]], axis=2))
    M, C, v = solved[:, :, :r], solved[:, :, r:-1], solved[:, :, -1]
    Gy = s.zy @ G
    return _Solved(
        M=M,
        C=C,
        v=v,
        xgx=np.tensordot(s.zx, G @ C, axes=([0, 1], [0, 1])),
        xgy=np.tensordot(Gy, C, axes=2),
        ygy=float((Gy * v).sum()),
        logdet=float(np.linalg.slogdet(system)[1].sum()),
    )


def _explained(system: Floats, side: Floats) -> tuple[Floats, Floats]:
    """Sums over k of B'S^-1 B and log|S| for S (N, k, r, r), positive definite, and B (N, k, r, f).

    Narrow systems are eliminated all at once, which costs a tenth of as many calls of LAPACK.
    """
    r = system.shape[-1]
    if r > NARROW:
        whole = side.swapaxes(2, 3) @ np.linalg.solve(system, side)
        return whole.sum(axis=1), np.linalg.slogdet(system)[1].sum(axis=1)
    rows = np.concatenate([system, side], axis=3).transpose(2, 3, 0, 1).copy()
    logdet: Any = 0.0
    products: Any = 0.0
    for j in range(r):
        pivot = rows[j, j]
        logdet = logdet + np.log(pivot)
        ratio = rows[j + 1 :, j] / pivot
        rows[j + 1 :, j:] -= ratio[:, None] * rows[j, j:]
        reduced = rows[j, r:]
        products = products + np.einsum("ink,jnk->nij", reduced / pivot, reduced)
    return products, logdet.sum(axis=1)


def _direction(s: _FloatStratum, T: Sequence[Floats], parameter: Parameter) -> Floats:
    r = s.zz.shape[1]
    result = np.zeros((r, r))
    column = T[parameter.block][:, parameter.column]
    for block, start, stop in s.widths:
        if block == parameter.block:
            result[start + parameter.row, start:stop] += column
            result[start:stop, start + parameter.row] += column
    return result


def _inner(a: Floats, b: Floats) -> Floats:
    """Gram matrix over the first axis."""
    inner: Floats = a.reshape(len(a), -1) @ b.reshape(len(b), -1).T
    return inner


def _float_stratum(products: CrossProducts, stratum: Stratum) -> _FloatStratum:
    offsets = products.offsets(stratum)
    return _FloatStratum(
        widths=tuple(
            (block, start, start + products.sizes[block])
            for block, start in zip(stratum.blocks, offsets, strict=True)
        ),
        zz=np.array([_floats(c.zz) for c in stratum.components]),
        zx=np.array([_floats(c.zx) for c in stratum.components]),
        zy=np.array([_floats(c.zy)[:, 0] for c in stratum.components]),
    )


def _floats(a: arb_mat) -> Floats:
    values = [float(entry) for entry in a.entries()]
    return np.array(values, dtype=np.float64).reshape(a.nrows(), a.ncols())
