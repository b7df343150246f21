"""A criterion where an engine's own conditional modes are, in double precision.

An engine whose log-likelihood is not its criterion at its own estimates may have stopped its inner
iteration early, so that its modes are none; or its modes are good, and what it computes from them
is not. Which of the two it is follows from its own numbers: the criterion is worked out again with
the integrand's tops where the engine has them.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import block_diag, csc_matrix, diags, hstack, kron
from scipy.sparse import eye as identity
from scipy.sparse.linalg import splu
from scipy.special import gammaln, logsumexp

from pp_compare.model import Fit
from pp_compare.model.glmm import GlmmDesign

Floats = np.ndarray


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
    inner = design.design
    named = [f"blup[{group}]" for group in inner.group_levels]
    if kind not in ("laplace", "agq") or not all(name in fit.quantities for name in named):
        return float("nan")
    covariances = inner.by_block(fit.covariances)
    if any(not np.isfinite(c).all() or np.linalg.cond(c) > 1e12 for c in covariances):
        return float("nan")
    if kind == "laplace":
        return _laplace(design, fit, covariances)
    return _quadrature(design, fit, float(covariances[0][0, 0]) ** 0.5, int(nodes))


def _laplace(design: GlmmDesign, fit: Fit, covariances: list[Floats]) -> float:
    """Joint density at the modes, times the normal integral of its curvature there."""
    inner = design.design
    n = len(design.y)
    columns, precisions, modes, scale = [], [], [], 0.0
    for block, cov in zip(inner.blocks, covariances, strict=True):
        m, q = len(block.levels), len(block.columns)
        rows = np.repeat(np.arange(n), q)
        at = (block.codes[:, None] * q + np.arange(q)).ravel()
        columns.append(csc_matrix((block.Z.ravel(), (rows, at)), shape=(n, m * q)))
        precisions.append(kron(identity(m), np.linalg.inv(cov)))
        modes.append(_of_block(design, fit, block.group, block.labels).ravel())
        scale += m * float(np.linalg.slogdet(cov)[1])
    Z, precision, b = hstack(columns).tocsc(), block_diag(precisions).tocsc(), np.concatenate(modes)
    eta = design.offset + inner.X @ fit["beta"] + Z @ b
    curvature = (Z.T @ diags(_variance(design, eta)) @ Z + precision).tocsc()
    height = float(_loglik(design, eta).sum()) - float(b @ (precision @ b)) / 2
    return height - scale / 2 - _logdet(curvature) / 2


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


def _logdet(matrix: csc_matrix) -> float:
    """Of a positive definite matrix, by its sparse LU factors."""
    factors = splu(matrix)
    return float(np.log(np.abs(factors.U.diagonal())).sum())
