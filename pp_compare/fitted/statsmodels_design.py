"""The model of a fitted MixedLM: from its formula and data where they say it, else its matrices.

MixedLM keeps its matrices, the fixed part's formula and the data, and neither ``re_formula`` nor
``vc_formula``: the random part is read from the matrices. What is recovered is held against them:
every column equal to the last bit, every grouping the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pp_compare.engines.formulas import group_alias
from pp_compare.engines.statsmodels import ALL_ROWS, Layout
from pp_compare.errors import InputError
from pp_compare.fitted.table import Table, bar, joint_codes, quoted, same_partition
from pp_compare.model import Dataset, Method
from pp_compare.model.design import Block, Design, build_design
from pp_compare.model.formula import parse_formula
from pp_compare.model.variables import used_columns

NAME = "fitted"
"""Of the data set of a model that is given without one."""
HAND_OVER = (
    "pass data= (a DataFrame of the rows that were fitted) and formula= (in lme4's grammar, as in "
    "'y ~ x + (1|g)')"
)

_Q = re.compile(r"\bQ\(\s*(['\"])([^'\"`]+)\1\s*\)")
"""patsy's way to quote a name."""


@dataclass(frozen=True, eq=False)
class Component:
    """A variance component as one effect a level: what each row of it holds.

    Parameters
    ----------
    name : str
    values : ndarray, shape (n,)
        The entry of each row; 0 where it has none.
    codes : ndarray of int, shape (n,)
        The level (column) of each row, over all groups.
    labels : tuple of str
        Of the rows' columns, as MixedLM calls them; shape (n,).
    within : bool
        Whether some group has more than one column, so that it is a factor within the groups.
    """

    name: str
    values: np.ndarray
    codes: np.ndarray
    labels: tuple[str, ...]
    within: bool


def recovered_design(model: Any, method: Method) -> tuple[Design, Layout, tuple[str, ...]]:
    """Design and layout of a MixedLM, with what is to be said of the way they were found.

    Raises
    ------
    InputError
        Where the model is not one of the grammar, with what to pass; DataError where no mixed model
        can be fitted to it.
    """
    components = [component(model, j) for j in range(model.k_vc)]
    if isinstance(getattr(model, "formula", None), str) and hasattr(model.data, "frame"):
        found = _by_formula(model, components, method)
        if found is not None:
            return (*found, ())
    design = _by_matrices(model, components, method)
    return (
        design,
        held_against(model, design),
        (
            "The fixed part is taken as the columns of its model matrix, under the names that "
            "statsmodels gives them.",
        ),
    )


def given_design(
    model: Any, data: pd.DataFrame, formula: str, method: Method
) -> tuple[Design, Layout, tuple[str, ...]]:
    """Design from data and formula that were passed, held against the model's matrices.

    Raises
    ------
    InputError
        Where they are not what was fitted, with the part that differs.
    """
    design = build_design(Dataset(NAME, data), parse_formula(formula, method), "drop")
    return design, held_against(model, design), ()


def _by_formula(
    model: Any, components: Sequence[Component], method: Method
) -> tuple[Design, Layout] | None:
    """Of the fixed part's own formula and the data; None where these do not give its matrices."""
    frame = model.data.frame
    if len(frame) != len(model.endog):
        return None
    table = Table(frame.reset_index(drop=True), str(model.endog_names))
    bars = _bars(model, table, components)
    formula = " + ".join([_Q.sub(r"`\2`", str(model.formula)).strip(), *bars])
    try:
        dataset = Dataset(NAME, _used(table, formula, method))
        design = build_design(dataset, parse_formula(formula, method))
        return design, held_against(model, design)
    except InputError:
        return None


def _used(table: Table, formula: str, method: Method) -> pd.DataFrame:
    """The columns that the formula names: the rest of a user's table is nobody's business."""
    names = used_columns(parse_formula(formula, method))
    return table.frame[[name for name in names if name in table.frame.columns]]


def _by_matrices(model: Any, components: Sequence[Component], method: Method) -> Design:
    exog, response = np.asarray(model.exog, dtype=float), str(model.endog_names)
    table = Table(pd.DataFrame({response: np.asarray(model.endog, dtype=float)}), response)
    constant = [bool((column == 1).all()) for column in exog.T]
    names = [
        table.number(str(name), column)
        for name, column, one in zip(model.exog_names, exog.T, constant, strict=True)
        if not one
    ]
    fixed = ["1" if any(constant) else "0", *map(quoted, names)]
    formula = f"{quoted(response)} ~ {' + '.join([*fixed, *_bars(model, table, components)])}"
    return build_design(Dataset(NAME, table.frame), parse_formula(formula, method))


def _bars(model: Any, table: Table, components: Sequence[Component]) -> list[str]:
    """The random part: the block of ``exog_re``, then component by component."""
    codes = pd.factorize(np.asarray(model.groups))[0]
    group = [] if model.n_groups == 1 and not model.k_re else [_group_column(model, table, codes)]
    bars = []
    if model.k_re:
        exog_re = np.asarray(model.exog_re, dtype=float)
        one = [bool((column == 1).all()) for column in exog_re.T]
        named = zip(model.data.exog_re_names, exog_re.T, one, strict=True)
        slopes = [table.number(str(name), column) for name, column, is_one in named if not is_one]
        bars.append(bar(any(one), slopes, group))
    return bars + [_component_bar(part, table, group) for part in components]


def _group_column(model: Any, table: Table, codes: np.ndarray) -> str:
    """The column of the groups: by the name that MixedLM keeps, else by what it tells apart."""
    names = [str(name) for name in model.data.exog_re_names] if model.k_re else []
    for name in [*names, *map(str, table.frame.columns)]:
        if name in table.frame.columns and table.factor(name, codes):
            return name
    return table.add_factor(_group_name(model), np.asarray(model.groups))


def _group_name(model: Any) -> str:
    """``from_formula`` calls the random intercept by the column of the groups, or Group."""
    if model.k_re and getattr(model, "formula", None) is not None:
        constant = (np.asarray(model.exog_re) == 1).all(axis=0)
        names = [n for n, one in zip(model.data.exog_re_names, constant, strict=True) if one]
        if names and names[0] != "Group":
            return str(names[0])
    return "group"


def _component_bar(part: Component, table: Table, group: Sequence[str]) -> str:
    slope = [] if (part.values == 1).all() else [table.number(part.name, part.values)]
    if not part.within and group:
        return bar(not slope, slope, group)
    factor = table.factor(part.name, part.codes, part.labels[:1], group)
    if factor is None:
        factor = table.add_factor(part.name, _level_names(part, table, group))
    return bar(not slope, slope, [*group, factor])


def _level_names(part: Component, table: Table, group: Sequence[str]) -> list[str]:
    """The levels as MixedLM labels them, or numbers where its labels do not tell them apart."""
    names = [_level(label) for label in part.labels]
    columns = [pd.factorize(table.frame[name])[0] for name in group]
    told = joint_codes([*columns, pd.factorize(np.array(names, dtype=object))[0]])
    return names if same_partition(told, part.codes) else [str(code + 1) for code in part.codes]


def _level(label: str) -> str:
    """``a`` of patsy's ``C(sire)[a]``."""
    return label[label.rindex("[") + 1 : label.rindex("]")] if "[" in label else label


def component(model: Any, j: int) -> Component:
    """A variance component, from its matrices, group by group.

    Raises
    ------
    InputError
        Where a row has more than one effect: no formula of the grammar says that.
    """
    spec, n = model.exog_vc, len(model.endog)
    values, codes, labels = np.zeros(n), np.zeros(n, dtype=np.int64), [""] * n
    at = 0
    for g, group in enumerate(model.group_labels):
        rows = np.asarray(model.row_indices[group])
        matrix = spec.mats[j][g]
        matrix = matrix.toarray() if hasattr(matrix, "toarray") else np.asarray(matrix, float)
        if len(matrix) != len(rows) or ((matrix != 0).sum(axis=1) > 1).any():
            raise InputError(
                f"the variance component '{spec.names[j]}' has rows with more than one effect, "
                "which no formula of lme4's grammar says; it cannot be judged"
            )
        where = np.abs(matrix).argmax(axis=1)
        values[rows], codes[rows] = matrix[np.arange(len(rows)), where], at + where
        for row, k in zip(rows, where, strict=True):
            labels[row] = str(spec.colnames[j][g][k])
        at += matrix.shape[1]
    within = any(np.shape(matrix)[1] > 1 for matrix in spec.mats[j])
    return Component(str(spec.names[j]), values, codes, tuple(labels), within)


def held_against(model: Any, design: Design) -> Layout:
    """Which block of a design is which part of a MixedLM.

    Raises
    ------
    InputError
        Where the design is not the model's, with the part that differs and what to pass.
    """
    if not np.array_equal(design.y, model.endog):
        raise _differs("the response", f"{len(model.endog)} rows against {len(design.y)}")
    column_order(design.X, np.asarray(model.exog, dtype=float), "the fixed part")
    blocks = list(design.blocks)
    correlated = _correlated(model, blocks) if model.k_re else None
    rest = [block for block in blocks if block is not correlated]
    independent = [_block_of(component(model, j), rest) for j in range(model.k_vc)]
    if len({id(b) for b in independent}) != len(rest):
        terms = model.k_vc + bool(model.k_re)
        raise _differs("the random part", f"{len(blocks)} terms, not {terms}")
    name = ALL_ROWS if correlated is None else group_alias(design, correlated)
    return Layout(name, correlated, tuple(independent))


def column_order(ours: np.ndarray, theirs: np.ndarray, part: str) -> list[int]:
    """For each of their columns, which of ours it is, to the last bit."""
    if ours.shape != theirs.shape:
        raise _differs(part, f"shape {theirs.shape} against {ours.shape}")
    order = []
    for k, column in enumerate(theirs.T):
        same = [i for i, own in enumerate(ours.T) if i not in order and np.array_equal(own, column)]
        if not same:
            raise _differs(part, f"its column {k + 1} is none of the formula's")
        order.append(same[0])
    return order


def _correlated(model: Any, blocks: Sequence[Block]) -> Block:
    codes, exog_re = (
        pd.factorize(np.asarray(model.groups))[0],
        np.asarray(model.exog_re, dtype=float),
    )
    for block in blocks:
        if block.Z.shape == exog_re.shape and same_partition(block.codes, codes):
            try:
                column_order(block.Z, exog_re, "the random part")
            except InputError:
                continue
            return block
    raise _differs("the random part", "no term has its groups and its columns")


def _block_of(part: Component, blocks: Sequence[Block]) -> Block:
    used = part.values != 0
    for block in blocks:
        same = block.Z.shape[1] == 1 and np.array_equal(block.Z[:, 0], part.values)
        if same and same_partition(block.codes[used], part.codes[used]):
            return block
    raise _differs("the random part", f"no term is its component '{part.name}'")


def _differs(part: str, how: str) -> InputError:
    return InputError(f"{part} of the fitted model is not that of the formula: {how}; {HAND_OVER}")
