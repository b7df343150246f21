"""Generalised least squares at an engine's own variances, in double precision.

Rows that share no random effect are independent of one another, so each connected part is taken by
itself: a Householder QR of ``[Z L, X, y; I, 0, 0]`` (with ``L L' = D / sigma^2``) eliminates its
random effects and leaves the triangle of the whitened ``[X, y]`` (Bates and DebRoy 2004, *J.
Multivariate Anal.* 91, 1-17). Nothing is subtracted and nothing inverted that could be singular:
variances of 0 and correlations of 1 are no special case. Prior weights scale the rows by their
roots (`Design.scaled`), after which all have one residual variance.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import scipy.linalg

from pp_compare.identities.parts import Parts, eliminated
from pp_compare.identities.rounding import Rounding, rounding_at
from pp_compare.model import Fit
from pp_compare.model.design import Block, Design


class Workings:
    """What the identities have in common on one Fit; each piece is computed when first needed.

    Parameters
    ----------
    design : Design
    fit : Fit
        With status ``"ok"``.
    """

    def __init__(self, design: Design, fit: Fit) -> None:
        self.design = design
        self.fit = fit

    @cached_property
    def rounding(self) -> Rounding:
        """Rounding bounds at the engine's own variances."""
        return rounding_at(self.design, float(self.fit["sigma"]), self.fit.covariances)

    @cached_property
    def sigma2(self) -> np.float64:
        """The engine's residual variance; of numpy's kind, whose division by 0 is no exception."""
        return np.float64(self.fit["sigma"]) ** 2

    def covariance(self, block: Block) -> np.ndarray:
        """The engine's covariance of one block, (q, q): its part of the grouping factor's."""
        at = self._first_column(block)
        q = len(block.columns)
        return self.fit[f"random_cov[{block.group}]"][at : at + q, at : at + q]

    def blup(self, block: Block) -> np.ndarray:
        """The engine's predicted effects of one block, (m, q)."""
        at = self._first_column(block)
        return self.fit[f"blup[{block.group}]"][:, at : at + len(block.columns)]

    def _first_column(self, block: Block) -> int:
        before = self.design.blocks[: self.design.blocks.index(block)]
        return sum(len(other.columns) for other in before if other.group == block.group)

    @cached_property
    def random_part(self) -> np.ndarray:
        """Z u with the engine's own u, (n,)."""
        total = np.zeros(self.design.n_obs)
        for block in self.design.blocks:
            total += (block.Z * self.blup(block)[block.codes]).sum(axis=1)
        return total

    @cached_property
    def factors(self) -> tuple[np.ndarray, ...]:
        """L of each block, ``L L' = D / sigma^2``: a square root that D = 0 has too."""
        found = []
        for block in self.design.blocks:
            values, vectors = np.linalg.eigh(self.covariance(block) / self.sigma2)
            # Rounding may leave a singular covariance slightly indefinite; more is not rounding.
            if values[0] < -len(values) * 1e-12 * max(values[-1], 1.0):
                raise np.linalg.LinAlgError("a covariance that is not positive semidefinite")
            found.append(vectors * np.sqrt(np.maximum(values, 0.0)))
        return tuple(found)

    @cached_property
    def parts(self) -> tuple[Parts, ...]:
        """The model, parts of one shape together.

        Raises
        ------
        TooLargeError
        """
        return tuple(eliminated(self.design, self.factors))

    @cached_property
    def norm(self) -> float:
        """Largest eigenvalue of ``Z D Z' / sigma^2``, of scaled rows where there are weights."""
        return max(part.norm for part in self.parts)

    @cached_property
    def logdet(self) -> float:
        """``log |V / sigma^2|``, with ``V / sigma^2 = W^-1 + Z D Z' / sigma^2``."""
        diagonals = (np.diagonal(p.triangle, axis1=1, axis2=2) for p in self.parts)
        value = 2 * float(sum(np.log(np.abs(diagonal)).sum() for diagonal in diagonals))
        weights = self.design.weights
        return value if weights is None else value - float(np.log(weights).sum())

    @cached_property
    def triangle(self) -> np.ndarray:
        """R of the whitened [X, y], (p + 1, p + 1)."""
        rows = [part.below.reshape(-1, part.below.shape[2]) for part in self.parts]
        return np.asarray(np.linalg.qr(np.vstack(rows), mode="r"))

    @cached_property
    def gls_beta(self) -> np.ndarray:
        """Generalised least squares at the engine's own variances, (p,)."""
        beta: np.ndarray = scipy.linalg.solve_triangular(
            self.triangle[:-1, :-1], self.triangle[:-1, -1], check_finite=False
        )
        return beta

    @cached_property
    def gls_cov(self) -> np.ndarray:
        """``(X'V^-1X)^-1`` at the engine's own variances, (p, p)."""
        inverse = scipy.linalg.solve_triangular(
            self.triangle[:-1, :-1], np.eye(len(self.triangle) - 1), check_finite=False
        )
        cov: np.ndarray = self.sigma2 * (inverse @ inverse.T)
        return cov

    @cached_property
    def quadratic(self) -> float:
        """``r' V^-1 r sigma^2`` with the residuals of generalised least squares."""
        return float(self.triangle[-1, -1] ** 2)

    @cached_property
    def modes(self) -> tuple[np.ndarray, ...]:
        """Conditional modes at the engine's own fixed effects and variances, (m, q) a block."""
        found = [np.zeros((len(b.levels), len(b.columns))) for b in self.design.blocks]
        weights = np.append(-self.fit["beta"], 1.0)
        for part in self.parts:
            # Of an upper triangular matrix this is back substitution: no row is exchanged.
            spherical = np.linalg.solve(part.triangle, (part.beside @ weights)[..., None])[..., 0]
            for u, factor, (levels, at) in zip(found, self.factors, part.effects, strict=True):
                u[levels] = spherical[:, at] @ factor.T
        return tuple(found)
