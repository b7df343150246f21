"""An engine's own columns brought into our order, by label, and held against ours."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pp_compare.model.design import Design


def align(labels: Sequence[str], values: np.ndarray, wanted: Sequence[str]) -> np.ndarray:
    """Columns (last axis) of `values` in the order `wanted`.

    Raises
    ------
    KeyError
        With the first wanted label that is not among `labels`.
    """
    position = {label: i for i, label in enumerate(labels)}
    return np.asarray(values)[..., [position[label] for label in wanted]]


def design_error(design: Design, labels: Sequence[str], X: np.ndarray, y: np.ndarray) -> float:
    """Largest difference between an engine's own response and model matrix and ours.

    Parameters
    ----------
    design : Design
    labels : sequence of str, length p
        Our labels of the engine's columns.
    X : ndarray, shape (n, p)
    y : ndarray, shape (n,)

    Returns
    -------
    float
        0 where they are the same; nan where labels or shapes differ.
    """
    if sorted(labels) != sorted(design.labels) or np.shape(X) != design.X.shape:
        return math.nan
    if np.shape(y) != design.y.shape:
        return math.nan
    aligned = align(labels, X, design.labels)
    return float(max(np.abs(aligned - design.X).max(), np.abs(np.asarray(y) - design.y).max()))
