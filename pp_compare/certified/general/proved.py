"""The records of a proved local optimum: where it lies, what it says, how it was found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from flint import arb, arb_mat
from numpy.typing import NDArray

from pp_compare.certified.equations.mixed_equations import Solution
from pp_compare.certified.general.estimates import Estimates
from pp_compare.certified.general.face import Face

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LocalOptimum:
    """A minimum found by the search that is not the best one; float64, nothing proved.

    ``hits`` counts the starts that led to it.
    """

    theta: Floats
    deviance: float
    hits: int


@dataclass(frozen=True)
class Rise:
    """Slope of the deviance in the relative variance that one random effect lacks, positive.

    Attributes
    ----------
    block, row : int
        Random term and random effect.
    slope : float
        Of the deviance, for its variance over sigma^2 (given the other random effects).
    alone : bool
        Whether its whole variance is 0; else it is a multiple of the others.
    """

    block: int
    row: int
    slope: float
    alone: bool


@dataclass(frozen=True)
class Point:
    """Where the answer is evaluated; ``reason`` is empty where the point is proved.

    ``factors`` are T of each random term, in the coordinates of ``solution.products``.
    """

    reason: str
    face: Face
    factors: list[arb_mat]
    box: list[arb_mat]
    solution: Solution
    bits: int


@dataclass(frozen=True)
class GeneralOptimum:
    """The best known optimum of a criterion and what is proved about it.

    Attributes
    ----------
    claim : "local" or "none"
        "local": ``theta`` encloses a strict local minimum of the criterion over all positive
        semidefinite covariances, and ``box`` holds no other stationary point of the criterion
        among covariances of the same ranks. "none": nothing is proved; all values belong to the
        search's best point.
    reason : str
        Why there is no claim; empty where there is one.
    theta : (t, 1) arb_mat
        lme4's parametrisation: entries of the relative covariance factors, term by term, column
        by column.
    box : (t, 1) arb_mat
        The box of uniqueness; entries that are fixed at zero have radius zero.
    ranks : tuple of int
        The rank of each term's covariance.
    singular : bool
        Whether some rank is less than full: a variance of zero, a correlation of +-1.
    deviance, loglik : arb
        -2 log L and log L with all constants, the REML ones as in lme4's and nlme's ``logLik``.
    estimates : Estimates
    others : tuple of LocalOptimum
        Further minima found by the search, best first.
    starts : int
        How many starts the search used.
    hessian : (t, t) float64 array
        Second derivatives of the profiled deviance in all of theta at the optimum.
    point : Point
        The proved point, or the search's best, in the coordinates of the cross-products.
    rises : tuple of Rise
        Of a proved singular optimum: how the deviance rises off the boundary.
    """

    claim: Literal["local", "none"]
    reason: str
    theta: arb_mat
    box: arb_mat
    ranks: tuple[int, ...]
    singular: bool
    deviance: arb
    loglik: arb
    estimates: Estimates
    others: tuple[LocalOptimum, ...]
    starts: int
    hessian: Floats
    point: Point
    rises: tuple[Rise, ...] = ()
