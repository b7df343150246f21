"""An engine's numbers, in the order of a design, as quantities under its labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pp_compare.model.design import Design
from pp_compare.model.quantity import Quantity

PLAIN = ("beta", "beta_cov", "beta_se", "sigma", "loglik", "fitted")
GROUPED = ("random_cov", "blup", "cluster_mean")
"""Kinds of quantities of which each grouping factor has one."""


def quantities_of(design: Design) -> tuple[str, ...]:
    """Names of the quantities that every engine owes for a model."""
    grouped = (f"{kind}[{group}]" for kind in GROUPED for group in design.group_levels)
    return (*PLAIN, *grouped)


def labels_of(design: Design, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Labels of the rows and columns of a quantity; empty where it has no such axis.

    Raises
    ------
    ValueError
        Where the model has no such quantity.
    """
    if name not in quantities_of(design):
        raise ValueError(f"no quantity '{name}'")
    kind, _, rest = name.partition("[")
    group = rest.removesuffix("]")
    match kind:
        case "sigma" | "loglik":
            return (), ()
        case "beta" | "beta_se":
            return design.labels, ()
        case "beta_cov":
            return design.labels, design.labels
        case "fitted":
            return tuple(str(i + 1) for i in range(design.n_obs)), ()
        case "random_cov":
            return design.random_labels(group), design.random_labels(group)
        case "blup":
            return design.group_levels[group], design.random_labels(group)
    return design.group_levels[group], ()  # cluster_mean


def labelled(design: Design, values: Mapping[str, np.ndarray]) -> dict[str, Quantity]:
    """Values by name, as quantities.

    Raises
    ------
    ValueError
        For a name that the model does not have, and values of another shape.
    """
    return {name: Quantity(name, v, *labels_of(design, name)) for name, v in values.items()}


def predicted(design: Design, fitted: np.ndarray) -> dict[str, np.ndarray]:
    """Fitted values, and their means by level of each grouping factor."""
    means = {f"cluster_mean[{g}]": design.group_means(g, fitted) for g in design.group_levels}
    return {"fitted": fitted, **means}


def quantities(
    design: Design,
    *,
    beta: np.ndarray,
    sigma: float,
    covariances: Sequence[np.ndarray],
    beta_cov: np.ndarray | None = None,
    beta_se: np.ndarray | None = None,
    loglik: float | None = None,
    effects: Sequence[np.ndarray] | None = None,
    fitted: np.ndarray | None = None,
) -> dict[str, Quantity]:
    """The vocabulary of `pp_compare.model` from arrays in the order of the design.

    Parameters
    ----------
    beta : ndarray, shape (p,)
    sigma : float
    covariances : sequence of ndarray, shape (q, q)
        Of the random effects, one a block of the design.
    beta_cov : ndarray, shape (p, p), optional
    beta_se : ndarray, shape (p,), optional
    loglik : float, optional
    effects : sequence of ndarray, shape (m, q), optional
        Predicted random effects, one a block.
    fitted : ndarray, shape (n,), optional
        What is None is left out: the package did not give it.
    """
    fixed = {"beta": beta, "beta_cov": beta_cov, "beta_se": beta_se}
    values = fixed | {
        "sigma": np.array(sigma),
        "loglik": None if loglik is None else np.array(loglik),
    }
    for group in design.group_levels:
        values[f"random_cov[{group}]"] = _diagonal(_own(design, group, covariances))
        if effects is not None:
            values[f"blup[{group}]"] = np.hstack(_own(design, group, effects))
    if fitted is not None:
        values |= predicted(design, fitted)
    return labelled(design, {name: v for name, v in values.items() if v is not None})


def _own(design: Design, group: str, parts: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Those of a grouping factor's blocks."""
    return [part for part, b in zip(parts, design.blocks, strict=True) if b.group == group]


def _diagonal(blocks: Sequence[np.ndarray]) -> np.ndarray:
    """A block-diagonal matrix."""
    ends = np.cumsum([len(block) for block in blocks])
    matrix = np.zeros((ends[-1], ends[-1]))
    for end, block in zip(ends, blocks, strict=True):
        matrix[end - len(block) : end, end - len(block) : end] = block
    return matrix
