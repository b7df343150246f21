"""A plain mixed model in double precision, independent of the project's own core."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from pp_compare.model import Fit, Quantity
from pp_compare.model.design import Design


@dataclass(frozen=True)
class Plain:
    """Random intercept in floating point, each step open to a mistake.

    Parameters
    ----------
    method : callable
        REML or ML, from the one asked for.
    rows : callable
        Which rows are used.
    weight : callable
        Precision of a cluster's mean, over 1/sigma2, from its size and rho.
    dtype : type
        Of the data.
    lowest : float
        Smallest rho that is tried.
    xatol : float
        Of the optimiser, on log rho.
    """

    method: Callable[[str], str] = lambda asked: asked
    rows: Callable[[Design], np.ndarray] = lambda design: np.arange(design.n_obs)
    weight: Callable[[np.ndarray, float], np.ndarray] = lambda n, rho: n / (1 + n * rho)
    dtype: type = np.float64
    lowest: float = 0.0
    xatol: float = 1e-12

    def __call__(self, design: Design) -> Fit:
        rows = self.rows(design)
        X, y = (a[rows].astype(self.dtype) for a in (design.X, design.y))
        codes, m = design.blocks[0].codes[rows], len(design.blocks[0].levels)
        reml = self.method(design.spec.method) == "REML"

        def at(rho: float):
            return self._solve(X, y, codes, m, rho, reml)

        found = minimize_scalar(
            lambda t: at(np.exp(t))[0],
            bounds=(-15, 25),
            method="bounded",
            options={"xatol": self.xatol},
        )
        rho = min([self.lowest, float(np.exp(found.x))], key=lambda r: at(r)[0])
        deviance, beta, cov, sigma2 = at(rho)
        return self._fit(design, rho, deviance, beta, cov, sigma2)

    def _solve(self, X, y, codes, m, rho, reml):
        sizes = np.maximum(np.bincount(codes, minlength=m), 1).astype(self.dtype)
        W = np.column_stack([X, y])
        sums = np.array([np.bincount(codes, column, minlength=m) for column in W.T]).T
        means = (sums / sizes[:, None]).astype(self.dtype)
        centred = W - means[codes]
        weight = self.weight(sizes, rho)[:, None]
        M = centred.T @ centred + (weight * means).T @ means
        cov = np.linalg.inv(M[:-1, :-1])
        beta = cov @ M[:-1, -1]
        quadratic = M[-1, -1] - M[-1, :-1] @ beta
        df = len(y) - X.shape[1] * reml
        sigma2 = quadratic / df
        deviance = df * (1 + np.log(2 * np.pi * sigma2)) + np.log1p(sizes * rho).sum()
        if reml:
            deviance += np.linalg.slogdet(M[:-1, :-1])[1]
        return float(deviance), beta, cov * sigma2, float(sigma2)

    def _fit(self, design, rho, deviance, beta, cov, sigma2) -> Fit:
        block = design.blocks[0]
        codes, sizes = block.codes, np.bincount(block.codes)
        residual = np.bincount(codes, design.y - design.X @ beta) / sizes
        u = rho * self.weight(sizes, rho) * residual
        fitted = design.X @ beta + u[codes]
        effects = block.labels
        rows = tuple(str(i + 1) for i in range(design.n_obs))
        found = [
            Quantity("beta", beta, design.labels),
            Quantity("beta_cov", cov, design.labels, design.labels),
            Quantity("beta_se", np.sqrt(np.diag(cov)), design.labels),
            Quantity("sigma", np.sqrt(sigma2)),
            Quantity(f"random_cov[{block.group}]", [[rho * sigma2]], effects, effects),
            Quantity("loglik", -deviance / 2),
            Quantity(f"blup[{block.group}]", u[:, None], block.levels, effects),
            Quantity("fitted", fitted, rows),
            Quantity(
                f"cluster_mean[{block.group}]", np.bincount(codes, fitted) / sizes, block.levels
            ),
        ]
        return Fit("candidate", "ok", {q.name: q for q in found}, design_error=0.0)
