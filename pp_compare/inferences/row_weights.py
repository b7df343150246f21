"""What every row says in every fixed effect, of any linear mixed model at given variances.

With the variances held the fixed effects are linear in the response: lm's are ``pinv(X) y`` and the
mixed model's ``(X'V^-1 X)^-1 X'V^-1 y``. V^-1 goes through the random effects, sparse, so that no
matrix of rows by rows is made (Henderson 1984, Applications of Linear Models, chapter 5).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import block_diag as sparse_block_diag
from scipy.sparse import csc_array, csr_array, eye_array, hstack
from scipy.sparse.linalg import splu

from pp_compare.model import Fit
from pp_compare.model.design import Block, Design


@dataclass(frozen=True, eq=False)
class RowWeights:
    """Weights of the rows at one set of variances.

    Parameters
    ----------
    design : Design
    covariances : tuple of (q, q) ndarray
        Of each random term, over sigma2.
    """

    design: Design
    covariances: tuple[np.ndarray, ...]

    @cached_property
    def lm(self) -> np.ndarray:
        """(p, n): fixed effects of least squares are ``lm @ y``."""
        return np.linalg.pinv(self.design.X)

    @cached_property
    def mixed(self) -> np.ndarray:
        """(p, n): those of the mixed model are ``mixed @ y``."""
        X = self.design.X
        inverse = self._inverse_times(X)
        return np.asarray(np.linalg.solve(X.T @ inverse, inverse.T))

    @cached_property
    def effects(self) -> list[np.ndarray]:
        """Predicted random effects of each term, (levels, q)."""
        y, X = self.design.y, self.design.X
        residual = y - X @ (self.mixed @ y)
        found = self._G @ (self._Z.T @ self._inverse_times(residual[:, None])[:, 0])
        return [
            part.reshape(len(block.levels), -1)
            for block, part in zip(self.design.blocks, np.split(found, self._bounds), strict=True)
        ]

    @cached_property
    def pooling(self) -> list[np.ndarray]:
        """How far a prediction rises when its level's own effect is one larger, (levels, q).

        The diagonal of ``G Z'V^-1 Z``: 0 is complete pooling, 1 none. For one random intercept it
        is Gelman and Hill's weight ``tau2 / (tau2 + sigma2 / n)``.
        """
        # I - G Z'V^-1 Z = (I + G Z'Z)^-1.
        system = csc_array(eye_array(self._G.shape[0]) + self._G @ (self._Z.T @ self._Z))
        diagonal = 1 - _inverse_diagonal(system)
        return [
            part.reshape(len(block.levels), -1)
            for block, part in zip(
                self.design.blocks, np.split(diagonal, self._bounds), strict=True
            )
        ]

    def by_level(self, rows: np.ndarray, block: Block) -> np.ndarray:
        """Sums over the rows of each level, (p, levels), of (p, n)."""
        return np.array([np.bincount(block.codes, line, len(block.levels)) for line in rows])

    def _inverse_times(self, columns: np.ndarray) -> np.ndarray:
        """V^-1 in units of sigma2 times columns (n, k)."""
        Z, G = self._Z, self._G
        system = csc_array(eye_array(G.shape[0]) + (Z.T @ Z) @ G)
        return np.asarray(columns - Z @ (G @ splu(system).solve(Z.T @ columns)))

    @cached_property
    def _Z(self) -> csr_array:  # noqa: N802  # a matrix
        return csr_array(hstack([_indicators(block) for block in self.design.blocks]))

    @cached_property
    def _G(self) -> csc_array:  # noqa: N802  # a matrix
        parts = [
            cov
            for block, cov in zip(self.design.blocks, self.covariances, strict=True)
            for _ in block.levels
        ]
        return csc_array(sparse_block_diag(parts))

    @cached_property
    def _bounds(self) -> np.ndarray:
        return np.cumsum([len(b.levels) * len(b.columns) for b in self.design.blocks])[:-1]


def row_weights_of(design: Design, fit: Fit) -> RowWeights:
    """The weights at the variances of a Fit with status ``"ok"``."""
    sigma2 = float(fit["sigma"]) ** 2
    return RowWeights(design, tuple(cov / sigma2 for cov in design.by_block(fit.covariances)))


def _indicators(block: Block) -> csr_array:
    """Z of one term, sparse: the columns of a level stand beside each other."""
    n, q = block.Z.shape
    rows = np.repeat(np.arange(n), q)
    columns = (block.codes[:, None] * q + np.arange(q)).ravel()
    shape = (n, q * len(block.levels))
    return csr_array((block.Z.ravel(), (rows, columns)), shape=shape)


def _inverse_diagonal(system: csc_array, chunk: int = 512) -> np.ndarray:
    size, factor = system.shape[0], splu(system)
    found = np.empty(size)
    for start in range(0, size, chunk):
        some = np.arange(start, min(start + chunk, size))
        unit = np.zeros((size, len(some)))
        unit[some, np.arange(len(some))] = 1
        found[some] = factor.solve(unit)[some, np.arange(len(some))]
    return found
