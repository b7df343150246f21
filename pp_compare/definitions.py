"""Other documented definitions of quantities that engines report under the same name.

Each is computed by our own formula at an engine's own estimates; a number that agrees with one of
them is no error of that engine, but not the quantity that the others call so either.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag

from pp_compare.design import Design
from pp_compare.model import Fit


@dataclass(frozen=True)
class Definition:
    """Another definition of the fixed effects' covariance.

    Parameters
    ----------
    id : str
    statement : str
    beta_cov : callable
        From the Design, a Fit (for its variances and fixed effects) and ``(X'V^-1X)^-1`` there.
    """

    id: str
    statement: str
    beta_cov: Callable[[Design, Fit, np.ndarray], np.ndarray]


def joint_hessian_cov(design: Design, fit: Fit, gls_cov: np.ndarray) -> np.ndarray:
    """Fixed block of the inverse observed information of (beta, Psi) jointly, Psi = D / sigma^2.

    ``(A - C B^-1 C')^-1`` with ``A = X'V^-1X``, the cross derivatives ``C`` and the second
    derivatives ``B`` of the log-likelihood with sigma^2 profiled out. It differs from
    ``(X'V^-1X)^-1`` because the expected information has ``C = 0`` but the observed one has not.
    statsmodels ``MixedLM.fit`` (``pcov = inv(-hessian)``), 0.13 to 0.15.

    The derivatives in Psi are central differences of closed forms, good to 1e-6.
    """
    profile = _Profile(design, fit)
    psi = profile.start
    steps = profile.steps()
    m = len(psi)
    unit = np.diag(steps)
    C = np.column_stack(
        [(profile.slope(psi + e) - profile.slope(psi - e)) / (2 * e.sum()) for e in unit]
    )
    B = np.empty((m, m))
    for i in range(m):
        for j in range(m):
            up = profile.value(psi + unit[i] + unit[j]) - profile.value(psi + unit[i] - unit[j])
            down = profile.value(psi - unit[i] + unit[j]) - profile.value(psi - unit[i] - unit[j])
            B[i, j] = (up - down) / (4 * steps[i] * steps[j])
    result: np.ndarray = np.linalg.inv(np.linalg.inv(gls_cov) + C @ np.linalg.solve(B, C.T))
    return result


def residual_df_cov(design: Design, fit: Fit, gls_cov: np.ndarray) -> np.ndarray:
    """Maximum likelihood's covariance with the residual variance on N - p degrees of freedom.

    nlme ``summary.lme(adjustSigma = TRUE)``: standard errors times ``sqrt(N / (N - p))``.
    """
    del fit
    n, p = design.X.shape
    return gls_cov * n / (n - p) if design.spec.method == "ML" else gls_cov


def transformed_residuals_cov(design: Design, fit: Fit, gls_cov: np.ndarray) -> np.ndarray:
    """The residual variance estimated again, from the residuals of generalised least squares.

    ``s2 (X'V^-1X)^-1 / sigma2`` with ``s2 = r'V^-1r sigma2 / (N - p)``: ordinary least squares'
    own covariance of the transformed regression. linearmodels ``RandomEffects.fit(debiased=True)``.
    """
    profile = _Profile(design, fit)
    reduced, _ = profile.reduced(profile.start)
    n, p = design.X.shape
    scale: float = float(reduced[p, p]) / (n - p) / float(fit["sigma"]) ** 2
    return np.asarray(gls_cov * scale)


DEFINITIONS: tuple[Definition, ...] = (
    Definition(
        "joint-observed-information",
        "fixed block of the inverse observed information of beta and the variances jointly",
        joint_hessian_cov,
    ),
    Definition(
        "residual-df-under-ml",
        "ML covariance with the residual variance on N - p degrees of freedom",
        residual_df_cov,
    ),
    Definition(
        "transformed-residuals",
        "covariance with the residual variance of the transformed regression, on N - p degrees",
        transformed_residuals_cov,
    ),
)


class _Profile:
    """The log-likelihood in (beta, Psi), sigma^2 profiled, by Woodbury's identity.

    ``V / sigma^2 = I + Z Psi Z'``; all that is needed are the crossproducts of ``W = [X, r]``, Z.
    Psi is packed as the lower triangles of the blocks' covariances.
    """

    def __init__(self, design: Design, fit: Fit) -> None:
        self.n, self.p = design.X.shape
        self.df = self.n - self.p if design.spec.method == "REML" else self.n
        self.reml = design.spec.method == "REML"
        W = np.column_stack([design.X, design.y - design.X @ fit["beta"]])
        Z = np.hstack([_indicator_columns(b.codes, len(b.levels), b.Z) for b in design.blocks])
        self.WW, self.ZW, self.ZZ = W.T @ W, Z.T @ W, Z.T @ Z
        self.sizes = [(len(b.levels), len(b.columns)) for b in design.blocks]
        self.start = self._packed(design, fit)

    def _packed(self, design: Design, fit: Fit) -> np.ndarray:
        scale = float(fit["sigma"]) ** 2
        return np.concatenate(
            [cov[np.tril_indices(len(cov))] / scale for cov in design.by_block(fit.covariances)]
        )

    def steps(self) -> np.ndarray:
        """Step in each entry of Psi: 1e-4 of its size or of the size at which it matters."""
        mass = np.diag(self.ZZ)
        result, column = [], 0
        for m, q in self.sizes:
            heaviest = [mass[column + k : column + m * q : q].max() for k in range(q)]
            result += [
                1 / np.sqrt(heaviest[i] * heaviest[j])
                for i, j in zip(*np.tril_indices(q), strict=True)
            ]
            column += m * q
        size: np.ndarray = np.maximum(np.abs(self.start), result)
        return 1e-4 * size

    def reduced(self, psi: np.ndarray) -> tuple[np.ndarray, float]:
        """``W'V^-1W sigma^2`` and ``log|V / sigma^2|``."""
        G = self._unpacked(psi)
        M = np.eye(len(G)) + self.ZZ @ G
        reduced = self.WW - self.ZW.T @ G @ np.linalg.solve(M, self.ZW)
        return reduced, float(np.linalg.slogdet(M)[1])

    def _unpacked(self, psi: np.ndarray) -> np.ndarray:
        parts, at = [], 0
        for m, q in self.sizes:
            tri = np.zeros((q, q))
            count = q * (q + 1) // 2
            tri[np.tril_indices(q)] = psi[at : at + count]
            at += count
            parts.append(np.kron(np.eye(m), tri + np.tril(tri, -1).T))
        whole: np.ndarray = block_diag(*parts)
        return whole

    def value(self, psi: np.ndarray) -> float:
        """Log-likelihood up to a constant."""
        reduced, logdet = self.reduced(psi)
        p = self.p
        if self.reml:
            logdet += float(np.linalg.slogdet(reduced[:p, :p])[1])
        return float(-0.5 * (self.df * np.log(reduced[p, p]) + logdet))

    def slope(self, psi: np.ndarray) -> np.ndarray:
        """Derivative in beta, (p,)."""
        reduced, _ = self.reduced(psi)
        p = self.p
        slope: np.ndarray = self.df * reduced[:p, p] / reduced[p, p]
        return slope


def _indicator_columns(codes: np.ndarray, m: int, Z: np.ndarray) -> np.ndarray:
    """Z of one block, (n, m q): the q columns of a level stand together."""
    n, q = Z.shape
    wide = np.zeros((n, m, q))
    wide[np.arange(n), codes] = Z
    return wide.reshape(n, m * q)
