"""A criterion where an engine's own conditional modes are, in double precision.

An engine whose log-likelihood is not its criterion at its own estimates may have stopped its inner
iteration early, so that its modes are none; or its modes are good, and what it computes from them
is not. Which of the two it is follows from its own numbers: the criterion is worked out again with
the integrand's tops where the engine has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import block_diag, csc_matrix, diags, hstack, kron
from scipy.sparse import eye as identity
from scipy.sparse.linalg import splu
from scipy.special import gammaln, logsumexp, xlogy

from pp_compare.model import Fit
from pp_compare.model.glmm import GlmmDesign

Floats = np.ndarray


MOST_ENTRIES = 20_000_000
"""Of a dense matrix of rows by random effects; more would take gigabytes."""


def criterion_at_modes(design: GlmmDesign, fit: Fit) -> float:
    """The log-likelihood by the definition that a fit names, about its own conditional modes.

    Parameters
    ----------
    design : GlmmDesign
    fit : Fit
        With conditional modes and a covariance of the random effects that is not singular.

    Returns
    -------
    float
        nan for a fit without modes or with a singular covariance, and for a definition that is
        neither Laplace's nor quadrature.
    """
    kind, _, nodes = fit.definition.partition(":")
    if kind not in ("laplace", "agq") or not _has_modes(design, fit):
        return float("nan")
    if kind == "agq":
        sd = float(next(iter(fit.covariances.values()))[0, 0]) ** 0.5
        return _quadrature(design, fit, sd, int(nodes))
    about = _About.modes(design, fit)
    height = float(_loglik(design, about.eta).sum()) - about.penalty / 2
    return height - about.scale / 2 - about.logdet / 2


def one_step(design: GlmmDesign, fit: Fit, tolerance: float) -> float:
    """How far half the logarithm of the determinant moves in the last step of an inner iteration.

    The iteration ends where the penalised deviance falls by less than `tolerance` of itself. By
    Newton's method it falls by d'Hd in a step d, H the curvature, so that half the logarithm of
    det(H), whose gradient is g/2, moves by sqrt(g'H^-1 g) sqrt(d'Hd) / 2 at most, to first order. A
    determinant that is one step behind the modes is off by no more.

    Returns
    -------
    float
        nan as for `criterion_at_modes`, and for models of more than `MOST_ENTRIES`.
    """
    if not _has_modes(design, fit):
        return float("nan")
    about = _About.modes(design, fit)
    n, q = about.Z.shape
    if n * q > MOST_ENTRIES:
        return float("nan")
    leverage = np.einsum("ij,ji->i", about.Z.toarray(), about.solve(about.Z.T.toarray()))
    gradient = about.Z.T @ (_variance_slope(design, about.eta) * leverage)
    reach = float(np.sqrt(gradient @ about.solve(gradient)))
    deviance = 2 * float((_saturated(design) - _loglik(design, about.eta)).sum()) + about.penalty
    return reach * float(np.sqrt(tolerance * deviance)) / 2


def _has_modes(design: GlmmDesign, fit: Fit) -> bool:
    named = [f"blup[{group}]" for group in design.design.group_levels]
    if not all(name in fit.quantities for name in named):
        return False
    covariances = fit.covariances.values()
    return all(np.isfinite(c).all() and np.linalg.cond(c) < 1e12 for c in covariances)


@dataclass(frozen=True, eq=False)
class _About:
    """The joint density of responses and effects about the conditional modes of a fit.

    Parameters
    ----------
    Z : (n, q) sparse matrix
    eta : (n,) array
        Linear predictor at the modes.
    penalty : float
        b'S^-1 b.
    scale : float
        log det S of all effects.
    factors : SuperLU
        Of the curvature Z'WZ + S^-1.
    """

    Z: csc_matrix
    eta: Floats
    penalty: float
    scale: float
    factors: Any

    @property
    def logdet(self) -> float:
        """Of the curvature."""
        return float(np.log(np.abs(self.factors.U.diagonal())).sum())

    def solve(self, right: Floats) -> Floats:
        """The curvature's inverse times a vector or a matrix."""
        return np.asarray(self.factors.solve(right))

    @classmethod
    def modes(cls, design: GlmmDesign, fit: Fit) -> _About:
        """About those of a fit that has them."""
        inner = design.design
        n = len(design.y)
        columns, precisions, modes, scale = [], [], [], 0.0
        covariances = inner.by_block(fit.covariances)
        for block, cov in zip(inner.blocks, covariances, strict=True):
            m, q = len(block.levels), len(block.columns)
            rows = np.repeat(np.arange(n), q)
            at = (block.codes[:, None] * q + np.arange(q)).ravel()
            columns.append(csc_matrix((block.Z.ravel(), (rows, at)), shape=(n, m * q)))
            precisions.append(kron(identity(m), np.linalg.inv(cov)))
            modes.append(_of_block(design, fit, block.group, block.labels).ravel())
            scale += m * float(np.linalg.slogdet(cov)[1])
        Z, b = hstack(columns).tocsc(), np.concatenate(modes)
        precision = block_diag(precisions).tocsc()
        eta = design.offset + inner.X @ fit["beta"] + Z @ b
        factors = splu((Z.T @ diags(_variance(design, eta)) @ Z + precision).tocsc())
        return cls(Z, eta, float(b @ (precision @ b)), scale, factors)


def _of_block(
    design: GlmmDesign, fit: Fit, group: str, labels: tuple[str, ...] | list[str]
) -> Floats:
    """Modes of one term's effects; a group of several terms has those of all in one table."""
    table = fit.quantities[f"blup[{group}]"]
    effects = design.design.random_labels(group)
    at = [list(effects).index(label) for label in labels]
    found: Floats = table.values[:, at]
    return found


def _quadrature(design: GlmmDesign, fit: Fit, sd: float, nodes: int) -> float:
    """Gauss-Hermite about the modes of one random intercept, scaled by the curvature there."""
    block = design.design.blocks[0]
    z = block.Z[:, 0]
    base = design.offset + design.design.X @ fit["beta"]
    top = fit[f"blup[{block.group}]"][:, 0] / sd

    def of_group(values: Floats) -> Floats:
        return np.bincount(block.codes, values, minlength=len(block.levels))

    def eta(u: Floats) -> Floats:
        found: Floats = base + sd * z * u[block.codes]
        return found

    spread = 1 / np.sqrt(1 + of_group(_variance(design, eta(top)) * (sd * z) ** 2))
    places, weights = np.polynomial.hermite_e.hermegauss(nodes)
    terms = []
    for x, w in zip(places, weights / np.sqrt(2 * np.pi), strict=True):
        u = top + spread * x
        terms.append(of_group(_loglik(design, eta(u))) - u**2 / 2 + x**2 / 2 + np.log(w))
    return float((logsumexp(terms, axis=0) + np.log(spread)).sum())


def _loglik(design: GlmmDesign, eta: Floats) -> Floats:
    """Of each row, constants included."""
    y, n = design.y, design.trials
    if design.family == "poisson":
        found: Floats = y * eta - np.exp(eta) - gammaln(y + 1)
        return found
    ways = gammaln(n + 1) - gammaln(y + 1) - gammaln(n - y + 1)
    return np.asarray(ways + y * eta - n * np.logaddexp(0, eta))


def _variance(design: GlmmDesign, eta: Floats) -> Floats:
    """Of each row's response, which is the weight of its linear predictor."""
    if design.family == "poisson":
        return np.asarray(np.exp(eta))
    p = 1 / (1 + np.exp(-eta))
    return np.asarray(design.trials * p * (1 - p))


def _variance_slope(design: GlmmDesign, eta: Floats) -> Floats:
    """Its derivative along the linear predictor."""
    variance = _variance(design, eta)
    if design.family == "poisson":
        return variance
    return np.asarray(-variance * np.tanh(eta / 2))


def _saturated(design: GlmmDesign) -> Floats:
    """The log-likelihood of each row with a parameter of its own."""
    y, n = design.y.astype(float), design.trials.astype(float)
    if design.family == "poisson":
        return np.asarray(xlogy(y, y) - y - gammaln(y + 1))
    ways = gammaln(n + 1) - gammaln(y + 1) - gammaln(n - y + 1)
    return np.asarray(ways + xlogy(y, y / n) + xlogy(n - y, (n - y) / n))
