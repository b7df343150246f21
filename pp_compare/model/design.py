"""The rows, the response and the design matrices that every engine is given.

A Design is made once from a Dataset and a ModelSpec. It decides which rows count, which values a
factor has and in which order, and refuses data that no mixed model can be fitted to. Engines build
their own model matrix from `Design.frame`; it is compared with `Design.X` before anything else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import scipy.linalg

from pp_compare.errors import DataError
from pp_compare.model import Dataset, ModelSpec, RandomTerm
from pp_compare.model.matrices import Column, design_matrix
from pp_compare.model.variables import (
    NaPolicy,
    Variable,
    complete_rows,
    first_text,
    make_group_variable,
    make_variable,
    variable_names,
)


@dataclass(frozen=True, eq=False)
class Block:
    """One random term on its grouping factor.

    Parameters
    ----------
    term : RandomTerm
    group : str
        Name of the grouping factor, ``a`` or ``a:b``.
    levels : tuple of str, length m
    codes : ndarray of int, shape (n,)
        The level of each row.
    columns : tuple of Column, length q
    Z : ndarray, shape (n, q)
    """

    term: RandomTerm
    group: str
    levels: tuple[str, ...]
    codes: np.ndarray
    columns: tuple[Column, ...]
    Z: np.ndarray

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the random effects."""
        return tuple(column.label for column in self.columns)


@dataclass(frozen=True, eq=False)
class Design:
    """What is fitted, as numbers: the same for every engine.

    Parameters
    ----------
    dataset : Dataset
    spec : ModelSpec
    y : ndarray, shape (n,)
    X : ndarray, shape (n, p)
    columns : tuple of Column, length p
    blocks : tuple of Block
        One a random term, in the order of the formula.
    variables : mapping of str to Variable
        Response, fixed and random variables by name.
    groups : mapping of str to Variable
        The columns that grouping factors are made of.
    rows_dropped : int
        Rows left out for missing or infinite values.
    """

    dataset: Dataset
    spec: ModelSpec
    y: np.ndarray
    X: np.ndarray
    columns: tuple[Column, ...]
    blocks: tuple[Block, ...]
    variables: Mapping[str, Variable]
    groups: Mapping[str, Variable]
    rows_dropped: int = 0

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the fixed effects."""
        return tuple(column.label for column in self.columns)

    @property
    def n_obs(self) -> int:
        """Number of rows that count."""
        return len(self.y)

    @cached_property
    def group_levels(self) -> dict[str, tuple[str, ...]]:
        """Levels of each grouping factor, by name."""
        return {block.group: block.levels for block in self.blocks}

    @cached_property
    def group_codes(self) -> dict[str, np.ndarray]:
        """Level of each row in each grouping factor, by name; each of shape (n,)."""
        return {block.group: block.codes for block in self.blocks}

    def group_means(self, group: str, values: np.ndarray) -> np.ndarray:
        """Mean of `values`, shape (n,), over the rows of each level of a grouping factor, (m,)."""
        codes = self.group_codes[group]
        return np.asarray(np.bincount(codes, values) / np.bincount(codes))

    def random_labels(self, group: str) -> tuple[str, ...]:
        """Labels of all random effects of a grouping factor, over its terms."""
        return tuple(x for block in self.blocks if block.group == group for x in block.labels)

    def by_block(self, by_group: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Each block's part, shape (q, q), of the covariances by grouping factor."""
        parts, used = [], dict.fromkeys(self.group_levels, 0)
        for block in self.blocks:
            at, q = used[block.group], len(block.columns)
            parts.append(by_group[block.group][at : at + q, at : at + q])
            used[block.group] += q
        return parts

    @cached_property
    def frame(self) -> pd.DataFrame:
        """All variables under their aliases: what engines with a formula of their own are given."""
        columns = [*self.variables.values(), *self.groups.values()]
        return pd.DataFrame({variable.alias: variable.series() for variable in columns})

    def alias(self, name: str) -> str:
        """The plain word that stands for a variable of the formula."""
        return self.variables[name].alias


def build_design(dataset: Dataset, spec: ModelSpec, na: NaPolicy = "raise") -> Design:
    """Make the design of a model on a data set.

    Parameters
    ----------
    dataset : Dataset
    spec : ModelSpec
    na : {"raise", "drop"}
        What to do with rows that have a missing or infinite value in a column of the model.

    Raises
    ------
    DataError
        For a missing column, a non-numeric response, missing or infinite values (unless dropped),
        fewer than two groups, groups that all have one row, a constant response, a factor with
        one level, two levels or columns of one name, an empty or rank-deficient fixed part or one
        as wide as there are rows; with the column, the rows or the term.
    """
    frame, dropped = complete_rows(dataset, spec, na)
    if frame.empty:
        raise DataError(f"{dataset.name}: no row is left after dropping {dropped}")
    taken: set[str] = set()
    variables = {name: make_variable(frame, name, taken) for name in variable_names(spec)}
    response = variables[spec.response]
    if response.levels is not None:
        raise DataError(
            f"the response '{spec.response}' is not numeric: {first_text(frame, spec.response)}"
        )
    _check_levels(variables)
    group_names = dict.fromkeys(column for term in spec.random for column in term.group)
    groups = {name: make_group_variable(frame, name, taken) for name in group_names}
    X, columns = design_matrix(spec.intercept, spec.fixed, variables, len(frame))
    blocks = tuple(_block(term, variables, groups, len(frame)) for term in spec.random)
    design = Design(dataset, spec, response.values, X, columns, blocks, variables, groups, dropped)
    _check(design)
    return design


def _block(
    term: RandomTerm, variables: Mapping[str, Variable], groups: Mapping[str, Variable], n: int
) -> Block:
    codes, levels = _interaction([groups[column] for column in term.group])
    Z, columns = design_matrix(term.intercept, term.terms, variables, n)
    return Block(term, term.group_name, levels, codes, columns, Z)


def _interaction(parts: list[Variable]) -> tuple[np.ndarray, tuple[str, ...]]:
    """The levels of a:b that occur, in the order of their parts."""
    table = np.column_stack([part.values for part in parts])
    rows, codes = np.unique(table, axis=0, return_inverse=True)
    levels = [
        ":".join((p.levels or ())[k] for p, k in zip(parts, row, strict=True)) for row in rows
    ]
    return codes.ravel(), tuple(levels)


def _check_levels(variables: Mapping[str, Variable]) -> None:
    """Refuse a factor without a contrast: coding leaves no column of it, and R stops."""
    for variable in variables.values():
        if variable.levels is not None and len(variable.levels) < 2:
            raise DataError(
                f"factor '{variable.name}' has one level, '{variable.levels[0]}'; "
                "a contrast needs two: leave it out"
            )


def _check_names(kind: str, names: Sequence[str]) -> None:
    """Refuse two things of one name: everything is aligned by its label."""
    if len(set(names)) < len(names):
        name = next(name for i, name in enumerate(names) if name in names[:i])
        raise DataError(f"two {kind} are called '{name}'; rename one in the data")


def _check(design: Design) -> None:
    spec, y = design.spec, design.y
    _check_names("columns of the design", design.labels)
    for variable in design.variables.values():
        _check_names(f"levels of '{variable.name}'", variable.levels or ())
    for block in design.blocks:
        _check_names(f"levels of '{block.group}'", block.levels)
        if len(block.levels) < 2:
            raise DataError(
                f"grouping factor '{block.group}' has one level, '{block.levels[0]}'; "
                "a random effect needs two"
            )
        if len(block.levels) == len(y):
            raise DataError(
                f"every level of '{block.group}' has one row ({len(y)} levels, {len(y)} rows); "
                "its variance cannot be told from the residual variance"
            )
    if y.min() == y.max():
        raise DataError(
            f"the response '{spec.response}' is constant: {y[0]:g} in all {len(y)} rows"
        )
    if not design.columns:
        raise DataError(f"'{spec.formula}' has no fixed effect; at least an intercept is needed")
    if len(design.columns) >= len(y):
        raise DataError(
            f"{len(design.columns)} fixed effects for {len(y)} rows leave nothing "
            "to estimate variances from; leave terms out"
        )
    _check_rank(design)


def _check_rank(design: Design) -> None:
    """Refuse a design matrix whose columns are linearly dependent in double precision."""
    largest = np.abs(design.X).max(axis=0)
    if (largest == 0).any():
        raise DataError(
            f"column '{design.labels[int(np.argmin(largest))]}' of the design is zero in every row"
        )
    X = design.X / largest  # first, because the square of a small or large number may not be one
    _, r, order = scipy.linalg.qr(X / np.linalg.norm(X, axis=0), mode="economic", pivoting=True)
    pivots = np.abs(np.diag(r))
    # A pivot below n eps is what rounding leaves of an exact zero (LAPACK Users' Guide, dgeqp3).
    rank = int((pivots > len(X) * np.finfo(float).eps).sum())
    if rank < X.shape[1]:
        extra = ", ".join(f"'{design.labels[k]}'" for k in sorted(order[rank:]))
        raise DataError(
            f"the design matrix has {X.shape[1]} columns but rank {rank}: {extra} "
            "can be written as a sum of the other columns; leave a term out"
        )
