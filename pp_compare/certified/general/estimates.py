"""What a general linear mixed model says at given variances, in enclosures.

Nothing is optimised here. These are the values against which an engine's answers are held at the
engine's own variance estimates: its likelihood, its fixed effects, its predictions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from flint import arb, arb_mat, ctx
from numpy.typing import NDArray

from pp_compare.certified.components.blocks import RandomBlock
from pp_compare.certified.equations.crossproducts import CrossProducts, cross_products
from pp_compare.certified.equations.mixed_equations import Solution, solve
from pp_compare.certified.equations.parametrisation import (
    exact_covariances,
    from_scaled,
    scaled,
    to_scaled,
    units,
)
from pp_compare.certified.search.float_criterion import FloatCriterion
from pp_compare.errors import DataError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimates:
    """What a mixed model says at given variances; every entry is an enclosure.

    Attributes
    ----------
    beta : (p, 1) arb_mat
        Generalised least squares estimates.
    beta_cov : (p, p) arb_mat
        (X'V^-1 X)^-1 with V the marginal covariance of y.
    sigma : arb
        Residual standard deviation.
    random_cov : tuple of (q, q) arb_mat
        Covariance of the random effects of each term.
    blup : tuple of (m, q) arb_mat
        Conditional means of the random effects of each term.
    fitted : (n, 1) arb_mat
        X beta + Z blup.
    """

    beta: arb_mat
    beta_cov: arb_mat
    sigma: arb
    random_cov: tuple[arb_mat, ...]
    blup: tuple[arb_mat, ...]
    fitted: arb_mat


def deviance_at(
    y: Floats,
    X: Floats,
    blocks: Sequence[RandomBlock],
    theta: Floats,
    *,
    reml: bool,
    bits: int = 256,
) -> arb:
    """Profiled deviance at given theta (lme4's parametrisation), all constants included."""
    products = cross_products(y, X, blocks, bits=2 * bits)
    with ctx.workprec(bits):
        return solve(products, exact_covariances(products, theta)).profiled_deviance(reml)


def deviance_at_variances(
    y: Floats,
    X: Floats,
    blocks: Sequence[RandomBlock],
    sigma2: float,
    covariances: Sequence[Floats],
    *,
    reml: bool,
    weights: Floats | None = None,
    bits: int = 256,
) -> arb:
    """-2 log-likelihood at given variances: beta profiled out, sigma^2 taken as it is.

    Parameters
    ----------
    sigma2 : float
        Residual variance, positive.
    covariances : sequence of (q, q) arrays
        Covariance of the random effects of each term, on the scale of the data.
    weights : (n,) float64 array, optional
        Prior weights, positive: the residual variance of row i is ``sigma2 / weights[i]``.

    Raises
    ------
    DataError
        If the variances give no likelihood, or for the reasons of ``cross_products``.
    """
    products = cross_products(y, X, blocks, weights=weights, bits=2 * bits)
    return deviance_of(products, sigma2, covariances, reml=reml, bits=bits)


def deviance_of(
    products: CrossProducts,
    sigma2: float,
    covariances: Sequence[Floats],
    *,
    reml: bool,
    bits: int = 256,
) -> arb:
    """As `deviance_at_variances`, of cross-products that are there."""
    with ctx.workprec(bits):
        value = _solve_at(products, sigma2, covariances).deviance(arb(float(sigma2)), reml)
    if not value.is_finite():
        raise DataError(
            "These covariances are too far from positive semidefinite for a likelihood."
        )
    return value


def gls_at(
    y: Floats,
    X: Floats,
    blocks: Sequence[RandomBlock],
    sigma2: float,
    covariances: Sequence[Floats],
    *,
    weights: Floats | None = None,
    bits: int = 256,
) -> Estimates:
    """Fixed effects, their covariance, BLUPs and fitted values that given variances imply.

    Parameters and exceptions are those of ``deviance_at_variances``.
    """
    products = cross_products(y, X, blocks, weights=weights, bits=2 * bits)
    return gls_of(products, sigma2, covariances, X, blocks, bits=bits)


def gls_of(
    products: CrossProducts,
    sigma2: float,
    covariances: Sequence[Floats],
    X: Floats,
    blocks: Sequence[RandomBlock],
    *,
    bits: int = 256,
) -> Estimates:
    """As `gls_at`, of cross-products that are there."""
    with ctx.workprec(bits):
        solution = _solve_at(products, sigma2, covariances)
        return estimates(solution, arb(float(sigma2)), X, blocks)


def estimates_at_theta(
    y: Floats,
    X: Floats,
    blocks: Sequence[RandomBlock],
    theta: Floats,
    *,
    reml: bool,
    weights: Floats | None = None,
    bits: int = 256,
) -> Estimates:
    """All estimates at given theta (lme4's parametrisation), the residual variance profiled."""
    products = cross_products(y, X, blocks, weights=weights, bits=2 * bits)
    return estimates_of(products, theta, X, blocks, reml=reml, bits=bits)


def estimates_of(
    products: CrossProducts,
    theta: Floats,
    X: Floats,
    blocks: Sequence[RandomBlock],
    *,
    reml: bool,
    bits: int = 256,
) -> Estimates:
    """As `estimates_at_theta`, of cross-products that are there."""
    with ctx.workprec(bits):
        solution = solve(products, exact_covariances(products, theta))
        return estimates(solution, solution.residual() / solution.df(reml), X, blocks)


def profiled_float(
    y: Floats, X: Floats, blocks: Sequence[RandomBlock], theta: Floats, *, reml: bool
) -> tuple[float, Floats, Floats]:
    """Profiled deviance with its gradient (t,) and Hessian (t, t) in theta, in float64."""
    products = cross_products(y, X, blocks)
    value, gradient, hessian = FloatCriterion(products, reml)(scaled(products, theta))
    unit = units(products)
    return value, gradient * unit, hessian * np.outer(unit, unit)


def estimates(
    solution: Solution, sigma2: arb, X: Floats, blocks: Sequence[RandomBlock]
) -> Estimates:
    """Move a solution from the coordinates of ``CrossProducts`` to the model's own."""
    cp, to = solution.products, solution.products.coordinates
    unit = arb(2) ** to.y_exponent
    beta = to.shift + to.basis * solution.beta * unit
    blup = tuple(
        effects * _diagonal([unit * arb(2) ** -e for e in exponents])
        for effects, exponents in zip(solution.blups(), to.z_exponents, strict=True)
    )
    return Estimates(
        beta=beta,
        beta_cov=to.basis * solution.H * to.basis.transpose() * sigma2,
        sigma=sigma2.sqrt(),
        random_cov=tuple(from_scaled(cp, b, g) * sigma2 for b, g in enumerate(solution.G)),
        blup=blup,
        fitted=_fitted(X, beta, blocks, blup),
    )


def _solve_at(products: CrossProducts, sigma2: float, covariances: Sequence[Floats]) -> Solution:
    if not (np.isfinite(sigma2) and sigma2 > 0):
        raise DataError(f"The residual variance is {sigma2}; a likelihood needs a positive one.")
    relative = []
    for block, (covariance, q) in enumerate(zip(covariances, products.sizes, strict=True)):
        values = np.asarray(covariance, dtype=np.float64).reshape(q, q)
        relative.append(to_scaled(products, block, arb_mat(values.tolist()) / float(sigma2)))
    return solve(products, relative)


def _fitted(
    X: Floats, beta: arb_mat, blocks: Sequence[RandomBlock], blup: Sequence[arb_mat]
) -> arb_mat:
    n, p = X.shape
    total = arb_mat(n, p, X.ravel().tolist()) * beta
    for block, effects in zip(blocks, blup, strict=True):
        rows, groups = effects.tolist(), block.group.tolist()
        for j, z in enumerate(block.Z.T.tolist()):
            terms = [value * rows[g][j] for value, g in zip(z, groups, strict=True)]
            total = total + arb_mat(n, 1, terms)
    return total


def _diagonal(values: Sequence[arb]) -> arb_mat:
    result = arb_mat(len(values), len(values))
    for i, value in enumerate(values):
        result[i, i] = value
    return result
