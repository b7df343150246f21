"""A design as formulas of other packages: text made of aliases, which are plain words.

Nothing that a user typed is in these formulas: variables go by their aliases, grouping factors by
columns that `grouped_frame` makes.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from pp_compare.model import Term
from pp_compare.model.design import Block, Design
from pp_compare.model.matrices import Column


def sum_of_terms(design: Design, intercept: bool, terms: tuple[Term, ...]) -> str:
    """``1 + x + x:z``, or ``0 + x`` without an intercept."""
    products = [":".join(design.alias(name) for name in term) for term in terms]
    return " + ".join(["1" if intercept else "0", *products])


def fixed_formula(design: Design) -> str:
    """``y ~ 1 + x``."""
    right = sum_of_terms(design, design.intercept, design.fixed)
    return f"{design.alias(design.spec.response)} ~ {right}"


def bar(design: Design, block: Block) -> str:
    """A random term in lme4's grammar, ``(1 + x | group_0)``."""
    effects = sum_of_terms(design, block.term.intercept, block.term.terms)
    return f"({effects} | {group_alias(design, block)})"


def group_alias(design: Design, block: Block) -> str:
    """Name of a grouping factor's column in `grouped_frame`."""
    return f"group_{design.spec.groups.index(block.group)}"


def grouped_frame(design: Design) -> pd.DataFrame:
    """The design's frame with a column of text for every grouping factor, interactions included."""
    factors = {
        group_alias(design, block): np.array(block.levels, dtype=object)[block.codes]
        for block in design.blocks
    }
    return design.frame.assign(**factors)


def formulaic_label(design: Design, column: Column) -> str:
    """The name that patsy and formulaic give to a column."""
    parts = []
    for factor in column.factors:
        level = "" if factor.level is None else f"[{'T.' * factor.reduced}{factor.level}]"
        parts.append(design.alias(factor.variable) + level)
    return ":".join(parts) or "Intercept"
