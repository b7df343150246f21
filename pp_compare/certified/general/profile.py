"""Profile intervals of fixed effects: where the ML deviance has risen by a quantile.

The model with one coefficient held at a value is the one of ``y - value x`` without that column:
its cross-products are those of the full model moved, so that no row is looked at again. Each is
minimised in double precision from the optimum of the full model, by Newton's method with exact
derivatives, and the signed root of the rise, which is nearly a straight line, is followed to the
quantile. The ends are good to some eight digits of a standard error; they are no enclosures, and a
second optimum of a model with a held coefficient is not looked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from flint import arb, arb_mat, ctx
from numpy.typing import NDArray
from scipy import special

from pp_compare.certified.components.blocks import RandomBlock
from pp_compare.certified.components.component import Component, Stratum
from pp_compare.certified.equations.crossproducts import CrossProducts, cross_products
from pp_compare.certified.equations.mixed_equations import solve
from pp_compare.certified.search.float_criterion import FloatCriterion

Floats = NDArray[np.float64]

ENOUGH = 1e-9
"""Of the root of the rise, 1.96 at the end: below it the rounding of a deviance shows."""
STEPS = 30
"""A secant needs five; a curve that does not come to the quantile has no end."""
BITS = 192


@dataclass(frozen=True)
class Profiled:
    """A coefficient at its ML optimum and the ends of its interval; nan where there is none."""

    estimate: float
    lower: float
    upper: float


def profiled(
    y: Floats,
    X: Floats,
    blocks: Sequence[RandomBlock],
    k: int,
    *,
    factors: Sequence[Floats],
    level: float,
    weights: Floats | None = None,
) -> Profiled:
    """Profile the ML deviance over one fixed effect.

    Parameters
    ----------
    y : (n,) float64 array
    X : (n, p) float64 array
    blocks : sequence of RandomBlock
    k : int
        The column of X.
    factors : sequence of (q, q) arrays
        Where the search starts: T of each random term, in the scaled coordinates of
        ``cross_products``, from a fit of either criterion.
    level : float
        Of the interval.
    weights : (n,) float64 array, optional

    Returns
    -------
    Profiled
        An end is nan where the deviance does not rise so far, or does not come to rest.
    """
    order = [*(i for i in range(X.shape[1]) if i != k), k]
    products = cross_products(y, X[:, order], blocks, weights=weights, bits=2 * BITS)
    held = _Held(products, FloatCriterion(products, reml=False))
    best = _minimum(held.whole, held.whole.vector(factors))
    if best is None:
        return Profiled(np.nan, np.nan, np.nan)
    x, lowest = best
    estimate, se = held.estimate(x)
    target = float(special.ndtri((1 + level) / 2))
    ends = [
        held.to_model(_follow(held.rise(x, lowest, estimate), estimate, side * se, target))
        for side in (-1, 1)
    ]
    return Profiled(held.to_model(estimate), min(ends), max(ends))


@dataclass(frozen=True, eq=False)
class _Held:
    """The model with its column k last, so that in scaled coordinates too it is the last."""

    products: CrossProducts
    whole: FloatCriterion

    def to_model(self, value: float) -> float:
        """A scaled coefficient in the model's units."""
        to, last = self.products.coordinates, self.products.p - 1
        unit = to.basis[last, last] * arb(2) ** to.y_exponent
        return float(to.shift[last, 0] + unit * arb(value))

    def estimate(self, x: Floats) -> tuple[float, float]:
        """The scaled coefficient at a vector of variances, and its standard error."""
        with ctx.workprec(BITS):
            factors = [arb_mat(f.tolist()) for f in self.whole.factors(x)]
            found = solve(self.products, [t * t.transpose() for t in factors])
            last = self.products.p - 1
            variance = found.H[last, last] * found.q / self.products.n
            return float(found.beta[last, 0]), float(variance.sqrt())

    def without(self, value: float) -> FloatCriterion:
        """The criterion with the last coefficient at a value."""
        with ctx.workprec(BITS):
            return FloatCriterion(_moved(self.products, arb(value)), reml=False)

    def rise(self, x: Floats, lowest: float, estimate: float) -> Callable[[float], float]:
        """The root of the rise of the deviance over its minimum, by the held value."""
        last = [x]

        def root(value: float) -> float:
            if value == estimate:
                return 0.0
            found = _minimum(self.without(value), last[0])
            if found is None:
                return np.nan
            last[0] = found[0]
            return float(np.sqrt(max(found[1] - lowest, 0.0)))

        return root


def _follow(root: Callable[[float], float], at: float, step: float, target: float) -> float:
    """Where the root is the target, by the secant rule; nan where it does not come there."""
    old, old_root, value = at, 0.0, at + step * target
    for _ in range(STEPS):
        now = root(value)
        if not np.isfinite(now) or now == old_root:
            return np.nan
        if abs(now - target) <= ENOUGH:
            return value
        slope = (now - old_root) / (value - old)
        move = (target - now) / slope
        # No further than ten standard errors at once, and never back over the estimate.
        move = float(np.clip(move, -10 * abs(step), 10 * abs(step)))
        if (value + move - at) * step <= 0:
            move = (at - value) / 2
        old, old_root, value = value, now, value + move
    return np.nan


def _minimum(criterion: FloatCriterion, start: Floats) -> tuple[Floats, float] | None:
    """The vector of least deviance near a start, and that deviance."""
    from scipy.optimize import minimize  # noqa: PLC0415 - a tenth of a second that few models need

    @lru_cache(maxsize=4)  # scipy asks for the value, the slope and the curvature one by one
    def at(key: bytes) -> tuple[float, Floats, Floats]:
        return criterion(np.frombuffer(key))

    def value(x: Floats) -> float:
        return at(x.tobytes())[0]

    def slope(x: Floats) -> Floats:
        return at(x.tobytes())[1]

    def curvature(x: Floats) -> Floats:
        return at(x.tobytes())[2]

    try:
        found = minimize(
            value,
            start,
            method="trust-exact",
            jac=slope,
            hess=curvature,
            options={"gtol": 1e-7, "maxiter": 100},
        )
    except (ValueError, np.linalg.LinAlgError):
        return None
    return (np.asarray(found.x), float(found.fun)) if np.isfinite(found.fun) else None


def _moved(products: CrossProducts, value: arb) -> CrossProducts:
    """The cross-products of ``y - value x`` without x, the last column of the scaled ones."""
    last = products.p - 1
    xx, xy = products.xx, products.xy
    kept = range(last)
    return replace(
        products,
        strata=tuple(
            Stratum(s.blocks, tuple(_component(c, last, value) for c in s.components))
            for s in products.strata
        ),
        xx=arb_mat(last, last, [xx[i, k] for i in kept for k in kept]),
        xy=arb_mat(last, 1, [xy[i, 0] - value * xx[i, last] for i in kept]),
        yy=products.yy - 2 * value * xy[last, 0] + value**2 * xx[last, last],
    )


def _component(c: Component, last: int, value: arb) -> Component:
    zf = [[*row[:last], row[-1] - value * row[last]] for row in c.zf.tolist()]
    return Component(c.levels, c.zz, arb_mat(zf), c.sizes)
