"""Why a mixed model's line lies where it lies: the steps of partial pooling with a model's numbers.

Both lm and the mixed model are linear in the response once the variances are known. So each fixed
effect is a weighted sum of what the clusters say, and the difference between the two fits splits,
exactly, into one part a cluster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pp_compare.engines import make_engine
from pp_compare.errors import InputError
from pp_compare.identities import has_cluster_level_design
from pp_compare.inferences.partial_pooling import (
    PartialPooling,
    cluster_design,
    cluster_means,
    ols,
    ols_on_predicted_means,
    ols_on_shifted_rows,
    partial_pooling_of,
    refuse_weighted,
)
from pp_compare.model import Fit
from pp_compare.model.design import Block, Design


@dataclass(frozen=True, eq=False)
class ClusterWeights:
    """What each cluster says in each fixed effect; every array is (p, m).

    Parameters
    ----------
    lm, mixed : ndarray
        How far a fixed effect moves when every response of a cluster rises by one, with the
        variances held. Where every column of X is constant within clusters these are the weights
        of the cluster means: ``beta = mixed @ observed``.
    parts : ndarray
        Each cluster's part of the difference between the two fits: row sums are
        ``beta(mixed) - beta(lm)``.
    """

    lm: np.ndarray
    mixed: np.ndarray
    parts: np.ndarray


@dataclass(frozen=True, eq=False)
class Explanation:
    """Partial pooling of one random-intercept model, step by step.

    Parameters
    ----------
    title : str
        Of the data.
    design : Design
    fit : Fit
        Where the estimates come from.
    pooling : PartialPooling
    weights : ClusterWeights
    lines : mapping of str to ndarray, each (p,)
        Fixed effects under ``complete pooling`` (lm on all rows), ``partial pooling`` (the mixed
        model), ``no pooling`` (least squares on the observed cluster means, each counting once;
        nan where those means do not determine it), ``predicted means`` (the same on the predicted
        means) and ``shifted rows`` (lm on all rows, each cluster shifted to its prediction).
    """

    title: str
    design: Design
    fit: Fit
    pooling: PartialPooling
    weights: ClusterWeights
    lines: Mapping[str, np.ndarray]

    @property
    def group(self) -> str:
        """The grouping factor."""
        return self.design.blocks[0].group

    @cached_property
    def tau2(self) -> float:
        """Variance between clusters, in squared units of the response."""
        return float(self.fit[f"random_cov[{self.group}]"][0, 0])

    @cached_property
    def sigma2(self) -> float:
        """Variance within clusters, in squared units of the response."""
        return float(self.fit["sigma"]) ** 2

    @property
    def icc(self) -> float:
        """Intraclass correlation, ``tau2 / (tau2 + sigma2)``."""
        return self.tau2 / (self.tau2 + self.sigma2)

    @cached_property
    def is_cluster_level(self) -> bool:
        """Whether every column of X is constant within the clusters."""
        return has_cluster_level_design(self.design)

    @property
    def residuals(self) -> np.ndarray:
        """Observed cluster means minus those of complete pooling, (m,)."""
        return np.asarray(self.pooling.observed - self.pooling.completely_pooled)


def explain(design: Design, engine: str = "certified", title: str = "") -> Explanation:
    """Explain the partial pooling of a model with one random intercept.

    Parameters
    ----------
    design : Design
    engine : str
        Engine id: whose estimates are explained.
    title : str

    Raises
    ------
    InputError
        Where the model is not one random intercept, or the engine does not answer.
    UnavailableError
        Where the engine does not run here.
    """
    refuse_weighted(design)
    if not design.spec.is_random_intercept:
        raise InputError(
            f"'{design.spec.formula}' is not a model with one random intercept; "
            "the steps of partial pooling are those of such a model, as in 'y ~ x + (1|g)'"
        )
    fit = make_engine(engine).fit(design)
    if fit.status != "ok":
        raise InputError(f"{engine} does not answer: {'; '.join(fit.messages)}")
    return explanation_of(design, fit, title)


def explanation_of(design: Design, fit: Fit, title: str = "") -> Explanation:
    """The explanation at the estimates of a Fit with status ``"ok"``."""
    pooling = partial_pooling_of(design, fit)
    block = design.blocks[0]
    variances = float(fit[f"random_cov[{block.group}]"][0, 0]), float(fit["sigma"]) ** 2
    by_label = dict(fit.quantities["beta"].entries())
    return Explanation(
        title=title or design.dataset.name,
        design=design,
        fit=fit,
        pooling=pooling,
        weights=cluster_weights_of(design, *variances),
        lines={
            "complete pooling": ols(design.X, design.y),
            "partial pooling": np.array([by_label[label] for label in design.labels]),
            "no pooling": _no_pooling(design, pooling.observed),
            "predicted means": _no_pooling(design, pooling.partially_pooled),
            "shifted rows": ols_on_shifted_rows(design, pooling.partially_pooled),
        },
    )


def cluster_weights_of(design: Design, tau2: float, sigma2: float) -> ClusterWeights:
    """Weights of the clusters at given variances, for any X.

    The mixed model is least squares on quasi-demeaned rows, ``y_i - theta_j ybar_j`` with
    ``theta_j = 1 - sqrt(1 - lambda_j)`` (Fuller and Battese 1974, J. Econometrics 2, eq. 2.4), so
    both are maps ``pinv(.)`` and no (n, n) matrix is made.
    """
    block = design.blocks[0]
    # 1 - lambda, written without the difference: it is tiny where clusters are large.
    keep = np.sqrt(sigma2 / (np.bincount(block.codes) * tau2 + sigma2))
    plain = np.linalg.pinv(design.X)
    quasi = np.linalg.pinv(_quasi_demeaned(block, design.X, keep))
    residual = design.y - design.X @ ols(design.X, design.y)
    transformed = _quasi_demeaned(block, residual[:, None], keep)[:, 0]
    return ClusterWeights(
        lm=_weights(block, plain),
        mixed=_weights(block, quasi) * keep,
        parts=_by_cluster(block, quasi * transformed) - _by_cluster(block, plain * residual),
    )


def _quasi_demeaned(block: Block, columns: np.ndarray, keep: np.ndarray) -> np.ndarray:
    means = np.column_stack([cluster_means(block, column) for column in columns.T])[block.codes]
    return np.asarray(columns - means + keep[block.codes, None] * means)


def _by_cluster(block: Block, rows: np.ndarray) -> np.ndarray:
    """Sums over the rows of each cluster, (p, m), of (p, n)."""
    return np.array([np.bincount(block.codes, line, len(block.levels)) for line in rows])


def _weights(block: Block, rows: np.ndarray) -> np.ndarray:
    """Sums by cluster, 0 where nothing but rounding is left of what cancels.

    1e-12 of what the cluster with most to say adds up: n eps cond(X) is smaller for any X that a
    line can be drawn through, and no weight that small can be seen.
    """
    sums, sizes = _by_cluster(block, rows), _by_cluster(block, np.abs(rows))
    return np.where(np.abs(sums) <= 1e-12 * sizes.max(axis=1, keepdims=True), 0.0, sums)


def _no_pooling(design: Design, means: np.ndarray) -> np.ndarray:
    W = cluster_design(design)
    if np.linalg.matrix_rank(W) < W.shape[1]:
        return np.full(W.shape[1], np.nan)
    return ols_on_predicted_means(design, means)
