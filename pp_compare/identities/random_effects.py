"""Identities of the predicted random effects, and of the predictions made with them."""

from __future__ import annotations

import numpy as np

from pp_compare.identities.record import Identity, Residue, largest
from pp_compare.identities.rounding import EPS
from pp_compare.identities.workings import Workings
from pp_compare.model.design import Block, Design


def has_random_intercept(design: Design) -> bool:
    """Exactly one random intercept and nothing else random."""
    return design.spec.is_random_intercept


def has_cancelling_effects(design: Design) -> bool:
    """Whether some column of X is a random-effects column times a weight for each level."""
    return any(_claimed(design, block) for block in design.blocks)


def _henderson_random_row(at: Workings) -> Residue:
    worst = 0.0
    for block, wanted in zip(at.design.blocks, at.modes, strict=True):
        scale = np.sqrt((block.Z**2).mean(axis=0))
        worst = max(worst, largest((at.blup(block) - wanted) * scale))
    return Residue(worst, at.rounding.line * np.sqrt(at.design.n_obs))


def _pooling_weight(at: Workings) -> Residue:
    observed, fixed, weight = _cluster_means(at)
    predicted = at.fit[f"cluster_mean[{at.design.blocks[0].group}]"]
    return Residue(
        largest(predicted - (weight * observed + (1 - weight) * fixed)), at.rounding.line
    )


def _between(at: Workings) -> Residue:
    observed, fixed, _ = _cluster_means(at)
    predicted = at.fit[f"cluster_mean[{at.design.blocks[0].group}]"]
    low, high = np.minimum(observed, fixed), np.maximum(observed, fixed)
    outside = np.maximum(low - predicted, predicted - high)
    return Residue(max(float(outside.max()), 0.0), at.rounding.line)


def _cluster_means(at: Workings) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Observed mean, mean of the fixed part and pooling weight of each cluster, (m,) each."""
    design, codes = at.design, at.design.blocks[0].codes
    sizes = np.bincount(codes)
    observed = np.bincount(codes, design.y) / sizes
    fixed = np.bincount(codes, design.X @ at.fit["beta"]) / sizes
    tau2 = float(at.covariance(design.blocks[0])[0, 0])
    return observed, fixed, tau2 / (tau2 + at.sigma2 / sizes)


def _cancelling_effects(at: Workings) -> Residue:
    """Where only some columns are claimed, the rest of D may carry what does not cancel."""
    worst, sums = 0.0, 1.0
    for block in at.design.blocks:
        scale = np.sqrt((block.Z**2).mean(axis=0))
        D = at.covariance(block) * np.outer(scale, scale)
        for weights, columns in _claimed(at.design, block):
            total = weights @ (at.blup(block) * scale)
            others = [k for k in range(len(scale)) if k not in columns]
            worst = max(worst, largest(_outside(D[:, others], total)))
            sums = max(sums, float(np.abs(weights).sum()))
    return Residue(worst, at.rounding.line * sums)


def _outside(columns: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """The part of a vector that the columns do not span."""
    if not columns.size:
        return vector
    basis, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    basis = basis[:, sizes > len(columns) * EPS * sizes[0]]
    rest: np.ndarray = vector - basis @ (basis.T @ vector)
    return rest


def _claimed(design: Design, block: Block) -> list[tuple[np.ndarray, list[int]]]:
    """Weights w, largest 1, and the columns k of Z for which ``w_j z_k`` is a column of X."""
    found: list[tuple[np.ndarray, list[int]]] = []
    for k, z in enumerate(block.Z.T):
        for x in design.X.T:
            weights = _weights(block, z, x)
            if weights is None:
                continue
            same = [columns for known, columns in found if np.array_equal(known, weights)]
            if same:
                same[0].append(k)
            else:
                found.append((weights, [k]))
    return found


def _weights(block: Block, z: np.ndarray, x: np.ndarray) -> np.ndarray | None:
    """The w with ``x = w_j z`` in every row exactly; None for none, or where a level is free."""
    used = np.flatnonzero(z)
    weights = np.full(len(block.levels), np.nan)
    weights[block.codes[used]] = x[used] / z[used]
    if not np.isfinite(weights).all() or not (weights[block.codes] * z == x).all():
        return None
    result: np.ndarray = weights / np.abs(weights).max()
    return result


def _fitted(at: Workings) -> Residue:
    wanted = at.design.X @ at.fit["beta"] + at.random_part
    return Residue(largest(at.fit["fitted"] - wanted), at.rounding.line)


def _means_of_fitted(at: Workings) -> Residue:
    worst = 0.0
    for group in at.design.group_levels:
        wanted = at.design.group_means(group, at.fit["fitted"])
        worst = max(worst, largest(at.fit[f"cluster_mean[{group}]"] - wanted))
    return Residue(worst, at.rounding.line)


RANDOM_EFFECTS: tuple[Identity, ...] = (
    Identity(
        id="henderson-random-row",
        statement="Z'(y - X beta - Z u) = sigma2 D^-1 u, solved for u so that D may be singular",
        source="Henderson's mixed model equations, second row (Robinson 1991, equation 1.2)",
        reason="rounding: sqrt(n) (n + p) eps cond(X)^2 (1 + rho sum z^2) max|y|",
        needs=("beta", "blup", "random_cov", "sigma"),
        residue=_henderson_random_row,
    ),
    Identity(
        id="pooling-weight",
        statement="predicted mean = lambda * observed mean + (1 - lambda) * mean of the fixed "
        "part, lambda = tau2 / (tau2 + sigma2 / n_j)",
        source="Gelman and Hill 2006, equation 12.1",
        reason="rounding: (n + p) eps cond(X)^2 (1 + n_j rho) max|y|",
        needs=("beta", "cluster_mean", "random_cov", "sigma"),
        applies=has_random_intercept,
        residue=_pooling_weight,
        unweighted="with weights it holds of weighted means, and predicted means are plain ones",
    ),
    Identity(
        id="between-mean-and-line",
        statement="a predicted mean lies between the observed mean and that of the fixed part",
        source="the pooling weight lies between 0 and 1",
        reason="rounding: (n + p) eps cond(X)^2 (1 + n_j rho) max|y|",
        needs=("beta", "cluster_mean", "random_cov", "sigma"),
        applies=has_random_intercept,
        residue=_between,
        unweighted="with weights it holds of weighted means, and predicted means are plain ones",
    ),
    Identity(
        id="cancelling-effects",
        statement="sum_j w_j u_j = 0 for weights w where w_j z is a column of X; with correlated "
        "effects, up to the columns of D of effects that have no such column",
        source="X'V^-1(y - X beta) = 0 and u_j = D Z_j'V_j^-1 r_j",
        reason="rounding: sum |w_j| (n + p) eps cond(X)^2 (1 + rho sum z^2) max|y|",
        needs=("blup", "random_cov", "sigma"),
        applies=has_cancelling_effects,
        residue=_cancelling_effects,
    ),
    Identity(
        id="fitted-is-the-sum",
        statement="fitted values = X beta + Z u",
        source="definition",
        reason="rounding: (n + p) eps cond(X)^2 (1 + rho sum z^2) max|y|",
        needs=("beta", "blup", "fitted", "random_cov", "sigma"),
        residue=_fitted,
    ),
    Identity(
        id="means-of-fitted",
        statement="predicted cluster mean = mean of the fitted values of its rows",
        source="definition",
        reason="rounding: (n + p) eps cond(X)^2 (1 + rho sum z^2) max|y|",
        needs=("cluster_mean", "fitted", "random_cov", "sigma"),
        residue=_means_of_fitted,
    ),
)
