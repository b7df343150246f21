"""What the local proof covers: a set of covariances on which the optimum is the lowest.

In the chart of ``general.face``, G = T T' + R, let T vary over a box in which the criterion on the
face is strictly convex with its stationary point inside (Krawczyk), and R over all positive
semidefinite matrices up to a size e. If D[N, N], the slope off the face, is positive definite over
all of that set, then the criterion rises along every (T, s R) and

    f(T, R) >= f(T, 0) >= f(T*, 0).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from flint import arb, arb_mat, ctx
from numpy.typing import NDArray

from pp_compare.certified.cover.enclosures import Enclosures
from pp_compare.certified.cover.values import BITS
from pp_compare.certified.general.crossproducts import CrossProducts
from pp_compare.certified.general.curvature import slopes
from pp_compare.certified.general.face import Face
from pp_compare.certified.general.krawczyk import NotProvedError, cholesky
from pp_compare.certified.general.mixed_equations import Solution, perturb, solve

Floats = NDArray[np.float64]

SIZES = tuple(4.0**-k for k in range(12))
"""Sizes of R that are tried, the largest first, in units of one over a level's largest Z'Z."""


@dataclass(frozen=True)
class Neighbourhood:
    """Bounds of T on the face, and of R off it; doubles, inside what is proved."""

    face: Face
    low: list[Floats]
    high: list[Floats]
    size: float

    @staticmethod
    def around(
        products: CrossProducts, face: Face, point: arb_mat, box: arb_mat, *, reml: bool
    ) -> Neighbourhood | None:
        """Take the largest R for which the slope off the face is certain; None if there is none.

        Parameters
        ----------
        products : CrossProducts
        face : Face
        point, box : (t, 1) arb_mat
            A point of the face, and the box of uniqueness around it.
        reml : bool
        """
        with ctx.workprec(BITS):
            factors = face.factors(box)
            middle = face.factors(point.mid())
            centre = solve(products, [t * t.transpose() for t in middle])
            unit = 1.0 / max(_largest(products), 1e-300)
            for share in SIZES if face.singular else (1.0,):
                if _rises(centre, face, factors, share * unit, reml):
                    low, high = zip(*(_inside(f) for f in factors), strict=True)
                    return Neighbourhood(face, list(low), list(high), share * unit * 0.999)
        return None

    def holds(self, corners: Sequence[Enclosures]) -> NDArray[np.bool_]:
        """Which cells, given by corners (N, corners, q, q) a term, lie inside."""
        inside = np.ones(len(corners[0].mid), dtype=bool)
        for term, G in enumerate(corners):
            low, high = G.lower.min(axis=1), G.upper.max(axis=1)
            whole = Enclosures((low + high) / 2, (high - low) / 2 * (1 + 1e-14))
            inside &= self._holds_one(term, whole)
        return inside

    def _holds_one(self, term: int, G: Enclosures) -> NDArray[np.bool_]:
        rest, found = G, np.ones(len(G.mid), dtype=bool)
        q, pivots = G.mid.shape[-1], self.face.pivots[term]
        for column, pivot in enumerate(pivots):
            with np.errstate(all="ignore"):
                root = _root(rest[:, pivot, pivot])
                entries = rest[:, :, pivot] * root.reciprocal()[:, None]
            for row in (i for i in range(q) if i not in pivots[:column]):
                value = root if row == pivot else entries[:, row]
                found &= value.lower >= self.low[term][row, column]
                found &= value.upper <= self.high[term][row, column]
            rest = rest - entries[:, :, None] * entries[:, None, :]
        others = [i for i in range(q) if i not in pivots]
        for i in others:
            found &= rest[:, i, i].upper <= self.size
        return found


def _root(x: Enclosures) -> Enclosures:
    """Square root; NaN where x may be negative."""
    low, high = np.sqrt(x.lower) * (1 - 1e-15), np.sqrt(x.upper) * (1 + 1e-15)
    mid = (low + high) / 2
    return Enclosures(mid, (high - low) / 2 + 1e-15 * np.abs(mid))


def _largest(products: CrossProducts) -> float:
    return max(
        float(c.zz[i, i]) for s in products.strata for c in s.components for i in range(c.zz.nrows())
    )


def _rises(
    centre: Solution, face: Face, factors: Sequence[arb_mat], size: float, reml: bool
) -> bool:
    """Whether D[N, N] is positive definite wherever T is in its box and R at most ``size``."""
    if not face.singular:
        return True
    G = []
    for term, factor in enumerate(factors):
        others = face.dependent(term)
        covariance = factor * factor.transpose()
        for i in others:
            for j in others:
                # |R_ij| <= size for a positive semidefinite R with diagonal up to size
                covariance[i, j] += arb(size / 2, size / 2) if i == j else arb(0, size)
        G.append(covariance)
    try:
        for normal in face.normals(slopes(perturb(centre, G), reml)):
            cholesky(normal)
    except NotProvedError:
        return False
    return True


def _inside(box: arb_mat) -> tuple[Floats, Floats]:
    """Doubles certainly inside the bounds of balls; where there are none, bounds of nothing."""
    shape = box.nrows(), box.ncols()
    low, high = np.full(shape, np.inf), np.full(shape, -np.inf)
    for i, row in enumerate(box.tolist()):
        for j, ball in enumerate(row):
            mid, rad = float(ball.mid()), float(ball.rad()) * (1 - 1e-9)
            if ball.contains(arb(mid - rad)) and ball.contains(arb(mid + rad)):
                low[i, j], high[i, j] = mid - rad, mid + rad
    return low, high
