"""A generalised model as a table of numbers and a formula of plain words.

The columns of X and of each Z are ours, as numbers: so a package's own coding of factors has no
part in its answer, and any contrast can be asked of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pp_compare.model.design import Block
from pp_compare.model.glmm import GlmmDesign

RESPONSE, TRIALS, FAILURES = "pp_y", "pp_trials", "pp_failures"


@dataclass(frozen=True, eq=False)
class Table:
    """What a package is given.

    Parameters
    ----------
    frame : DataFrame
        ``pp_y`` (0/1, a proportion or successes, or counts), ``pp_trials``, ``pp_failures``;
        ``x1``, ... of X; ``z0_1``, ... of the random terms; ``g0``, ... the levels.
    fixed : str
        ``1 + x1 + x2``.
    bars : tuple of str
        ``(1 + z0_1 | g0)``, one a block.
    names : tuple of str
        Of the fixed effects in our order; the intercept's is empty.
    """

    frame: pd.DataFrame
    fixed: str
    bars: tuple[str, ...]
    names: tuple[str, ...]


def table_of(design: GlmmDesign, *, proportions: bool = True) -> Table:
    """The table of a model; of trials with proportions, or with counts of successes."""
    inner = design.design
    y = design.y.astype(float)
    columns: dict[str, object] = {
        RESPONSE: y / design.trials if proportions else y,
        TRIALS: design.trials.astype(float),
        FAILURES: (design.trials - design.y).astype(float),
    }
    names = fixed_names(design)
    columns |= {name: inner.X[:, k] for k, name in enumerate(names) if name}
    bars = []
    for at, block in enumerate(inner.blocks):
        columns[f"g{at}"] = np.array([f"l{code}" for code in block.codes], dtype=object)
        effects = effect_names(design, at)
        columns |= {name: block.Z[:, k] for k, name in enumerate(effects) if name[:1] == "z"}
        bars.append(f"({_sum(effects)} | g{at})")
    return Table(pd.DataFrame(columns), _sum(names), tuple(bars), tuple(names))


def fixed_names(design: GlmmDesign) -> list[str]:
    """Names of the columns of X; that of an intercept is empty."""
    inner = design.design
    intercept = inner.intercept and bool((inner.X[:, 0] == 1).all())
    return ["" if intercept and k == 0 else f"x{k}" for k in range(inner.X.shape[1])]


def effect_names(design: GlmmDesign, at: int) -> list[str]:
    """Names of a block's effects: X's own where it has the column; an intercept's is empty."""
    block, X = design.design.blocks[at], design.design.X
    fixed, found = fixed_names(design), []
    for k, z in enumerate(block.Z.T):
        alike = [name for name, x in zip(fixed, X.T, strict=True) if name and (x == z).all()]
        own = "" if block.term.intercept and k == 0 else f"z{at}_{k}"
        found.append(alike[0] if own and alike else own)
    return found


def level_names(block: Block) -> list[str]:
    """What stands for the levels of a block, in our order."""
    return [f"l{code}" for code in range(len(block.levels))]


def _sum(names: list[str]) -> str:
    """``1 + x1``, or ``0 + x0`` without an intercept."""
    return " + ".join(["1" if "" in names else "0", *(name for name in names if name)])
