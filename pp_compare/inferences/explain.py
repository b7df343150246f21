"""Why a mixed model's line lies where it lies: the steps of partial pooling with a model's numbers.

Both lm and the mixed model are linear in the response once the variances are known. So each fixed
effect is a weighted sum of what the clusters say, and the difference between the two fits splits,
exactly, into one part a cluster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from pp_compare.inferences.row_weights import RowWeights, row_weights_of
from pp_compare.inferences.within_between import Split, splits
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

    @property
    def counting(self) -> tuple[int, int, float]:
        """Rows of the smallest and the largest cluster, and what the large one counts for.

        Against the small one, in the mixed model: the ratio of 1 / (tau2 + sigma2 / n).
        """
        small, large = int(self.pooling.sizes.min()), int(self.pooling.sizes.max())
        tau2, sigma2 = self.tau2, self.sigma2
        return small, large, large * (small * tau2 + sigma2) / (small * (large * tau2 + sigma2))

    @cached_property
    def is_cluster_level(self) -> bool:
        """Whether every column of X is constant within the clusters."""
        return has_cluster_level_design(self.design)

    @cached_property
    def splits(self) -> tuple[Split, ...]:
        """Slopes by what comes from within and from between clusters."""
        return splits(row_weights_of(self.design, self.fit))

    @property
    def residuals(self) -> np.ndarray:
        """Observed cluster means minus those of complete pooling, (m,)."""
        return np.asarray(self.pooling.observed - self.pooling.completely_pooled)


@dataclass(frozen=True, eq=False)
class LevelEffects:
    """One random effect of one term, level by level; arrays are (levels,).

    Parameters
    ----------
    label : str
        Of the effect, such as ``Days``.
    group : str
    levels : tuple of str
    sizes : ndarray of int
        Rows.
    own : ndarray
        What the level's rows say by themselves: least squares of the term's columns on what the
        rest of the model leaves of the response. Fixed part included; nan where a level's rows do
        not determine it.
    weight : ndarray
        How far the prediction rises when the level's own effect is one larger: 1 is no pooling.
    predicted : ndarray
        Fixed part and predicted effect.
    """

    label: str
    group: str
    levels: tuple[str, ...]
    sizes: np.ndarray
    own: np.ndarray
    weight: np.ndarray
    predicted: np.ndarray


@dataclass(frozen=True, eq=False)
class ModelExplanation:
    """Partial pooling of any linear mixed model: slopes, nested and crossed factors.

    Parameters
    ----------
    title : str
        Of the data.
    design : Design
    fit : Fit
        Where the estimates come from.
    rows : RowWeights
    lines : mapping of str to ndarray, each (p,)
        Fixed effects under ``complete pooling`` (lm on all rows), ``partial pooling`` (the mixed
        model), and for each grouping factor ``means of <group>`` (least squares on the means of its
        levels, each counting once; nan where they do not determine it).
    effects : tuple of LevelEffects
        Of every term and column.
    """

    title: str
    design: Design
    fit: Fit
    rows: RowWeights
    lines: Mapping[str, np.ndarray]
    effects: tuple[LevelEffects, ...]

    @cached_property
    def sigma2(self) -> float:
        """Residual variance, in squared units of the response."""
        return float(self.fit["sigma"]) ** 2

    @cached_property
    def splits(self) -> tuple[Split, ...]:
        """Slopes by what comes from within and from between levels."""
        return splits(self.rows)

    @cached_property
    def weights(self) -> dict[str, ClusterWeights]:
        """What each level says in each fixed effect, by grouping factor."""
        design, rows = self.design, self.rows
        blocks = {block.group: block for block in design.blocks}
        residual = design.y - design.X @ self.lines["complete pooling"]
        moved = (rows.mixed - rows.lm) * residual
        return {
            group: ClusterWeights(
                lm=_weights(block, rows.lm),
                mixed=_weights(block, rows.mixed),
                parts=rows.by_level(moved, block),
            )
            for group, block in blocks.items()
        }


def explain(
    design: Design, engine: str = "certified", title: str = ""
) -> Explanation | ModelExplanation:
    """Explain the partial pooling of a linear mixed model.

    Parameters
    ----------
    design : Design
    engine : str
        Engine id: whose estimates are explained.
    title : str

    Returns
    -------
    Explanation or ModelExplanation
        The first of one random intercept, whose steps are simpler.

    Raises
    ------
    InputError
        Where the model has weights or an offset, or the engine does not answer.
    UnavailableError
        Where the engine does not run here.
    """
    refuse_weighted(design)
    fit = make_engine(engine).fit(design)
    if fit.status != "ok":
        raise InputError(f"{engine} does not answer: {'; '.join(fit.messages)}")
    if design.spec.is_random_intercept:
        return explanation_of(design, fit, title)
    return model_explanation_of(design, fit, title)


def model_explanation_of(design: Design, fit: Fit, title: str = "") -> ModelExplanation:
    """The explanation of any model at the estimates of a Fit with status ``"ok"``."""
    return _explained(title or design.dataset.name, design, fit, row_weights_of(design, fit))


def at_multiple(e: ModelExplanation, multiple: float) -> ModelExplanation:
    """The same model with all covariances of random effects multiplied, sigma2 held."""
    covariances = tuple(multiple * cov for cov in e.rows.covariances)
    return _explained(e.title, e.design, e.fit, RowWeights(e.design, covariances))


def _explained(title: str, design: Design, fit: Fit, rows: RowWeights) -> ModelExplanation:
    mixed = rows.mixed @ design.y
    lines = {"complete pooling": ols(design.X, design.y), "partial pooling": mixed}
    for group, codes in design.group_codes.items():
        lines[f"means of {group}"] = _on_means(design, codes)
    effects = tuple(_level_effects(design, rows, mixed))
    return ModelExplanation(title, design, fit, rows, lines, effects)


def _level_effects(design: Design, rows: RowWeights, beta: np.ndarray) -> Iterator[LevelEffects]:
    fixed = dict(zip(design.labels, beta.tolist(), strict=True))
    parts = [
        (block.Z * u[block.codes]).sum(axis=1)
        for block, u in zip(design.blocks, rows.effects, strict=True)
    ]
    left = design.y - design.X @ beta - sum(parts)
    terms = zip(design.blocks, rows.effects, rows.pooling, parts, strict=True)
    for block, u, weight, part in terms:
        own = _own_effects(block, left + part)
        for k, label in enumerate(block.labels):
            start = fixed.get(label, 0.0)
            yield LevelEffects(
                label=label,
                group=block.group,
                levels=block.levels,
                sizes=np.bincount(block.codes),
                own=start + own[:, k],
                weight=weight[:, k],
                predicted=start + u[:, k],
            )


def _own_effects(block: Block, values: np.ndarray) -> np.ndarray:
    """Least squares of values on the term's columns, level by level, (levels, q)."""
    order = np.argsort(block.codes, kind="stable")
    ends = np.cumsum(np.bincount(block.codes))[:-1]
    found = np.full((len(block.levels), block.Z.shape[1]), np.nan)
    for level, at in enumerate(np.split(order, ends)):
        Z = block.Z[at]
        if np.linalg.matrix_rank(Z) == Z.shape[1]:
            found[level] = ols(Z, values[at])
    return found


def _on_means(design: Design, codes: np.ndarray) -> np.ndarray:
    sizes = np.bincount(codes)
    W = np.column_stack([np.bincount(codes, x) / sizes for x in design.X.T])
    if np.linalg.matrix_rank(W) < W.shape[1]:
        return np.full(W.shape[1], np.nan)
    return ols(W, np.bincount(codes, design.y) / sizes)


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
