"""A lower bound of y'Py that is linear in the covariances: weak duality.

y'P(V)y is the least value of (y - X b)'V^-1 (y - X b) over b, and for every l with X'l = 0

    y'P(V)y >= 2 l'y - l'V l,

with equality at l = P(V)y. The right side is linear in V. So an l that is only about P(V0)y, from
ordinary double precision, gives a true bound for all V at once, of which only sums of products have
to be enclosed, no solution of equations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from flint import arb_mat, ctx
from numpy.typing import NDArray

from pp_compare.certified.cover.enclosures import Enclosures
from pp_compare.certified.cover.values import BITS, bordered
from pp_compare.certified.equations.crossproducts import CrossProducts
from pp_compare.certified.search.float_criterion import FloatCriterion
from pp_compare.certified.search.float_strata import FloatStratum

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Minorant:
    """N linear functions: ``level`` (N,) less the sum over terms of tr(G ``slope``), (N, q, q)."""

    level: Enclosures
    slopes: list[Enclosures]

    def below(self, G: Sequence[Enclosures]) -> Floats:
        """Lower bounds of y'Py at covariances (N, vertices, q, q), one a term."""
        value = self.level[:, None]
        for g, slope in zip(G, self.slopes, strict=True):
            value = value - (g * slope[:, None]).sum(axis=(2, 3))
        return value.lower


class Dual:
    """Makes a `Minorant` that touches y'Py nearly at given covariances."""

    def __init__(self, products: CrossProducts) -> None:
        self.products, p = products, products.p
        self._floats = FloatCriterion(products, reml=False)
        with ctx.workprec(BITS):
            self._zz = [_stacked([c.zz for c in s.components]) for s in products.strata]
            self._zf = [_stacked([c.zf for c in s.components]) for s in products.strata]
            total = Enclosures.of_balls(bordered(products))
        self._xx, self._xy, self._yy = total[:p, :p], total[:p, p], total[p, p]
        off = Enclosures(self._xx.mid - np.eye(p), self._xx.rad)
        # |X'X - I| < 1 bounds the inverse: its norm is at most 1 / (1 - |X'X - I|).
        size = float(np.sqrt(((np.abs(off.mid) + off.rad) ** 2).sum())) * 1.0001 + 1e-15
        self._inverse = 1.0001 / (1.0 - size) if size < 0.5 else np.inf

    def at(self, G: Sequence[Floats]) -> Minorant:
        """Touch at positive semidefinite covariances, (N, q, q) a term."""
        p, floats = self.products.p, self._floats
        with np.errstate(all="ignore"):
            solved = [s.solve(G, moments=True) for s in floats.strata]
            left = floats.left(solved)
            solution = _solved(left[:, :p, :p], left[:, :p, p:])
            beta: Floats = np.asarray(solution[..., 0], dtype=np.float64)
            u = [
                _effects(s, G, found.F[..., :p] @ -beta[:, None, :, None] + found.F[..., p:])
                for s, found in zip(floats.strata, solved, strict=True)
            ]
            return self._of(u, beta)

    def _of(self, u: Sequence[Floats], beta: Floats) -> Minorant:
        """For l = y - X b - Z u, b moved from ``beta`` to where X'l = 0."""
        p = self.products.p
        b = Enclosures.exact(beta)
        off = self._xy[None] - (self._xx[None] @ b[:, :, None])[..., 0]
        exact = [Enclosures.exact(v) for v in u]
        for zf, v in zip(self._zf, exact, strict=True):
            off = off - (zf[None, :, :, :p] * v).sum(axis=(1, 2))
        size = np.sqrt(((np.abs(off.mid) + off.rad) ** 2).sum(axis=1)) * 1.0001
        b = Enclosures(beta, np.repeat((size * self._inverse)[:, None], p, axis=1))
        level = self._yy - (b * self._xy[None]).sum(axis=1)
        slopes = [Enclosures.exact(np.zeros((len(beta), q, q))) for q in self.products.sizes]
        for stratum, zz, zf, v in zip(self._floats.strata, self._zz, self._zf, exact, strict=True):
            kept = zf[None, :, :, p:] - zz[None] @ v - zf[None, :, :, :p] @ b[:, None, :, None]
            level = level + (v * (kept - zf[None, :, :, p:])).sum(axis=(1, 2, 3))
            for term, start, stop in stratum.spans:
                own = kept[:, :, start:stop, 0]
                slopes[term] += (own[..., :, None] * own[..., None, :]).sum(axis=1)
        return Minorant(level, slopes)


def _solved(left: Floats, right: Floats) -> Floats:
    """Fixed effects; where X'V^-1 X has no digits left, any will do: every l gives a bound."""
    try:
        return np.asarray(np.linalg.solve(left, right))
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.pinv(np.nan_to_num(left)) @ np.nan_to_num(right))


def _effects(stratum: FloatStratum, G: Sequence[Floats], w: Floats) -> Floats:
    """G w of every level, (N, k, r, 1)."""
    result = np.empty_like(w)
    for term, start, stop in stratum.spans:
        result[:, :, start:stop] = G[term][:, None] @ w[:, :, start:stop]
    return result


def _stacked(matrices: Sequence[arb_mat]) -> Enclosures:
    parts = [Enclosures.of_balls(m) for m in matrices]
    return Enclosures(np.stack([p.mid for p in parts]), np.stack([p.rad for p in parts]))
