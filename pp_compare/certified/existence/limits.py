"""Where the estimates tend to as sigma goes to 0, for groups that each lie on a line of their own.

With X = Z and y_g = Z_g a_g exactly, V_g^-1 tends on the span of Z_g to (Z_g D Z_g')^-1, so that
the coefficients a_g are all that is left to estimate from: a sample with mean beta and covariance
D.
"""

from __future__ import annotations

import numpy as np

from pp_compare.model import Quantity
from pp_compare.model.design import Design


def limits_of(design: Design) -> dict[str, Quantity]:
    """Limits of the estimates; empty where the model is not of that kind.

    The response has to lie in the span of the random effects of its only term.
    """
    (block,) = design.blocks if len(design.blocks) == 1 else (None,)
    if block is None or not _same_columns(design.X, block.Z):
        return {}
    groups = [block.codes == level for level in range(len(block.levels))]
    q = block.Z.shape[1]
    if any(np.linalg.matrix_rank(block.Z[rows]) < q for rows in groups):
        return {}
    lines = np.array([np.linalg.lstsq(block.Z[g], design.y[g])[0] for g in groups])
    m = len(lines)
    away = lines - lines.mean(axis=0)
    cov = away.T @ away / (m - (design.spec.method == "REML"))
    labels = design.random_labels(block.group)
    found = [
        Quantity("beta", lines.mean(axis=0), design.labels),
        Quantity("beta_cov", cov / m, design.labels, design.labels),
        Quantity("beta_se", np.sqrt(np.diag(cov) / m), design.labels),
        Quantity("sigma", np.array(0.0)),
        Quantity(f"random_cov[{block.group}]", cov, labels, labels),
    ]
    return {quantity.name: quantity for quantity in found}


def _same_columns(X: np.ndarray, Z: np.ndarray) -> bool:
    return X.shape == Z.shape and bool((X == Z).all())
