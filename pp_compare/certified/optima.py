"""The records of a certified optimum, and how balls become the project's quantities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Protocol

import numpy as np
from flint import arb, arb_mat, fmpq

from pp_compare.certified.existence.record import Existence
from pp_compare.model import Quantity
from pp_compare.model.design import Block, Design

Quantities = dict[str, Quantity]
Covariances = Mapping[str, np.ndarray]
"""Covariance of the random effects of each grouping factor, over all its terms, (q, q)."""


@dataclass(frozen=True)
class LocalOptimum:
    """One optimum of the criterion: where, how deep, and whether on the boundary.

    `position` is ``tau2 / sigma2`` for one random intercept, else lme4's theta; decimal strings.
    """

    position: tuple[str, ...]
    deviance: str
    boundary: bool


@dataclass(frozen=True, eq=False)
class Optimum:
    """The best optimum, with what is proved of it.

    Parameters
    ----------
    claim : {"global", "local", "none"}
    reason : str
        Why no more is claimed; empty for a global optimum.
    deviance : float
        ``-2 loglik``.
    quantities : dict of Quantity
        What the criterion fixes, each number the double nearest to the enclosure's midpoint.
    representative : dict of Quantity
        All quantities at one of the best points. Where the criterion does not fix them, others are
        as good: a place to evaluate at, never an answer.
    digits : mapping of str to str
        The main numbers to 30 digits: deviance, sigma, variances, fixed effects.
    optima : tuple of LocalOptimum
        Every local optimum (global claim) or those that the search found, the best first.
    singular : bool
        Whether the optimum lies on the boundary.
    """

    claim: Literal["global", "local", "none"]
    reason: str
    deviance: float
    quantities: Quantities
    representative: Quantities
    digits: Mapping[str, str]
    optima: tuple[LocalOptimum, ...]
    singular: bool


class CertifiedModel(Protocol):
    """The criterion of one Design: its optimum, its values, and what given variances imply."""

    @property
    def existence(self) -> Existence:
        """Whether the criterion has an optimum, and which quantities it fixes."""

    @property
    def optimum(self) -> Optimum:
        """The best optimum."""

    def deviance(self, sigma: float, covariances: Covariances) -> float:
        """``-2 loglik`` at given variances, with the fixed effects that are best for them.

        Eigenvalues of a covariance that are below 0, as rounding leaves them, are taken as 0.
        """

    def implied(self, sigma: float, covariances: Covariances) -> Quantities:
        """Fixed effects, their covariance and predictions that given variances imply."""

    def near(self, delta: float) -> list[tuple[Quantities, Quantities]]:
        """Estimates at both ends of each principal axis of {deviance <= minimum + delta}."""


def only(quantities: Quantities, existence: Existence) -> Quantities:
    """Those that the criterion fixes."""
    return {name: q for name, q in quantities.items() if name in existence.identified}


def semidefinite(cov: np.ndarray) -> np.ndarray:
    """The nearest positive semidefinite matrix; itself where it is one."""
    values, vectors = np.linalg.eigh(cov)
    if values[0] >= 0:
        return cov
    nearest: np.ndarray = (vectors * np.maximum(values, 0.0)) @ vectors.T
    return nearest


def square(x: float) -> fmpq:
    """The exact square of the double."""
    numerator, denominator = x.as_integer_ratio()
    return fmpq(numerator, denominator) ** 2


def variance_name(block: Block, i: int) -> str:
    """A name for the variance of one random effect."""
    return f"var {block.labels[i]} | {block.group}"


def fixed_effects(design: Design, beta: arb_mat, beta_cov: arb_mat) -> list[Quantity]:
    """Estimates, covariance and standard errors."""
    variances = [beta_cov[k, k].sqrt() for k in range(len(design.labels))]
    return [
        Quantity("beta", floats(beta.entries()), design.labels),
        Quantity("beta_cov", matrix(beta_cov), design.labels, design.labels),
        Quantity("beta_se", floats(variances), design.labels),
    ]


@dataclass(frozen=True, eq=False)
class DistinctRows:
    """The rows of a model matrix, each once, and where each stands among them."""

    rows: arb_mat
    places: np.ndarray

    @staticmethod
    def of(X: np.ndarray) -> DistinctRows:
        """Find them; a row that stands more than once is computed with once."""
        rows, places = np.unique(X, axis=0, return_inverse=True)
        exact = arb_mat(len(rows), rows.shape[1], rows.ravel().tolist())
        return DistinctRows(exact, places.ravel())

    def times(self, beta: arb_mat) -> np.ndarray:
        """X beta, rounded once."""
        values: np.ndarray = floats((self.rows * beta).entries())[self.places]
        return values


def row_labels(design: Design) -> tuple[str, ...]:
    """Numbers of the rows, from 1."""
    return _numbered(design.n_obs)


@lru_cache(maxsize=4)
def _numbered(n: int) -> tuple[str, ...]:
    """The same texts for every quantity of a data set, which may have a million rows."""
    return tuple(map(str, range(1, n + 1)))


def floats(balls: Sequence[arb]) -> np.ndarray:
    """The nearest doubles."""
    return np.array([float(ball) for ball in balls])


def matrix(balls: arb_mat) -> np.ndarray:
    """The nearest doubles."""
    return floats(balls.entries()).reshape(balls.nrows(), balls.ncols())


def text(ball: arb) -> str:
    """Decimal digits that are all proved, at most 30."""
    return str(ball.str(30, radius=False))
