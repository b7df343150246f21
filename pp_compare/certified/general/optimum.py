"""The certified local optimum of any linear mixed model of moderate size.

A float64 search from many starts finds the best known minimum of the profiled deviance; Newton's
method in ball arithmetic refines it; Krawczyk's operator proves that a stationary point exists, is
the only one in a box and is a minimum; ``face`` extends the proof to singular covariances. What
is proved is local: that no lower minimum exists elsewhere is not claimed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from flint import arb, arb_mat, ctx
from numpy.typing import NDArray

from pp_compare.certified.components.blocks import RandomBlock
from pp_compare.certified.components.component import Stratum
from pp_compare.certified.equations.crossproducts import CrossProducts, cross_products
from pp_compare.certified.equations.curvature import derivatives, gradient, slopes
from pp_compare.certified.equations.krawczyk import (
    Minimum,
    NotProvedError,
    UndecidedError,
    certified_minimum,
    cholesky,
)
from pp_compare.certified.equations.mixed_equations import Solution, perturb, solve
from pp_compare.certified.equations.parametrisation import (
    enclosed_theta,
    float_theta,
    scaled,
    units,
)
from pp_compare.certified.general.estimates import estimates
from pp_compare.certified.general.face import Face, candidate_faces
from pp_compare.certified.general.proved import GeneralOptimum, LocalOptimum, Point, Rise
from pp_compare.certified.search.float_criterion import FloatCriterion
from pp_compare.certified.search.multistart import search
from pp_compare.certified.search.stops import DIVERGED, Stop

Floats = NDArray[np.float64]

SEARCH_ERROR = 1e-6
"""How far, relative to 1 + |deviance|, the search may misjudge a deviance: float64 loses some
digits of a difference of log determinants, and a stop lies within 1e-6 of its optimum."""


LOOSE = 1e-9
"""Relative radius beyond which a deviance is of no use: a thousandth of `SEARCH_ERROR`."""

NARROW = 2.0**-30
"""Radius below which a box is solved as a point is: what that costs in width it can afford."""

BLURRED = 1e-6
"""Radius of a second derivative, of 1 + its size, above which it could not: where random effects
fit nearly all, balls that are subtracted from each other are wider than their difference."""

SMALL = 1_000
"""Multiplications of one solution up to which a wide box of uniqueness is looked for."""


def general_optimum(
    y: Floats,
    X: Floats,
    blocks: Sequence[RandomBlock],
    *,
    reml: bool,
    weights: Floats | None = None,
    starts: Sequence[Floats] = (),
    digits: int = 30,
    seed: int = 0,
) -> GeneralOptimum:
    """Find the best optimum of the ML or REML criterion that a search reaches, and certify it.

    Parameters
    ----------
    y : (n,) float64 array
    X : (n, p) float64 array
        Full column rank.
    blocks : sequence of RandomBlock
    reml : bool
    weights : (n,) float64 array, optional
        Prior weights, positive.
    starts : sequence of (t,) arrays
        Further starts, in lme4's parametrisation, such as the answers of other engines.
    digits : int
        Digits of theta, relative to its curvature scale; other quantities have about as many.
    seed : int
        Of the random starts.

    Raises
    ------
    DataError
        If the model cannot be fitted to the data: see ``cross_products``.

    Notes
    -----
    ``claim`` is "none" where no proof was reached: the criterion falls forever (residual variance
    zero), is flat (as many levels as rows), or touches a boundary with slope exactly zero.
    """
    # A quarter of the bits is the floor of a box's radius; what is left takes conditioning.
    bits = 60 + int(np.ceil(digits * np.log2(10) * 4 / 3))
    products = cross_products(y, X, blocks, weights=weights)
    criterion = FloatCriterion(products, reml)
    stops, count = search(criterion, [scaled(products, s) for s in starts], seed)
    point = _certify(criterion, stops[0], digits, bits)
    with ctx.workprec(point.bits):
        deviance = point.solution.profiled_deviance(reml)
        sigma2 = point.solution.residual() / point.solution.df(reml)
        return GeneralOptimum(
            claim="none" if point.reason else "local",
            reason=point.reason,
            theta=enclosed_theta(products, point.factors),
            box=enclosed_theta(products, point.box),
            ranks=tuple(len(pivots) for pivots in point.face.pivots),
            singular=point.face.singular,
            deviance=deviance,
            loglik=-deviance / 2,
            estimates=estimates(point.solution, sigma2, X, blocks),
            others=tuple(_local(products, s) for s in stops[1:] if s.stationary),
            starts=count,
            hessian=_hessian(criterion, point.factors),
            point=point,
            rises=tuple(_rises(point, reml)) if point.face.singular and not point.reason else (),
        )


def _rises(point: Point, reml: bool) -> Iterator[Rise]:
    """Off the boundary of every singular term."""
    exponents = point.solution.products.coordinates.z_exponents
    for block, slope in enumerate(slopes(point.solution, reml)):
        for row in point.face.dependent(block):
            alone = all(x == 0 for x in point.factors[block].table()[row])
            per_unit = slope[row, row] * arb(4) ** exponents[block][row]
            yield Rise(block, row, float(per_unit), alone)


def _certify(criterion: FloatCriterion, best: Stop, digits: int, base: int) -> Point:
    """Try the faces that the best stop may lie on; with more precision where that may help."""
    reasons: dict[str, None] = {}
    for bits in (base, 2 * base, 4 * base):
        undecided = False
        for face, start in candidate_faces(best.factors):
            try:
                with ctx.workprec(bits):
                    return _prove(criterion, face, start, best, digits)
            except NotProvedError as failure:
                undecided |= isinstance(failure, UndecidedError)
                reasons[str(failure)] = None
        if not undecided:
            break
    return _unproved(criterion.products, best, list(reasons), base)


def _prove(criterion: FloatCriterion, face: Face, start: arb_mat, best: Stop, digits: int) -> Point:
    """Prove a strict local minimum over all positive semidefinite covariances (see ``face``)."""
    products, reml = criterion.products, criterion.reml
    face.require_lower_triangular()
    minimum = minimum_on_face(criterion, face, start, digits)
    factors = face.factors(minimum.point)
    face.require_positive_pivots(factors)
    solution = solve(products, [t * t.transpose() for t in factors])
    if face.singular:
        for normal in face.normals(slopes(solution, reml)):
            # The factorisation exists only if the matrix is positive definite.
            cholesky(normal, "the slope off the boundary")
    ball = solution.profiled_deviance(reml)
    if not ball.rad() < (1 + abs(ball)) * LOOSE:
        raise UndecidedError(f"{ctx.prec} bits are too few for the deviance")
    deviance = float(ball)
    allowed = SEARCH_ERROR * (1 + abs(best.deviance))
    if deviance > best.deviance + allowed and deviance > _seen(products, best, reml) + allowed:
        raise NotProvedError(
            f"the minimum with deviance {deviance:.10g} is proved, but the search has seen "
            f"{best.deviance:.10g}"
        )
    return Point("", face, factors, face.factors(minimum.box), solution, ctx.prec)


def _seen(products: CrossProducts, stop: Stop, reml: bool) -> float:
    """The deviance at a stop in balls: far out float64 loses most digits of y'Py."""
    factors = [arb_mat(f.tolist()) for f in stop.factors]
    return float(solve(products, [t * t.transpose() for t in factors]).profiled_deviance(reml))


def minimum_on_face(
    criterion: FloatCriterion, face: Face, start: arb_mat, digits: int, *, wide: bool = False
) -> Minimum:
    """Prove the minimum on a face near a start; ``wide``: with a wide box of uniqueness.

    Raises NotProvedError where a step of the proof fails.
    """
    products, reml = criterion.products, criterion.reml
    if not face.parameters:
        return Minimum(start, start, ())
    centre: list[Solution] = []

    def slope(x: arb_mat) -> arb_mat:
        factors = face.factors(x)
        centre[:] = [solve(products, [t * t.transpose() for t in factors])]
        return gradient(centre[0], factors, face.parameters, reml)

    def differentiate(x: arb_mat) -> tuple[arb_mat, arb_mat]:
        factors = face.factors(x)
        G = [t * t.transpose() for t in factors]
        if all(entry.rad() < NARROW for entry in x.entries()):
            found = derivatives(solve(products, G), factors, face.parameters, reml)
            if not centre or _is_narrow(found[1]):
                return found
        solution = perturb(centre[0], G)  # a box is always a box around the last point
        return derivatives(solution, factors, face.parameters, reml)

    return certified_minimum(
        differentiate,
        start,
        digits=digits,
        gradient=slope,
        curvature=_curvature_on(criterion, face, start),
        wide=wide or sum(len(s.components) * j**3 for s, j in _widths(products)) < SMALL,
    )


def _is_narrow(hessian: arb_mat) -> bool:
    """Whether a Hessian over a box can be told from one that is not positive definite."""
    return all(h.rad() < BLURRED * (1 + abs(h.mid())) for h in hessian.entries())


def _widths(products: CrossProducts) -> Iterator[tuple[Stratum, int]]:
    """Strata and how many coefficients their components have."""
    for stratum in products.strata:
        yield stratum, sum(products.sizes[block] for block in stratum.blocks)


def _curvature_on(criterion: FloatCriterion, face: Face, start: arb_mat) -> arb_mat | None:
    """The search's Hessian at a point of a face, where T is lower triangular."""
    at = {p: k for k, p in enumerate(criterion.parameters)}
    if not all(p in at for p in face.parameters):
        return None
    x = np.zeros(len(at))
    chosen = [at[p] for p in face.parameters]
    x[chosen] = [float(value) for value in start.entries()]
    hessian = criterion(x)[2][np.ix_(chosen, chosen)]
    return arb_mat(hessian.tolist()) if np.isfinite(hessian).all() else None


def _unproved(products: CrossProducts, best: Stop, reasons: list[str], bits: int) -> Point:
    largest = max(float(np.abs(f).max()) for f in best.factors)
    if largest > DIVERGED:
        reasons.insert(
            0,
            f"the search ran off to random effects {largest:.1g} times the residual standard "
            "deviation: the criterion keeps falling, or stays flat, as that goes to 0",
        )
    face = Face(products.sizes, tuple(tuple(range(q)) for q in products.sizes))
    factors = [arb_mat(f.tolist()) for f in best.factors]
    with ctx.workprec(bits):
        solution = solve(products, [t * t.transpose() for t in factors])
    return Point("; ".join(reasons), face, factors, factors, solution, bits)


def _local(products: CrossProducts, stop: Stop) -> LocalOptimum:
    return LocalOptimum(float_theta(products, stop.factors), stop.deviance, stop.hits)


def _hessian(criterion: FloatCriterion, factors: Sequence[arb_mat]) -> Floats:
    x = [float(factors[p.block][p.row, p.column]) for p in criterion.parameters]
    unit = units(criterion.products)
    return criterion(np.array(x))[2] * np.outer(unit, unit)
