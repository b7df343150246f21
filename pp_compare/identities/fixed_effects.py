"""Identities of the fixed effects and their covariance."""

from __future__ import annotations

import numpy as np

from pp_compare.identities.record import Identity, Residue, largest
from pp_compare.identities.workings import Workings
from pp_compare.model.design import Design


def has_cluster_level_design(design: Design) -> bool:
    """One random intercept, and every column of X constant within its clusters."""
    if not design.spec.is_random_intercept:
        return False
    block = design.blocks[0]
    first = np.unique(block.codes, return_index=True)[1]
    return bool((design.X[first][block.codes] == design.X).all())


def cluster_level_design(design: Design) -> np.ndarray:
    """One row of X for each cluster, (m, p), where X is constant within clusters."""
    return design.X[np.unique(design.blocks[0].codes, return_index=True)[1]]


def _ols_on_predicted_means(at: Workings) -> Residue:
    W = cluster_level_design(at.design)
    means = at.fit[f"cluster_mean[{at.design.blocks[0].group}]"]
    error = largest(W @ (_ols(W, means) - at.fit["beta"]))
    # The least squares fit on the means has a condition of its own.
    condition = float(np.linalg.cond(W / np.linalg.norm(W, axis=0)))
    return Residue(error, at.rounding.line * condition)


def _ols_less_random_part(at: Workings) -> Residue:
    X = at.design.scaled(at.design.X)
    beta = _ols(X, at.design.scaled(at.design.y - at.random_part))
    # A projection turns n errors of one size into one at most sqrt(n) times as large.
    moved = largest(at.design.X @ (beta - at.fit["beta"]))
    return Residue(moved, at.rounding.line * np.sqrt(len(X)))


def _gls(at: Workings) -> Residue:
    error = np.abs(at.fit["beta"] - at.gls_beta) * at.rounding.columns
    return Residue(largest(error), at.rounding.line)


def _gls_covariance(at: Workings) -> Residue:
    root = np.sqrt(np.diag(at.gls_cov))
    error = np.abs(at.fit["beta_cov"] - at.gls_cov) / np.outer(root, root)
    return Residue(largest(error), 2 * at.rounding.relative)


def _standard_errors(at: Workings) -> Residue:
    root = np.sqrt(np.diag(at.fit["beta_cov"]))
    error = np.abs(at.fit["beta_se"] - root) / root
    return Residue(largest(error), at.rounding.relative)


def _complete_pooling(at: Workings) -> Residue:
    X, y = at.design.scaled(at.design.X), at.design.scaled(at.design.y)
    ols = _ols(X, y)
    moved = float(np.linalg.norm(X @ (at.fit["beta"] - ols)))
    allowed = at.norm * float(np.linalg.norm(y - X @ ols))
    return Residue(moved, allowed + at.rounding.scaled_line * np.sqrt(len(y)))


def _no_pooling(at: Workings) -> Residue:
    W, codes = cluster_level_design(at.design), at.design.blocks[0].codes
    weights = np.ones(len(codes)) if at.design.weights is None else at.design.weights
    sizes = np.bincount(codes, weights)
    means = np.bincount(codes, weights * at.design.y) / sizes
    ols = _ols(W, means)
    moved = float(np.linalg.norm(W @ (at.fit["beta"] - ols)))
    rho = float(at.covariance(at.design.blocks[0])[0, 0]) / at.sigma2
    weights = sizes / (1 + sizes * rho)
    allowed = (weights.max() / weights.min() - 1) * float(np.linalg.norm(means - W @ ols))
    return Residue(moved, allowed + at.rounding.line * np.sqrt(len(W)))


def _ols(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Least squares with columns scaled to length 1, so that no unit makes one look dependent."""
    norms = np.linalg.norm(X, axis=0)
    solution: np.ndarray = np.linalg.lstsq(X / norms, y, rcond=None)[0] / norms
    return solution


OLS_ON_PREDICTED_MEANS = Identity(
    id="ols-on-predicted-means",
    statement="fixed effects = ordinary least squares on the predicted cluster means",
    source="normal equations of beta and of u: sum_j w_j u_j = 0 for each cluster-level column",
    reason="rounding: (n + p) eps cond(X)^2 (1 + n_j rho) max|y| cond(W)",
    needs=("beta", "cluster_mean", "random_cov", "sigma"),
    applies=has_cluster_level_design,
    residue=_ols_on_predicted_means,
)

FIXED_EFFECTS: tuple[Identity, ...] = (
    OLS_ON_PREDICTED_MEANS,
    Identity(
        id="henderson-fixed-row",
        statement="fixed effects = ordinary least squares of y - Z u on X",
        source="Henderson's mixed model equations, first row: X'X beta + X'Z u = X'y "
        "(Robinson 1991, Stat. Sci. 6(1), equation 1.2)",
        reason="rounding: (n + p) eps cond(X)^2 (1 + rho sum z^2) max|y|, sqrt(n) for the fit",
        needs=("beta", "blup", "random_cov", "sigma"),
        residue=_ols_less_random_part,
    ),
    Identity(
        id="gls-fixed-effects",
        statement="fixed effects = generalised least squares at the engine's own variances",
        source="beta = (X'V^-1X)^-1 X'V^-1y (Searle, Casella and McCulloch 1992, section 7.4)",
        reason="rounding: (n + p) eps cond(X)^2 (1 + rho sum z^2) max|y|",
        needs=("beta", "random_cov", "sigma"),
        residue=_gls,
    ),
    Identity(
        id="gls-covariance",
        statement="covariance of the fixed effects = (X'V^-1X)^-1 at the engine's own variances",
        source="Searle, Casella and McCulloch 1992, section 7.4; lme4 and nlme vcov()",
        reason="rounding: 2 (n + p) eps cond(X)^2 (1 + rho sum z^2), relative to the deviations",
        needs=("beta_cov", "random_cov", "sigma"),
        residue=_gls_covariance,
    ),
    Identity(
        id="standard-errors",
        statement="standard errors = square roots of the diagonal of the covariance",
        source="definition",
        reason="rounding: (n + p) eps cond(X)^2 (1 + rho sum z^2), the two may be computed apart",
        needs=("beta_se", "beta_cov", "random_cov", "sigma"),
        residue=_standard_errors,
    ),
    Identity(
        id="complete-pooling-limit",
        statement="the fitted line is within |Z D Z'| / sigma^2 |e| of complete pooling (OLS, "
        "residuals e), so it is that line where the variances are 0",
        source="V^-1 sigma^2 lies between 1 / (1 + |Z D Z'| / sigma^2) and 1; normal equations",
        reason="a bound, not an approximation, plus rounding of two fits",
        needs=("beta", "random_cov", "sigma"),
        residue=_complete_pooling,
    ),
    Identity(
        id="no-pooling-limit",
        statement="the line is within (max weight / min weight - 1) |e| of OLS on the cluster "
        "means (residuals e), so it is that line where tau2 is large",
        source="beta weights the cluster means by 1 / (tau2 + sigma2 / n_j); normal equations",
        reason="a bound, not an approximation, plus rounding of two fits",
        needs=("beta", "random_cov", "sigma"),
        applies=has_cluster_level_design,
        residue=_no_pooling,
    ),
)
