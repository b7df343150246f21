"""The certified local optimum of any linear mixed model of moderate size.

A float64 search from many starts finds the best known minimum of the profiled deviance; Newton's
method in ball arithmetic refines it; Krawczyk's operator proves that a stationary point exists, is
the only one in a box and is a minimum; ``face`` extends the proof to singular covariances. What
is proved is local: that no lower minimum exists elsewhere is not claimed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from flint import arb, arb_mat, ctx
from numpy.typing import NDArray

from pp_compare.engines.certified.crossproducts import CrossProducts, RandomBlock, cross_products
from pp_compare.engines.certified.face import Face, candidate_faces
from pp_compare.engines.certified.krawczyk import (
    Minimum,
    NotProvedError,
    certified_minimum,
    prove_positive_definite,
)
from pp_compare.engines.certified.mixed_equations import Solution, derivatives, perturb, slopes, solve
from pp_compare.engines.certified.search import (
    DIVERGED,
    FloatCriterion,
    Stop,
    lower_triangle,
    search,
)
from pp_compare.errors import DataError

Floats = NDArray[np.float64]

SEARCH_ERROR = 1e-6
"""How far, relative to 1 + |deviance|, float64 may misjudge a deviance: the cross-products are
rounded to 2^-53 and a difference of log determinants loses some digits more."""


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


@dataclass(frozen=True)
class LocalOptimum:
    """A stop of the search that is not the best one; float64, nothing proved."""

    theta: Floats
    deviance: float
    hits: int


@dataclass(frozen=True)
class GeneralOptimum:
    """The best known optimum of a criterion and what is proved about it.

    Attributes
    ----------
    claim : "local" or "none"
        "local": ``theta`` encloses a strict local minimum of the criterion over all positive
        semidefinite covariances, and ``box`` holds no other stationary point of the criterion
        on the same face. "none": nothing is proved; all values belong to the search's best point.
    reason : str
        Why there is no claim; empty where there is one.
    theta : (t, 1) arb_mat
        lme4's parametrisation: entries of the relative covariance factors, term by term, column
        by column.
    box : (t, 1) arb_mat
        The box of uniqueness; entries that are fixed at zero have radius zero.
    pivots : tuple of tuple of int
        The rows of each term's covariance that are independent; fewer than q where it is singular.
    deviance, loglik : arb
        -2 log L and log L with all constants, the REML ones as in lme4's and nlme's ``logLik``.
    estimates : Estimates
    others : tuple of LocalOptimum
        Further minima found by the search, best first.
    starts : int
        How many starts the search used.
    hessian : (t, t) float64 array
        Second derivatives of the profiled deviance in all of theta at the optimum.
    """

    claim: Literal["local", "none"]
    reason: str
    theta: arb_mat
    box: arb_mat
    pivots: tuple[tuple[int, ...], ...]
    deviance: arb
    loglik: arb
    estimates: Estimates
    others: tuple[LocalOptimum, ...]
    starts: int
    hessian: Floats

    @property
    def singular(self) -> bool:
        """Whether a random covariance has less than full rank."""
        full = [cov.nrows() for cov in self.estimates.random_cov]
        return any(len(k) < q for k, q in zip(self.pivots, full, strict=True))


def general_optimum(
    y: Floats,
    X: Floats,
    blocks: Sequence[RandomBlock],
    *,
    reml: bool,
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
    base = 96 + int(np.ceil(digits * np.log2(100)))
    products = cross_products(y, X, blocks, bits=2 * base)
    criterion = FloatCriterion(products, reml)
    scaled = [_to_scaled(products, np.asarray(s, dtype=np.float64)) for s in starts]
    stops, count = search(criterion, scaled, seed)
    proof = _certify(products, stops[0], reml, digits, base)
    with ctx.workprec(proof.bits):
        solution = solve(products, [t * t.transpose() for t in proof.factors])
        deviance = solution.profiled_deviance(reml)
        sigma2 = solution.residual() / solution.df(reml)
        return GeneralOptimum(
            claim="none" if proof.reason else "local",
            reason=proof.reason,
            theta=_theta(products, proof.factors),
            box=_theta(products, proof.box),
            pivots=proof.face.pivots,
            deviance=deviance,
            loglik=-deviance / 2,
            estimates=_estimates(solution, sigma2, X, blocks),
            others=tuple(_local(products, s) for s in stops[1:] if s.stationary),
            starts=count,
            hessian=_hessian(products, criterion, proof.factors),
        )


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
        factors = _exact_factors(products.sizes, theta)
        G = [_scale_up(products, b, t * t.transpose()) for b, t in enumerate(factors)]
        return solve(products, G).profiled_deviance(reml)


def deviance_at_variances(
    y: Floats,
    X: Floats,
    blocks: Sequence[RandomBlock],
    sigma2: float,
    covariances: Sequence[Floats],
    *,
    reml: bool,
    bits: int = 256,
) -> arb:
    """-2 log-likelihood at given variances, beta profiled out and sigma^2 taken as it is.

    Parameters
    ----------
    sigma2 : float
        Residual variance, positive.
    covariances : sequence of (q, q) arrays
        Covariance of the random effects of each term, on the scale of the data.
    """
    products = cross_products(y, X, blocks, bits=2 * bits)
    with ctx.workprec(bits):
        solution = _solve_at(products, sigma2, covariances)
        return solution.deviance(arb(float(sigma2)), reml)


def gls_at(
    y: Floats,
    X: Floats,
    blocks: Sequence[RandomBlock],
    sigma2: float,
    covariances: Sequence[Floats],
    *,
    bits: int = 256,
) -> Estimates:
    """Fixed effects, their covariance, BLUPs and fitted values that given variances imply."""
    products = cross_products(y, X, blocks, bits=2 * bits)
    with ctx.workprec(bits):
        solution = _solve_at(products, sigma2, covariances)
        return _estimates(solution, arb(float(sigma2)), X, blocks)


def estimates_at_theta(
    y: Floats, X: Floats, blocks: Sequence[RandomBlock], theta: Floats, *, reml: bool, bits: int = 256
) -> Estimates:
    """All estimates at given theta (lme4's parametrisation), the residual variance profiled."""
    products = cross_products(y, X, blocks, bits=2 * bits)
    with ctx.workprec(bits):
        factors = _exact_factors(products.sizes, theta)
        G = [_scale_up(products, b, t * t.transpose()) for b, t in enumerate(factors)]
        solution = solve(products, G)
        return _estimates(solution, solution.residual() / solution.df(reml), X, blocks)


def profiled_float(
    y: Floats, X: Floats, blocks: Sequence[RandomBlock], theta: Floats, *, reml: bool
) -> tuple[float, Floats, Floats]:
    """Profiled deviance with its gradient (t,) and Hessian (t, t) in theta, in float64."""
    products = cross_products(y, X, blocks)
    value, gradient, hessian = FloatCriterion(products, reml)(
        _to_scaled(products, np.asarray(theta, dtype=np.float64))
    )
    unit = _units(products)
    return value, gradient * unit, hessian * np.outer(unit, unit)


@dataclass(frozen=True)
class _Proof:
    """The outcome of the attempts at a proof; ``reason`` is empty where one succeeded."""

    reason: str
    face: Face
    factors: list[arb_mat]
    box: list[arb_mat]
    bits: int


def _certify(products: CrossProducts, best: Stop, reml: bool, digits: int, base: int) -> _Proof:
    """Try the faces that the best stop may lie on, then again with more precision."""
    reason = "the search's best point lies on no candidate face"
    for bits in (base, 3 * base):
        for face, start in candidate_faces(best.factors):
            try:
                with ctx.workprec(bits):
                    minimum = _prove(products, face, start, reml, digits)
                    _require_best(products, face, minimum, best, reml)
                    factors, box = face.factors(minimum.point), face.factors(minimum.box)
                return _Proof("", face, factors, box, bits)
            except NotProvedError as failure:
                reason = str(failure)
    if max(np.abs(f).max() for f in best.factors) > DIVERGED:
        reason = "the criterion keeps falling as the residual variance goes to 0, or is flat"
    face = Face(products.sizes, tuple(tuple(range(q)) for q in products.sizes))
    point = [arb_mat([[arb(float(v)) for v in row] for row in f]) for f in best.factors]
    return _Proof(reason, face, point, point, base)


def _prove(products: CrossProducts, face: Face, start: arb_mat, reml: bool, digits: int) -> Minimum:
    """Prove a strict local minimum over all positive semidefinite covariances (see ``face``)."""
    parameters = face.parameters

    solved: dict[str, Solution] = {}

    def differentiate(x: arb_mat) -> tuple[arb_mat, arb_mat]:
        factors = face.factors(x)
        G = [t * t.transpose() for t in factors]
        if x.mid() == x:
            solution = solved["centre"] = solve(products, G)
        else:
            solution = perturb(solved["centre"], G)
        return derivatives(solution, factors, parameters, reml)

    face.require_lower_triangular()
    minimum = (
        Minimum(start, start, ())
        if not parameters
        else certified_minimum(differentiate, start, digits=digits)
    )
    factors = face.factors(minimum.point)
    for block, pivots in enumerate(face.pivots):
        if not all(factors[block][row, column] > 0 for column, row in enumerate(pivots)):
            raise NotProvedError("a diagonal entry of theta is not certainly positive")
    solution = solve(products, [t * t.transpose() for t in factors])
    for normal in face.normals(slopes(solution, reml)):
        try:
            prove_positive_definite(normal)
        except NotProvedError as failure:
            raise NotProvedError(
                f"the deviance does not certainly rise off the boundary: {failure}"
            ) from failure
    return minimum


def _require_best(
    products: CrossProducts, face: Face, minimum: Minimum, best: Stop, reml: bool
) -> None:
    """Raise NotProvedError if the certified minimum is not the search's best but a worse one."""
    G = [t * t.transpose() for t in face.factors(minimum.point)]
    deviance = float(solve(products, G).profiled_deviance(reml))
    if deviance > best.deviance + SEARCH_ERROR * (1 + abs(best.deviance)):
        raise NotProvedError(
            f"the certified minimum has deviance {deviance:.10g}, the search saw {best.deviance:.10g}"
        )


def _solve_at(products: CrossProducts, sigma2: float, covariances: Sequence[Floats]) -> Solution:
    if not (np.isfinite(sigma2) and sigma2 > 0):
        raise DataError(f"The residual variance is {sigma2}; a likelihood needs a positive one.")
    G = []
    for block, (covariance, q) in enumerate(zip(covariances, products.sizes, strict=True)):
        values = np.asarray(covariance, dtype=np.float64).reshape(q, q)
        G.append(_scale_up(products, block, arb_mat(values.tolist()) / arb(float(sigma2))))
    return solve(products, G)


def _estimates(
    solution: Solution, sigma2: arb, X: Floats, blocks: Sequence[RandomBlock]
) -> Estimates:
    """Undo the change of coordinates of ``CrossProducts``."""
    cp = solution.products
    unit = arb(2) ** cp.y_exponent
    beta = cp.shift + cp.basis * solution.beta * unit
    blup = tuple(
        _rescale_columns(b, e, unit) for b, e in zip(solution.blups(), cp.z_exponents, strict=True)
    )
    return Estimates(
        beta=beta,
        beta_cov=cp.basis * solution.H * cp.basis.transpose() * sigma2,
        sigma=sigma2.sqrt(),
        random_cov=tuple(_scale_down(cp, b, g) * sigma2 for b, g in enumerate(solution.G)),
        blup=blup,
        fitted=_fitted(X, beta, blocks, blup),
    )


def _fitted(
    X: Floats, beta: arb_mat, blocks: Sequence[RandomBlock], blup: Sequence[arb_mat]
) -> arb_mat:
    total = arb_mat(*X.shape, X.ravel().tolist()) * beta
    for block, effects in zip(blocks, blup, strict=True):
        rows = effects.tolist()
        for j, column in enumerate(block.Z.T):
            terms = [
                z * rows[g][j] for z, g in zip(column.tolist(), block.group.tolist(), strict=True)
            ]
            total += arb_mat(len(terms), 1, terms)
    return total


def _rescale_columns(effects: arb_mat, exponents: Sequence[int], unit: arb) -> arb_mat:
    factors = [unit * arb(2) ** -e for e in exponents]
    return arb_mat(
        [[value * f for value, f in zip(row, factors, strict=True)] for row in effects.tolist()]
    )


def _scale_down(products: CrossProducts, block: int, G: arb_mat) -> arb_mat:
    """From the scaled columns of Z to the model's own."""
    return _congruence(G, [-e for e in products.z_exponents[block]])


def _scale_up(products: CrossProducts, block: int, G: arb_mat) -> arb_mat:
    """From the model's own columns of Z to the scaled ones."""
    return _congruence(G, products.z_exponents[block])


def _congruence(G: arb_mat, exponents: Sequence[int]) -> arb_mat:
    q = len(exponents)
    return arb_mat(
        [[G[i, j] * arb(2) ** (exponents[i] + exponents[j]) for j in range(q)] for i in range(q)]
    )


def _theta(products: CrossProducts, factors: Sequence[arb_mat]) -> arb_mat:
    """lme4's vector: scaling the rows of a lower-triangular factor leaves it lower triangular."""
    values = []
    for p in lower_triangle(products.sizes):
        factor = factors[p.block]
        sign = -1 if factor[p.column, p.column] < 0 else 1
        values.append(
            [sign * factor[p.row, p.column] * arb(2) ** -products.z_exponents[p.block][p.row]]
        )
    return arb_mat(values)


def _exact_factors(sizes: Sequence[int], theta: Floats) -> list[arb_mat]:
    result = [arb_mat(q, q) for q in sizes]
    for value, p in zip(theta, lower_triangle(sizes), strict=True):
        result[p.block][p.row, p.column] = arb(float(value))
    return result


def _units(products: CrossProducts) -> Floats:
    """The scaled theta of one unit of lme4's theta."""
    exponents = [products.z_exponents[p.block][p.row] for p in lower_triangle(products.sizes)]
    return np.ldexp(1.0, exponents)


def _to_scaled(products: CrossProducts, theta: Floats) -> Floats:
    units = _units(products)
    if theta.shape != units.shape:
        raise DataError(f"theta has shape {theta.shape}; this model has {len(units)} entries.")
    return theta * units


def _local(products: CrossProducts, stop: Stop) -> LocalOptimum:
    values = [stop.factors[p.block][p.row, p.column] for p in lower_triangle(products.sizes)]
    return LocalOptimum(np.array(values) / _units(products), stop.deviance, stop.hits)


def _hessian(
    products: CrossProducts, criterion: FloatCriterion, factors: Sequence[arb_mat]
) -> Floats:
    x = np.array([float(factors[p.block][p.row, p.column]) for p in criterion.parameters])
    unit = _units(products)
    return criterion(x)[2] * np.outer(unit, unit)
