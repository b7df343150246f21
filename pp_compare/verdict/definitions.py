"""Other documented definitions of quantities that engines report under the same name.

Each is computed by our own formula at an engine's own estimates; a number that agrees with one of
them is no error of that engine, but not the quantity that the others call so either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import block_diag

from pp_compare.model import Fit
from pp_compare.model.design import Design


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
    """
    C, B = _Profile(design, fit).second_derivatives()
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
    n, p = design.X.shape
    scale = _Profile(design, fit).rss / (n - p) / float(fit["sigma"]) ** 2
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
    """The log-likelihood in (beta, Psi), sigma^2 profiled, at a fit's own estimates.

    ``-2 l = df log q + log|H| (+ log|X'H^-1X|)`` with ``H = V / sigma^2 = I + Z Psi Z'`` and
    ``q = r'H^-1r``. All that is needed are the crossproducts of ``W = [X, r]`` and Z. The parameter
    i of Psi, an entry of one block's covariance, moves H by ``Z E_i Z'``; E_i is kept as pairs of
    sets of columns, ``E_i = sum of P_l P_r'`` with columns of the identity in P.
    """

    def __init__(self, design: Design, fit: Fit) -> None:
        n, p = design.X.shape
        self.p, self.reml = p, design.spec.method == "REML"
        self.df = n - p if self.reml else n
        W = design.scaled(np.column_stack([design.X, design.y - design.X @ fit["beta"]]))
        Z = np.hstack(
            [_indicator_columns(b.codes, len(b.levels), design.scaled(b.Z)) for b in design.blocks]
        )
        covariances = design.by_block(fit.covariances)
        sizes = [(len(b.levels), len(b.columns)) for b in design.blocks]
        parts = [np.kron(np.eye(m), cov) for (m, _), cov in zip(sizes, covariances, strict=True)]
        G = block_diag(*parts) / float(fit["sigma"]) ** 2
        self.ZZ, ZW = Z.T @ Z, Z.T @ W
        # Woodbury: Z'H^-1W = (I + Z'Z Psi)^-1 Z'W, and alike with Z in the place of W.
        self.M = np.eye(len(G)) + self.ZZ @ G
        self.ZW = np.linalg.solve(self.M, ZW)
        self.WW = W.T @ W - ZW.T @ G @ self.ZW
        self.directions = list(_directions(sizes))

    @cached_property
    def S(self) -> np.ndarray:  # noqa: N802  # a matrix
        """``Z'H^-1Z``, which only derivatives need."""
        S: np.ndarray = np.linalg.solve(self.M, self.ZZ)
        return S

    @property
    def rss(self) -> float:
        """``q``."""
        return float(self.WW[self.p, self.p])

    def second_derivatives(self) -> tuple[np.ndarray, np.ndarray]:
        """Of the log-likelihood: in beta and Psi, (p, m), and in Psi, (m, m).

        Lindstrom and Bates 1988, J. Am. Stat. Assoc. 83(404), section 4, by the crossproducts.
        """
        p, q = self.p, self.rss
        first = [self._first(one) for one in self.directions]
        slope = np.array([d[p, p] for d in first])
        C = np.column_stack([d[:p, p] / q - self.WW[:p, p] * d[p, p] / q**2 for d in first])
        B = np.empty((len(first), len(first)))
        for i, one in enumerate(self.directions):
            for j, other in enumerate(self.directions[: i + 1]):
                second = self._second(one, other)
                value = self.df * (second[p, p] / q - slope[i] * slope[j] / q**2)
                value -= self._trace(one, other)
                if self.reml:
                    value += self._information(first[i], first[j], second)
                B[i, j] = B[j, i] = value
        return self.df * C, -B / 2

    def _first(self, one: _Direction) -> np.ndarray:
        """Derivative of ``W'H^-1W``."""
        return -_sum(self.ZW[left].T @ self.ZW[right] for left, right in one)

    def _second(self, one: _Direction, other: _Direction) -> np.ndarray:
        """Second derivative of ``W'H^-1W``."""
        half = _sum(
            self.ZW[a].T @ self.S[np.ix_(b, c)] @ self.ZW[d] for a, b in one for c, d in other
        )
        second: np.ndarray = half + half.T
        return second

    def _trace(self, one: _Direction, other: _Direction) -> float:
        """Second derivative of ``log|H|``, but for its sign."""
        pairs = ((a, b, c, d) for a, b in one for c, d in other)
        return sum(
            float((self.S[np.ix_(b, c)] * self.S[np.ix_(a, d)]).sum()) for a, b, c, d in pairs
        )

    def _information(self, one: np.ndarray, other: np.ndarray, second: np.ndarray) -> float:
        """Second derivative of ``log|X'H^-1X|``."""
        p = self.p
        moved = [np.linalg.solve(self.WW[:p, :p], d[:p, :p]) for d in (one, other, second)]
        return float(np.trace(moved[2]) - np.trace(moved[0] @ moved[1]))


_Direction = Sequence[tuple[np.ndarray, np.ndarray]]


def _directions(sizes: Sequence[tuple[int, int]]) -> Iterator[_Direction]:
    """Columns of Z that each entry of each block's covariance joins, both ways off the diagonal."""
    start = 0
    for m, q in sizes:
        columns = start + np.arange(m * q).reshape(m, q).T
        for i, j in zip(*np.tril_indices(q), strict=True):
            ways = [(columns[i], columns[j]), (columns[j], columns[i])]
            yield ways if i != j else ways[:1]
        start += m * q


def _sum(matrices: Iterable[np.ndarray]) -> np.ndarray:
    total: np.ndarray = np.sum(list(matrices), axis=0)
    return total


def _indicator_columns(codes: np.ndarray, m: int, Z: np.ndarray) -> np.ndarray:
    """Z of one block, (n, m q): the q columns of a level stand together."""
    n, q = Z.shape
    wide = np.zeros((n, m, q))
    wide[np.arange(n), codes] = Z
    return wide.reshape(n, m * q)
