"""What rounding alone can do to a mixed model's answers, in the units of each quantity.

First-order bounds with the condition number of what is solved (Higham 2002, *Accuracy and
Stability of Numerical Algorithms*, chapters 3, 10 and 20). They say what double precision costs a
sound implementation, and so from where on a difference needs another explanation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pp_compare.model import Quantity
from pp_compare.model.design import Design

EPS = float(np.finfo(float).eps)


@dataclass(frozen=True)
class Rounding:
    """Rounding of one model at given variances.

    Parameters
    ----------
    line : float
        How far a fitted line may move, in units of the response.
    scaled_line : float
        The same of rows that are scaled by the roots of their weights; `line` without weights.
    relative : float
        Relative error of anything formed from X'V^-1X.
    criterion : float
        How far -2 loglik may move.
    columns : ndarray, shape (p,)
        Root mean squares of the columns of X: a coefficient moves by ``line / columns``.
    sigma : float
        Residual standard deviation of the row with the smallest weight.
    """

    line: float
    scaled_line: float
    relative: float
    criterion: float
    columns: np.ndarray
    sigma: float

    def of(self, quantity: Quantity) -> np.ndarray:
        """Bound for each number of a quantity at these variances, in the shape of its values."""
        kind = quantity.name.partition("[")[0]
        size = np.abs(quantity.values)
        if kind == "beta":
            return np.asarray(self.line / self.columns)
        if kind in {"beta_cov", "beta_se"}:
            scale = size if kind == "beta_se" else _diagonal_product(size)
            return 2 * (self.relative + self.line / self.sigma) * scale
        if kind == "random_cov":
            # A variance is a square: twice the relative error of a standard deviation.
            deviation = np.sqrt(np.diag(size)) + self.line
            return np.asarray(2 * self.line * np.add.outer(deviation, deviation) + EPS * size)
        if kind == "sigma":
            return np.full(quantity.values.shape, self.scaled_line)
        if kind == "loglik":
            return np.asarray(self.criterion / 2)
        return np.full(quantity.values.shape, self.line)


def rounding_at(design: Design, sigma: float, covariances: Mapping[str, np.ndarray]) -> Rounding:
    """Rounding bounds at given variances.

    ``line = (n + p) eps kappa max|y|``: an inner product of n terms, in any order, is good to
    ``n eps`` (Higham, equation 3.5), and normal equations lose ``kappa``, the condition of the
    scaled X'V^-1X; lme4 and MixedLM form that as a difference X'X - X'Z(..)Z'X whose terms are
    ``1 + rho sum z^2`` times larger than the result. The criterion moves to first order with the
    random errors of N residuals, to second order with the shift of the line. Weights count relative
    to the smallest, so that no row is scaled down and a bound for scaled rows is one for all; an
    offset is a number that is added and taken away, so its size counts beside the response's.

    Parameters
    ----------
    sigma : float
        Residual standard deviation; one that is none leaves everything unbounded.
    covariances : mapping of str to ndarray
        Of the random effects of each grouping factor, (q, q).
    """
    unit = 1.0 if design.weights is None else float(np.sqrt(design.weights.min()))
    X, sigma = design.scaled(design.X) / unit, sigma / unit
    norms = np.linalg.norm(X, axis=0)
    n, p = design.X.shape
    if not (np.isfinite(sigma) and sigma > 0):
        return Rounding(np.inf, np.inf, np.inf, np.inf, norms / np.sqrt(n), sigma)
    kappa = float(np.linalg.cond(X / norms)) ** 2 * _cancellation(design, sigma, covariances, unit)
    steps = float(n + p)
    line = steps * EPS * kappa * largest_number(design)
    one = EPS * largest_number(design) / sigma
    size = n * (1.0 + abs(float(np.log(2 * np.pi * sigma**2))))
    criterion = 2 * np.sqrt(n) * one + n * (line / sigma) ** 2 + steps * EPS * size
    relative, columns = steps * EPS * kappa, norms / np.sqrt(n)
    return Rounding(line, line * unit, relative, float(criterion), columns, sigma)


def largest_number(design: Design) -> float:
    """Largest response in size, or offset, of rows scaled so that the smallest weight is 1."""
    sizes = np.abs(design.y)
    if design.offset is not None:
        sizes = np.maximum(sizes, np.abs(design.offset))
    unit = 1.0 if design.weights is None else float(np.sqrt(design.weights.min()))
    return float(design.scaled(sizes).max()) / unit


def _cancellation(
    design: Design, sigma: float, covariances: Mapping[str, np.ndarray], unit: float
) -> float:
    """Largest ``1 + rho sum z^2`` over the levels of all grouping factors."""
    worst = 1.0
    for group, codes in design.group_codes.items():
        columns = np.hstack(
            [design.scaled(block.Z) / unit for block in design.blocks if block.group == group]
        )
        rho = np.diag(covariances[group]) / sigma**2
        for k in range(columns.shape[1]):
            mass = float(np.bincount(codes, columns[:, k] ** 2).max())
            worst = max(worst, 1.0 + float(rho[k]) * mass)
    return worst


def _diagonal_product(cov: np.ndarray) -> np.ndarray:
    """``sqrt(c_ii c_jj)``: the scale of a covariance's entries, of the zero ones too."""
    root = np.sqrt(np.diag(cov))
    product: np.ndarray = np.outer(root, root)
    return product
