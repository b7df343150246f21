"""Marginal means of a factor and their differences, as rows of the fixed effects."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from pp_compare.errors import InputError
from pp_compare.inferences.partial_pooling import ols
from pp_compare.inferences.table import Estimate, by_t
from pp_compare.model.design import Design
from pp_compare.model.matrices import Column


def marginal_rows(design: Design, factor: str) -> dict[str, np.ndarray]:
    """What each level of a factor means in the fixed effects: a row of X averaged over the rest.

    Numbers stand at their mean, other factors at all their levels equally, as emmeans does.

    Raises
    ------
    InputError
        Where the model has no such factor.
    """
    variable = design.variables.get(factor)
    if variable is None or variable.levels is None:
        raise InputError(f"'{factor}' is not a factor of '{design.spec.formula}'")
    return {
        level: np.array(
            [_expected_column(design, column, factor, level) for column in design.columns]
        )
        for level in variable.levels
    }


def contrast_rows(rows: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Differences of all pairs, ``a - b``, as emmeans' ``pairs`` names and orders them."""
    return {f"{a} - {b}": rows[a] - rows[b] for a, b in combinations(rows, 2)}


def _expected_column(design: Design, column: Column, factor: str, level: str) -> float:
    value = 1.0
    for part in column.factors:
        variable = design.variables[part.variable]
        if variable.levels is None:
            value *= float(variable.values.mean())
        elif part.variable == factor:
            value *= float(part.level == level)
        else:
            value /= len(variable.levels)
    return value


def least_squares(design: Design, term: str, row: np.ndarray) -> Estimate:
    """A linear combination of lm's coefficients, t on N - p degrees of freedom."""
    beta = ols(design.X, design.y)
    residual = design.y - design.X @ beta
    df = design.n_obs - len(beta)
    # |row X^+| is the root of row (X'X)^-1 row', without X'X.
    se = np.linalg.norm(row @ np.linalg.pinv(design.X)) * np.sqrt(residual @ residual / df)
    return by_t(term, float(row @ beta), float(se), df)
