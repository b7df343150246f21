"""The package: a random intercept by (restricted) maximum likelihood. It knows no pp_compare.

The likelihood is profiled down to one number, rho = tau^2 / sigma^2. Bates, Maechler, Bolker and
Walker (2015), "Fitting linear mixed-effects models using lme4", J. Stat. Softw. 67(1), section 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

GRID = np.linspace(-14.0, 28.0, 169)
"""log rho: steps of 0.25, fine enough that no valley between two optima is stepped over."""


@dataclass(frozen=True)
class RandomIntercept:
    """Estimates of ``y = X beta + u[group] + e``.

    Parameters
    ----------
    beta, beta_cov : ndarray, shape (p,) and (p, p)
    tau2, sigma2 : float
        Variances of the intercepts and of the residuals.
    u : ndarray, shape (m,)
        Predicted intercepts.
    loglik : float
        With all constants; restricted under REML.
    """

    beta: np.ndarray
    beta_cov: np.ndarray
    tau2: float
    sigma2: float
    u: np.ndarray
    loglik: float


def fit_random_intercept(
    y: np.ndarray, X: np.ndarray, group: np.ndarray, reml: bool = True
) -> RandomIntercept:
    """Fit by the smallest deviance over a grid, refined, and over rho = 0.

    Parameters
    ----------
    y : ndarray, shape (n,)
    X : ndarray, shape (n, p)
    group : ndarray of int, shape (n,)
        0 to m - 1.
    reml : bool
    """

    def deviance(log_rho: float) -> float:
        return -2 * _at(float(np.exp(log_rho)), y, X, group, reml).loglik

    k = int(np.argmin([deviance(x) for x in GRID]))
    around = (GRID[max(k - 1, 0)], GRID[min(k + 1, len(GRID) - 1)])
    refined = minimize_scalar(deviance, bounds=around, method="bounded", options={"xatol": 1e-10})
    fits = [_at(rho, y, X, group, reml) for rho in (0.0, float(np.exp(refined.x)))]
    return max(fits, key=lambda fit: fit.loglik)


def _at(rho: float, y: np.ndarray, X: np.ndarray, group: np.ndarray, reml: bool) -> RandomIntercept:
    """Everything that follows from rho: beta, sigma2, u and the log-likelihood."""
    sizes = np.bincount(group)
    means = np.array([np.bincount(group, column) / sizes for column in np.column_stack([X, y]).T]).T
    within = np.column_stack([X, y]) - means[group]
    # V^-1 is the within part and, between, a weight of n / (1 + n rho) for each mean.
    weight = (sizes / (1 + sizes * rho))[:, None]
    root = np.vstack([within, np.sqrt(weight) * means])
    # QR, not normal equations: they would square the condition number.
    R = np.linalg.qr(root, mode="r")
    Rx = R[:-1, :-1]
    beta = np.linalg.solve(Rx, R[:-1, -1])
    inverse = np.linalg.inv(Rx)
    df = len(y) - X.shape[1] * reml
    sigma2 = float(R[-1, -1] ** 2) / df
    logdet = np.log1p(sizes * rho).sum()
    if reml:
        logdet += 2 * np.log(np.abs(np.diag(Rx))).sum()
    loglik = -(df * (1 + np.log(2 * np.pi * sigma2)) + logdet) / 2
    u = rho * weight[:, 0] * (means[:, -1] - means[:, :-1] @ beta)
    return RandomIntercept(
        beta, sigma2 * inverse @ inverse.T, rho * sigma2, sigma2, u, float(loglik)
    )
