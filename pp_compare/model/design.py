"""The rows, the response and the design matrices that every engine is given.

A Design is made once from a Dataset and a ModelSpec. It decides which rows count, which values a
factor has and in which order, and refuses data that no mixed model can be fitted to. Engines build
their own model matrix from `Design.frame`; it is compared with `Design.X` before anything else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
import scipy.linalg

from pp_compare.errors import DataError
from pp_compare.model import Dataset, ModelSpec, RandomTerm, Term
from pp_compare.model.factor import Factor
from pp_compare.model.formula import parse_formula
from pp_compare.model.matrices import Coded, Column
from pp_compare.model.parts import Part, computed, make_part
from pp_compare.model.variables import (
    NaPolicy,
    Rows,
    Variable,
    complete_rows,
    first_text,
    group_variable,
    make_variable,
    variable_names,
)

RankPolicy = Literal["raise", "drop"]

MOST_EFFECTS = 50
"""Correlated random effects of one term: 1,275 variances and covariances."""


@dataclass(frozen=True, eq=False)
class Block:
    """One random term on its grouping factor.

    Parameters
    ----------
    term : RandomTerm
        Over variables of the design; what stands in the formula is in `ModelSpec.random`.
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
        As typed, but with the columns for which ``.`` stood.
    y : ndarray, shape (n,)
        What is modelled: the response less the offset.
    X : ndarray, shape (n, p)
    columns : tuple of Column, length p
    blocks : tuple of Block
        One a random term, in the order of the formula.
    variables : mapping of str to Variable
        The response as observed, and the variables of `fixed` and of the blocks' terms, by name.
    groups : mapping of str to Variable
        The columns that grouping factors are made of.
    intercept : bool
    fixed : tuple of Term
        Products of `variables` of which R and formulaic make the columns of X: those of the
        formula, or where these are coded otherwise, columns that were computed here.
    rows_dropped : int
        Rows left out for missing or infinite values.
    offset : ndarray, shape (n,), optional
    weights : ndarray, shape (n,), optional
        Prior weights: the residual variance of row i is ``sigma^2 / weights[i]``.
    columns_dropped : tuple of str
        Labels of columns that were left out because those before them add up to them.
    """

    dataset: Dataset
    spec: ModelSpec
    y: np.ndarray
    X: np.ndarray
    columns: tuple[Column, ...]
    blocks: tuple[Block, ...]
    variables: Mapping[str, Variable]
    groups: Mapping[str, Variable]
    intercept: bool
    fixed: tuple[Term, ...]
    rows_dropped: int = 0
    offset: np.ndarray | None = None
    weights: np.ndarray | None = None
    columns_dropped: tuple[str, ...] = ()

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

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """Rows, (n,) or (n, k), times the roots of their weights: rows of one residual variance."""
        if self.weights is None:
            return values
        root = np.sqrt(self.weights)
        return np.asarray(values * (root if values.ndim == 1 else root[:, None]))

    def alias(self, name: str) -> str:
        """The plain word that stands for a variable of the formula."""
        return self.variables[name].alias


def build_design(
    dataset: Dataset,
    spec: ModelSpec,
    na: NaPolicy = "raise",
    rank: RankPolicy = "raise",
    *,
    residual: bool = True,
) -> Design:
    """Make the design of a model on a data set.

    Parameters
    ----------
    dataset : Dataset
    spec : ModelSpec
    na : {"raise", "drop"}
        What to do with rows that have a missing or infinite value in a column of the model.
    rank : {"raise", "drop"}
        What to do with columns of the fixed part to which those before them add up; those that
        ``lmer()`` drops are dropped for all engines alike and named in `Design.columns_dropped`.
    residual : bool
        Whether there is a residual variance, which asks for a response that varies, for groups of
        more than a row and for more rows than fixed effects.

    Raises
    ------
    DataError
        For a missing column, a non-numeric response, missing or infinite values (unless dropped),
        fewer than two groups, groups that all have one row, a constant response, a factor with
        one level, two levels or columns of one name, an empty or rank-deficient fixed part (unless
        dropped) or one as wide as there are rows, weights that are not positive, more columns than
        can be handled; with the column, the rows or the term.
    """
    spec = _without_dot(spec, dataset)
    rows = complete_rows(dataset, spec, na)
    if not rows.n:
        raise DataError(f"{dataset.name}: no row is left after dropping {rows.dropped}")
    response = rows.value(spec.response)
    if not isinstance(response, np.ndarray):
        raise DataError(
            f"the response '{spec.response}' is not numeric: "
            f"{first_text(dataset.frame[rows.kept], spec.response)}"
        )
    values = {name: rows.value(name) for name in variable_names(spec) if name != spec.response}
    values[spec.response] = response
    _check_levels(values)
    fixed = make_part(spec.intercept, spec.fixed, values, rows.n)
    fixed = fixed if rank == "raise" else _of_full_rank(fixed)
    random = [_random_part(term, values, rows.n) for term in spec.random]
    taken: set[str] = set()
    variables = _variables({spec.response: response}, [fixed, *random], taken)
    group_names = dict.fromkeys(column for term in spec.random for column in term.group)
    groups = {name: group_variable(name, rows.group(name), taken) for name in group_names}
    offset = _offset(rows, spec)
    design = Design(
        dataset=dataset,
        spec=spec,
        y=response if offset is None else response - offset,
        X=fixed.matrix,
        columns=fixed.columns,
        blocks=tuple(_block(t, p, groups) for t, p in zip(spec.random, random, strict=True)),
        variables=variables,
        groups=groups,
        intercept=fixed.intercept,
        fixed=fixed.terms,
        rows_dropped=rows.dropped,
        offset=offset,
        weights=_weights(rows, spec),
        columns_dropped=fixed.dropped,
    )
    _check(design)
    if residual:
        _check_residual(design)
    return design


def _without_dot(spec: ModelSpec, dataset: Dataset) -> ModelSpec:
    """The model with the columns of the data where its formula has a ``.``."""
    if "." not in variable_names(spec):
        return spec
    columns = tuple(map(str, dataset.frame.columns))
    return parse_formula(spec.formula, spec.method, spec.weights, columns)


def _random_part(term: RandomTerm, values: Mapping[str, Coded], n: int) -> Part:
    part = make_part(term.intercept, term.terms, values, n)
    if len(part.columns) > MOST_EFFECTS:
        raise DataError(
            f"the random term of '{term.group_name}' has {len(part.columns)} correlated effects; "
            f"at most {MOST_EFFECTS} are taken. Is one of its columns a factor that was meant as a "
            "number?"
        )
    return part


def _variables(
    response: Mapping[str, np.ndarray], parts: Sequence[Part], taken: set[str]
) -> dict[str, Variable]:
    """The response and every variable of the parts, once each."""
    found: dict[str, Variable] = {}
    for variables in (response, *(part.variables for part in parts)):
        for name, value in variables.items():
            if name not in found:
                found[name] = make_variable(name, value, taken)
            elif not np.array_equal(found[name].values, _numbers(value)):
                raise DataError(f"two columns of the model are called '{name}'; rename the column")
    return found


def _numbers(value: np.ndarray | Factor) -> np.ndarray:
    return value.codes if isinstance(value, Factor) else value


def _offset(rows: Rows, spec: ModelSpec) -> np.ndarray | None:
    if not spec.offset:
        return None
    total = np.zeros(rows.n)
    for name in spec.offset:
        value = rows.value(name)
        if not isinstance(value, np.ndarray):
            raise DataError(f"the offset '{name}' is not numeric")
        total = total + value
    return total


def _weights(rows: Rows, spec: ModelSpec) -> np.ndarray | None:
    if spec.weights is None:
        return None
    value = rows.column(spec.weights)
    if not isinstance(value, np.ndarray):
        raise DataError(f"the weights '{spec.weights}' are not numeric")
    if not (value > 0).all():
        row = int(np.flatnonzero(rows.kept)[int(np.argmin(value > 0))])
        raise DataError(
            f"the weight in row {row + 1} is {value[value <= 0][0]:g}; weights are positive: leave "
            "the row out if it is not to count"
        )
    return value


def _of_full_rank(part: Part) -> Part:
    """The part without the columns that ``lmer()`` drops."""
    kept = independent_columns(part.matrix)
    if len(kept) == len(part.columns):
        return part
    labels = [label for k, label in enumerate(part.labels) if k not in set(kept)]
    return computed([part.columns[k] for k in kept], part.matrix[:, kept], labels)


def independent_columns(X: np.ndarray) -> list[int]:
    """The columns that ``lmer()`` keeps: those that add something to the ones before them.

    R's ``qr(X, tol = 1e-7)`` (LINPACK's dqrdc2, as `lme4:::chkRank.drop.cols` calls it) moves a
    column to the end where less than 1e-7 of its length is left beside the columns before it.
    """
    kept: list[int] = []
    Q = np.empty((len(X), 0))
    for k, x in enumerate(X.T):
        length = np.linalg.norm(x)
        rest = x
        for _ in range(2):  # twice is enough (Giraud et al. 2005)
            rest = rest - Q @ (Q.T @ rest)
        if np.linalg.norm(rest) > 1e-7 * length:
            kept.append(k)
            Q = np.column_stack([Q, rest / np.linalg.norm(rest)])
    return kept


def _block(term: RandomTerm, part: Part, groups: Mapping[str, Variable]) -> Block:
    codes, levels = _interaction([groups[column] for column in term.group])
    plain = RandomTerm(term.group, part.intercept, part.terms)
    return Block(plain, term.group_name, levels, codes, part.columns, part.matrix)


def _interaction(parts: list[Variable]) -> tuple[np.ndarray, tuple[str, ...]]:
    """The levels of a:b that occur, in the order of their parts."""
    table = np.column_stack([part.values for part in parts])
    rows, codes = np.unique(table, axis=0, return_inverse=True)
    levels = [
        ":".join((p.levels or ())[k] for p, k in zip(parts, row, strict=True)) for row in rows
    ]
    return codes.ravel(), tuple(levels)


def _check_levels(values: Mapping[str, Coded]) -> None:
    """Refuse a factor without a contrast: coding leaves no column of it, and R stops."""
    for name, variable in values.items():
        if isinstance(variable, Factor) and len(variable.levels) < 2:
            raise DataError(
                f"factor '{name}' has one level, '{variable.levels[0]}'; "
                "a contrast needs two: leave it out"
            )


def _check_names(kind: str, names: Sequence[str]) -> None:
    """Refuse two things of one name: everything is aligned by its label."""
    if len(set(names)) < len(names):
        name = next(name for i, name in enumerate(names) if name in names[:i])
        raise DataError(f"two {kind} are called '{name}'; rename one in the data")


def _check(design: Design) -> None:
    spec = design.spec
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
    if not design.columns:
        raise DataError(f"'{spec.formula}' has no fixed effect; at least an intercept is needed")
    _check_rank(design)


def _check_residual(design: Design) -> None:
    """Refuse what leaves nothing to tell a residual variance from."""
    spec, y = design.spec, design.y
    for block in design.blocks:
        if len(block.levels) == len(y):
            raise DataError(
                f"every level of '{block.group}' has one row ({len(y)} levels, {len(y)} rows); "
                "its variance cannot be told from the residual variance"
            )
    if y.min() == y.max():
        raise DataError(
            f"the response '{spec.response}' is constant: {y[0]:g} in all {len(y)} rows"
        )
    if len(design.columns) >= len(y):
        raise DataError(
            f"{len(design.columns)} fixed effects for {len(y)} rows leave nothing "
            "to estimate variances from; leave terms out"
        )


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
        kept = set(independent_columns(design.X))
        dropped = [label for k, label in enumerate(design.labels) if k not in kept]
        extra = ", ".join(f"'{design.labels[k]}'" for k in sorted(order[rank:]))
        raise DataError(
            f"the design matrix has {X.shape[1]} columns but rank {rank}: {extra} "
            "can be written as a sum of the other columns; leave a term out, or let go of the "
            f"columns that lmer drops with --rank drop: {', '.join(map(repr, dropped))}"
        )
