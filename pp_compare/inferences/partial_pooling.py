"""Partial pooling by a random intercept, step by step: what each cluster is predicted to be.

All functions work on numbers an engine gave, or on the data alone; none fits a mixed model. Symbols
and names: Gelman and Hill (2006), *Data Analysis Using Regression and Multilevel/Hierarchical
Models*, section 12.2, equation (12.1) and the model with predictors of section 12.3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pp_compare.errors import DataError, InputError
from pp_compare.model import Fit
from pp_compare.model.design import Block, Design


@dataclass(frozen=True, eq=False)
class PartialPooling:
    """One line a cluster, all in the unit of the response but `sizes` and `weights`.

    Parameters
    ----------
    clusters : tuple of str, length m
    sizes : ndarray of int, shape (m,)
        Rows n_j.
    observed : ndarray, shape (m,)
        Mean of the response: no pooling.
    completely_pooled : ndarray, shape (m,)
        Mean of what lm predicts: least squares on all rows, blind to the clusters.
    fixed_part : ndarray, shape (m,)
        Mean of X beta, beta being the mixed model's.
    partially_pooled : ndarray, shape (m,)
        Mean of X beta + u: the mixed model's prediction.
    weights : ndarray, shape (m,)
        Pooling weights lambda_j, see `pooling_weights`.
    """

    clusters: tuple[str, ...]
    sizes: np.ndarray
    observed: np.ndarray
    completely_pooled: np.ndarray
    fixed_part: np.ndarray
    partially_pooled: np.ndarray
    weights: np.ndarray

    @property
    def shrinkage(self) -> np.ndarray:
        """How far a prediction moved from the observed mean: partially pooled minus observed."""
        return np.asarray(self.partially_pooled - self.observed)

    def frame(self) -> pd.DataFrame:
        """The columns as a table indexed by cluster."""
        columns = {
            "n": self.sizes,
            "observed": self.observed,
            "partially_pooled": self.partially_pooled,
            "completely_pooled": self.completely_pooled,
            "shrinkage": self.shrinkage,
            "weight": self.weights,
        }
        return pd.DataFrame(columns, index=pd.Index(self.clusters, name="cluster"))


@dataclass(frozen=True, eq=False)
class GroupMeans:
    """Means of the response by a factor's level, each of shape (k,).

    Parameters
    ----------
    levels : tuple of str, length k
    plain : ndarray
        Over all rows: a cluster counts by its size.
    of_cluster_means : ndarray
        Over the clusters' means: every cluster counts the same.
    """

    levels: tuple[str, ...]
    plain: np.ndarray
    of_cluster_means: np.ndarray


def partial_pooling(
    design: Design, beta: np.ndarray, tau2: float, sigma2: float, blups: np.ndarray
) -> PartialPooling:
    """Table of a random-intercept model at given estimates.

    Parameters
    ----------
    design : Design
        Of a model with one random intercept.
    beta : ndarray, shape (p,)
        Fixed effects in the order of ``design.columns``.
    tau2, sigma2 : float
        Variance of the random intercept and of the residuals.
    blups : ndarray, shape (m,)
        Predicted random intercepts in the order of the cluster's levels.

    Raises
    ------
    InputError
        Where the model is not one random intercept.
    """
    block = random_intercept(design)
    sizes = np.bincount(block.codes)
    fixed_part = cluster_means(block, design.X @ beta)
    return PartialPooling(
        clusters=block.levels,
        sizes=sizes,
        observed=cluster_means(block, design.y),
        completely_pooled=cluster_means(block, design.X @ ols(design.X, design.y)),
        fixed_part=fixed_part,
        partially_pooled=fixed_part + blups,
        weights=pooling_weights(sizes, tau2, sigma2),
    )


def partial_pooling_of(design: Design, fit: Fit) -> PartialPooling:
    """`partial_pooling` at the estimates of a Fit with status ``"ok"``, aligned by label."""
    block = random_intercept(design)
    beta, blup = fit.quantities["beta"], fit.quantities[f"blup[{block.group}]"]
    by_label = dict(zip(beta.rows, beta.values.tolist(), strict=True))
    by_cluster = dict(zip(blup.rows, blup.values[:, 0].tolist(), strict=True))
    return partial_pooling(
        design,
        np.array([by_label[label] for label in design.labels]),
        float(fit[f"random_cov[{block.group}]"][0, 0]),
        float(fit["sigma"]) ** 2,
        np.array([by_cluster[level] for level in block.levels]),
    )


def pooling_weights(sizes: np.ndarray, tau2: float, sigma2: float) -> np.ndarray:
    """Weight of a cluster's own mean, ``tau2 / (tau2 + sigma2 / n_j)``: equation (12.1).

    Returns
    -------
    ndarray, shape (m,)
        From 0, complete pooling, to 1, none.
    """
    # Multiplied by n_j above and below: no division by a size, and 0 at tau2 = 0.
    return np.divide(sizes * tau2, sizes * tau2 + sigma2)


def ols(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Least-squares coefficients of `y` (n,) on `X` (n, p), shape (p,): what lm gives."""
    return np.asarray(np.linalg.lstsq(X, y, rcond=None)[0])


def ols_on_predicted_means(design: Design, partially_pooled: np.ndarray) -> np.ndarray:
    """Least squares of the predicted cluster means on the cluster-level design, shape (p,).

    Equal to the mixed model's fixed effects where every column of X is constant within clusters,
    whatever the sizes; not so for columns that vary within.
    """
    return ols(cluster_design(design), partially_pooled)


def ols_on_shifted_rows(design: Design, partially_pooled: np.ndarray) -> np.ndarray:
    """Least squares on all rows, shifted so that each cluster's mean is its prediction, (p,).

    Stays near complete pooling, because a cluster still counts by its rows.
    """
    block = random_intercept(design)
    shift = partially_pooled - cluster_means(block, design.y)
    return ols(design.X, design.y + shift[block.codes])


def group_means(design: Design, factor: str) -> GroupMeans:
    """Means of the response by a cluster-level factor of the model.

    Raises
    ------
    InputError
        Where the model has no such factor.
    DataError
        Where the factor varies within a cluster.
    """
    block = random_intercept(design)
    variable = design.variables.get(factor)
    if variable is None or variable.levels is None:
        raise InputError(f"'{factor}' is not a factor of '{design.spec.formula}'")
    first = np.unique(block.codes, return_index=True)[1]
    level_of_cluster = variable.values[first]
    varies = np.flatnonzero(variable.values != level_of_cluster[block.codes])
    if varies.size:
        cluster = block.levels[block.codes[varies[0]]]
        raise DataError(f"'{factor}' varies within cluster '{cluster}' of '{block.group}'")
    observed = cluster_means(block, design.y)
    return GroupMeans(
        levels=variable.levels,
        plain=_means(variable.values, design.y),
        of_cluster_means=_means(level_of_cluster, observed),
    )


def cluster_design(design: Design) -> np.ndarray:
    """Mean row of X for each cluster, shape (m, p); the row itself where it is constant."""
    block = random_intercept(design)
    return np.column_stack([cluster_means(block, column) for column in design.X.T])


def cluster_means(block: Block, values: np.ndarray) -> np.ndarray:
    """Mean over the rows of each cluster, (m,), of `values` (n,)."""
    return _means(block.codes, values)


def _means(codes: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Mean by code; exact where all values of a code are the same, which a plain sum is not."""
    first = values[np.unique(codes, return_index=True)[1]]
    return first + np.bincount(codes, values - first[codes]) / np.bincount(codes)


def refuse_weighted(design: Design) -> None:
    """Refuse weights and offsets, of which partial pooling, tests and intervals know nothing here.

    Raises
    ------
    InputError
    """
    if design.weights is not None or design.offset is not None:
        what = "an offset" if design.weights is None else "prior weights"
        raise InputError(
            f"'{design.spec.formula}' is fitted with {what}; partial pooling, tests and intervals "
            "are explained for models without"
        )


def random_intercept(design: Design) -> Block:
    """The block of a model with one random intercept, without weights and offset.

    Raises
    ------
    InputError
        Where the model is another.
    """
    refuse_weighted(design)
    if not design.spec.is_random_intercept:
        raise InputError(f"'{design.spec.formula}' is not a model with one random intercept")
    return design.blocks[0]
