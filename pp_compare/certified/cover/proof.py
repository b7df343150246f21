"""The proof that a local optimum is the global one: every piece of the space is excluded.

The profiled deviance is f = L + d log q with L the log determinants, d the degrees of freedom and
q = y'Py. As functions of the covariances G, in which V is linear, L is concave and increasing, q is
convex and decreasing (in the order of positive semidefinite matrices; under REML L is log|K'VK|
with the columns of K spanning what X leaves, up to a constant). Three bounds follow.

*Second order.* With a linear function m <= q (``bounds``) that is positive on a polytope,
L + d log m is concave there, so that its least value is at a corner:

    f >= min over corners of L + d log m.

*First order.* On all of a cell, however large, f >= L at its lower ends + d log q at its upper
ends; at an infinite end q is at least its value with all random effects free.

*Near the optimum* neither can exceed its deviance, and the local proof takes over
(``neighbourhood``).

A cell that no bound excludes is halved. When none is left, no point of the space lies lower.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from flint import arb, ctx, fmpq
from numpy.typing import NDArray

from pp_compare.certified.cover.bounds import Dual
from pp_compare.certified.cover.cells import (
    above,
    below_two,
    bounded,
    centres,
    corners,
    everything,
    halves,
)
from pp_compare.certified.cover.coordinates import level_basis, turned
from pp_compare.certified.cover.enclosures import Enclosures, log_below
from pp_compare.certified.cover.neighbourhood import Neighbourhood
from pp_compare.certified.cover.values import BITS, PointValues, Values
from pp_compare.certified.equations.crossproducts import CrossProducts

Floats = NDArray[np.float64]

FARTHEST = 1e100
"""Relative variance beyond which no cell is divided: the products of such would overflow."""

BATCH = 512
"""Cells that are looked at together: numpy's overhead is small by then, and memory no issue."""

MOST_PARAMETERS, MOST_CORNERS, MOST_COEFFICIENTS = 4, 48, 400
"""What is tried at all: beyond, the number of cells grows past any patience."""


@dataclass(frozen=True)
class Cover:
    """How far the proof came.

    Attributes
    ----------
    complete : bool
        Whether all of the space is excluded but for the optimum's neighbourhood.
    share : float
        Of the space, each split counting one half of what it splits.
    pieces : int
        How many cells were looked at.
    seconds : float
    reason : str
        Why it did not end; empty where it did.
    """

    complete: bool
    share: float
    pieces: int
    seconds: float
    reason: str = ""


def unsuited(products: CrossProducts) -> str:
    """Why a model is not tried; empty where it is."""
    parameters = sum(q * (q + 1) // 2 for q in products.sizes)
    if any(q > 2 for q in products.sizes) or parameters > MOST_PARAMETERS:
        return f"{parameters} variance parameters are more than a cover can take"
    if sum(m * q for m, q in zip(products.levels, products.sizes, strict=True)) > MOST_COEFFICIENTS:
        return f"more than {MOST_COEFFICIENTS} random effects"
    return ""


def covered(
    products: CrossProducts,
    near: Neighbourhood,
    deviance: arb,
    least: fmpq,
    *,
    reml: bool,
    seconds: float,
) -> Cover:
    """Try to prove that no covariances have a deviance below that of a proved local optimum.

    Parameters
    ----------
    products : CrossProducts
    near : Neighbourhood
        Of the optimum; what it holds is not below it.
    deviance : arb
        Profiled deviance at the optimum.
    least : fmpq
        y'Py with all random effects free, in units of the response squared (``all_free``).
    reml : bool
    seconds : float
        After which it is given up.
    """
    start = time.perf_counter()
    space = _Space.of(products, near, deviance, least, reml)
    cells = everything(products.sizes)
    weights, done, pieces = np.full(len(cells), 1 / len(cells)), 0.0, 0

    def given_up(reason: str) -> Cover:
        spent = time.perf_counter() - start
        return Cover(False, min(done, 1 - float(weights.sum())), pieces, spent, reason)

    while len(cells):
        if time.perf_counter() - start > seconds:
            return given_up(f"not ended after {seconds:g} seconds")
        now, left = cells[-BATCH:], cells[:-BATCH]
        pieces += len(now)
        open_ = ~space.excluded(now)
        done += float(weights[-BATCH:][~open_].sum())
        if np.abs(now[open_][np.isfinite(now[open_])]).max(initial=0.0) > FARTHEST:
            return given_up(f"no bound holds where relative variances exceed {FARTHEST:g}")
        split = weights[-BATCH:][open_] / 2
        cells = np.concatenate([left, halves(now[open_], products.sizes)])
        weights = np.concatenate([weights[:-BATCH], split, split])
    return Cover(True, 1.0, pieces, time.perf_counter() - start)


@dataclass(frozen=True)
class _Space:
    """A criterion in coordinates where a level's Z'Z is about the unit matrix.

    ``bases`` map covariances there to those of the cross-products, B G B'; ``limit`` is above the
    optimum's L + d log q; ``all_free`` below q with all random effects free.
    """

    sizes: tuple[int, ...]
    bases: list[Floats]
    points: PointValues
    dual: Dual
    near: Neighbourhood
    limit: float
    all_free: float
    df: int
    reml: bool

    @staticmethod
    def of(
        products: CrossProducts, near: Neighbourhood, deviance: arb, least: fmpq, reml: bool
    ) -> _Space:
        df = products.n - (products.p if reml else 0)
        bases = [level_basis(products, term) for term in range(len(products.sizes))]
        with ctx.workprec(2 * BITS):
            own = turned(products, bases)
            limit = float((deviance - _constant(products, df, reml)).upper())
            free = float((arb(least) / arb(4) ** products.coordinates.y_exponent).lower())
        return _Space(
            sizes=products.sizes,
            bases=bases,
            points=PointValues(own),
            dual=Dual(own),
            near=near,
            limit=limit + 1e-12 * (1 + abs(limit)),
            all_free=free * (1 - 1e-12),
            df=df,
            reml=reml,
        )

    # What overflows has an infinite radius, or none, and excludes nothing (see `Enclosures`).
    @np.errstate(over="ignore", invalid="ignore")
    def excluded(self, cells: Floats) -> NDArray[np.bool_]:
        """Which cells hold no point below the optimum."""
        finite = bounded(cells)
        found = corners(cells, self.sizes)
        shape = (len(cells), found.count)
        values = self.points.at(found.at)
        L = self._determinants(values).reshape(shape)
        lowest = L[:, found.lower].min(axis=1)
        if self.sizes == (2,):
            lowest = np.maximum(lowest, self._lowest_in_any_direction(cells))
        q = np.full(len(cells), self.all_free)
        if finite.any():
            most = self.points.at(above(cells[finite], self.sizes)).q
            q[finite] = np.fmax(most, self.all_free)
        with np.errstate(invalid="ignore"):
            out = lowest + self.df * log_below(q) - self._slack(lowest, q) > self.limit
        rest = np.flatnonzero(finite & ~out)
        if len(rest):
            G = [Enclosures(g.mid[rest], g.rad[rest]) for g in found.G]
            out[rest] = self._second_order(cells[rest], G, L[rest]) > self.limit
            rest = rest[~out[rest]]
            out[rest] = self.near.holds(
                [self._back(Enclosures(g.mid[rest], g.rad[rest]), t) for t, g in enumerate(found.G)]
            )
        return np.asarray(out)

    def _second_order(self, cells: Floats, G: Sequence[Enclosures], L: Floats) -> Floats:
        below = self.dual.at(centres(cells, self.sizes)).below(G)
        with np.errstate(invalid="ignore"):
            value = L + self.df * log_below(below) - self._slack(L, below)
        return np.asarray(np.where(np.isnan(value), -np.inf, value).min(axis=1))

    def _determinants(self, values: Values) -> Floats:
        found = values.random + (values.fixed if self.reml else 0.0)
        return np.where(np.isnan(found), -np.inf, found)

    def _lowest_in_any_direction(self, cells: Floats) -> Floats:
        """A bound of L for one term that asks nothing of the direction: far out it suffices.

        For G = b I + t v v' and N = Z_l'Z_l, with least eigenvalue m, |I + N G| is at least
        1 + b tr N + t m + |N| b (b + t).
        """
        t, b, most = below_two(cells)
        random = self.points.any_direction(t, b)
        if not self.reml:
            return random
        return np.where(np.isnan(found := random + self.points.at(most).fixed), -np.inf, found)

    def _slack(self, L: Floats, q: Floats) -> Floats:
        """More than what adding the two parts rounds."""
        with np.errstate(all="ignore"):
            size = np.abs(L) + self.df * np.abs(np.log(q))
        return np.where(np.isfinite(size), 1e-14 * (1 + size), 0.0)

    def _back(self, G: Enclosures, term: int) -> Enclosures:
        B = Enclosures.exact(self.bases[term])
        return B @ G @ Enclosures.exact(self.bases[term].T)


def _constant(products: CrossProducts, df: int, reml: bool) -> arb:
    """The profiled deviance less log|V| (+ log|X'V^-1 X|) + d log q, all of the cross-products."""
    to = products.coordinates
    value = df * (1 + (2 * arb.pi() / df).log() + to.y_exponent * arb(4).log())
    if reml:
        value -= 2 * sum((to.basis[i, i].log() for i in range(products.p)), arb(0))
    return value - products.log_weights
