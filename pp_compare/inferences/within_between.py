"""How much of a slope comes from within clusters, and how much from between them.

A fixed effect is ``a'y`` with the weights a of the rows, and ``a'x = 1`` for its own column and 0
for the others. Both y and x split into deviations from the cluster means and those means, and so,
with the other effects at their estimates,

    slope = share_within * slope_within + share_between * slope_between

exactly, whatever the random part: the shares, ``a'x`` of the two parts of x, add up to 1. For one
random intercept and one predictor these are the within and between estimators of panel data, and
the mixed model's share of within is ``S_w / (S_w + S_b / (1 + n ratio))`` where clusters are of one
size (Maddala 1971, Econometrica 39, 341-358).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pp_compare.inferences.row_weights import RowWeights
from pp_compare.model.design import Block, Design

NOTHING = 1e-9
"""Share of a column's variation below which there is none but rounding."""


@dataclass(frozen=True)
class Parts:
    """One slope of one fit.

    Parameters
    ----------
    slope : float
    share : float
        Of within; what is left of 1 is that of between.
    within, between : float
        The slope as deviations from the cluster means have it, and as the means have it.
    """

    slope: float
    share: float
    within: float
    between: float


@dataclass(frozen=True)
class Split:
    """A fixed effect whose column varies both within and between the levels of a factor."""

    label: str
    group: str
    lm: Parts
    mixed: Parts


def splits(weights: RowWeights) -> tuple[Split, ...]:
    """Every fixed effect that varies both within and between, by grouping factor."""
    design = weights.design
    blocks = {block.group: block for block in design.blocks}
    return tuple(
        Split(
            label, group, *(_parts(design, rows, k, block) for rows in (weights.lm, weights.mixed))
        )
        for group, block in blocks.items()
        for k, label in _varying(design, block)
    )


def _varying(design: Design, block: Block) -> Iterator[tuple[int, str]]:
    for k, label in enumerate(design.labels):
        x = design.X[:, k]
        means = _means(block, x)[block.codes]
        total = np.var(x)
        if np.var(x - means) > NOTHING * total and np.var(means) > NOTHING * total:
            yield k, label


def _parts(design: Design, rows: np.ndarray, k: int, block: Block) -> Parts:
    a, x = rows[k], design.X[:, k]
    beta = rows @ design.y
    rest = design.y - design.X @ beta + x * beta[k]
    mean_x, mean_rest = _means(block, x)[block.codes], _means(block, rest)[block.codes]
    share, other = float(a @ (x - mean_x)), float(a @ mean_x)
    within, between = float(a @ (rest - mean_rest)), float(a @ mean_rest)
    return Parts(
        slope=float(beta[k]),
        share=share,
        within=within / share if abs(share) > NOTHING else np.nan,
        between=between / other if abs(other) > NOTHING else np.nan,
    )


def _means(block: Block, values: np.ndarray) -> np.ndarray:
    return np.asarray(np.bincount(block.codes, values) / np.bincount(block.codes))
