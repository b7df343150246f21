"""The rows, the response and the design matrices that every engine is given.

A Design is made once from a Dataset and a ModelSpec. It decides which rows count, which values a
factor has and in which order, and refuses data that no mixed model can be fitted to. Engines build
their own model matrix from `Design.frame`; it is compared with `Design.X` before anything else.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
import scipy.linalg
from formulaic.formula import SimpleFormula
from formulaic.parser.types import Factor
from formulaic.parser.types import Term as ParsedTerm

from pp_compare.errors import DataError
from pp_compare.formula import parse_factor
from pp_compare.model import Dataset, ModelSpec, RandomTerm, Term

NaPolicy = Literal["raise", "drop"]

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*$")
# Words that R or a Python formula would read as something else than a column.
_RESERVED = frozenset(
    {*keyword.kwlist, "TRUE", "FALSE", "NULL", "NA", "NaN", "Inf", "function", "repeat", "next"}
    | {"T", "F", "C", "I", "Q", "Intercept"}
)


@dataclass(frozen=True, eq=False)
class Variable:
    """One variable of the formula, computed: a column, a factor, or a function of a column.

    Parameters
    ----------
    name : str
        As in the formula: ``x``, ``C(x)``, ``log(x)``.
    alias : str
        A plain word that R and Python formulas can both hold; `name` wherever that is one.
    values : ndarray, shape (n,)
        Numbers, or for a factor the index of each row's level.
    levels : tuple of str, or None
        Of a factor, in coding order: the first is the reference of treatment contrasts.
    """

    name: str
    alias: str
    values: np.ndarray
    levels: tuple[str, ...] | None = None

    def series(self) -> pd.Series:
        """As a pandas column: float64, or a categorical of strings."""
        if self.levels is None:
            return pd.Series(self.values, name=self.alias)
        return _categorical(self.values, self.levels).rename(self.alias)


@dataclass(frozen=True)
class ColumnFactor:
    """A variable's part in one column of a design matrix; `level` is None for a number."""

    variable: str
    level: str | None
    reduced: bool

    @property
    def label(self) -> str:
        """``x``, ``C(x)[T.b]`` (a contrast with the first level) or ``C(x)[b]`` (an indicator)."""
        if self.level is None:
            return self.variable
        return f"{self.variable}[{'T.' if self.reduced else ''}{self.level}]"


@dataclass(frozen=True)
class Column:
    """One column of a design matrix, as the product of its factors; the intercept has none."""

    factors: tuple[ColumnFactor, ...]

    @property
    def label(self) -> str:
        """``Intercept``, ``x``, ``predictor[T.intervention]``, ``a[T.2]:x``."""
        return ":".join(factor.label for factor in self.factors) or "Intercept"


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

    def random_labels(self, group: str) -> tuple[str, ...]:
        """Labels of all random effects of a grouping factor, over its terms."""
        return tuple(x for block in self.blocks if block.group == group for x in block.labels)

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
    frame, dropped = _complete_rows(dataset, spec, na)
    if frame.empty:
        raise DataError(f"{dataset.name}: no row is left after dropping {dropped}")
    taken: set[str] = set()
    variables = {name: _variable(frame, name, taken) for name in _variable_names(spec)}
    response = variables[spec.response]
    if response.levels is not None:
        raise DataError(
            f"the response '{spec.response}' is not numeric: {_first_text(frame, spec.response)}"
        )
    _check_levels(variables)
    group_names = dict.fromkeys(column for term in spec.random for column in term.group)
    groups = {name: _group_variable(frame, name, taken) for name in group_names}
    X, columns = _matrix(spec.intercept, spec.fixed, variables, len(frame))
    blocks = tuple(_block(term, variables, groups, len(frame)) for term in spec.random)
    design = Design(dataset, spec, response.values, X, columns, blocks, variables, groups, dropped)
    _check(design)
    return design


def _variable_names(spec: ModelSpec) -> list[str]:
    terms: Iterable[Term] = [*spec.fixed, *(t for random in spec.random for t in random.terms)]
    return list(dict.fromkeys([spec.response, *(name for term in terms for name in term)]))


def _column_of(name: str) -> str:
    return parse_factor(name)[1] if name.endswith(")") and "(" in name else name


def _used_columns(spec: ModelSpec, frame: pd.DataFrame) -> list[str]:
    names = [n if n in frame.columns else _column_of(n) for n in _variable_names(spec)]
    names += [column for term in spec.random for column in term.group]
    return list(dict.fromkeys(names))


def _complete_rows(dataset: Dataset, spec: ModelSpec, na: NaPolicy) -> tuple[pd.DataFrame, int]:
    """The rows that have a finite value in every column of the model."""
    frame = dataset.frame
    used = _used_columns(spec, frame)
    for column in used:
        if column not in frame.columns:
            known = ", ".join(map(str, frame.columns))
            raise DataError(f"no column '{column}' in {dataset.name}; its columns are: {known}")
        if isinstance(frame[column], pd.DataFrame):
            raise DataError(f"column '{column}' stands more than once in {dataset.name}")
    bad = pd.DataFrame({column: _not_finite(frame[column]) for column in used})
    rows = bad.any(axis=1)
    if not rows.any():
        return frame[used].reset_index(drop=True), 0
    if na == "drop":
        return frame.loc[~rows.to_numpy(), used].reset_index(drop=True), int(rows.sum())
    where = ", ".join(f"'{c}': {int(k)}" for c, k in bad.sum().items() if k)
    raise DataError(
        f"{int(rows.sum())} of {len(frame)} rows have a missing or infinite value ({where}; "
        f"first in row {int(np.argmax(rows.to_numpy())) + 1}); "
        "drop them for all engines alike with --na drop"
    )


def _not_finite(column: pd.Series) -> np.ndarray:
    missing = column.isna().to_numpy()
    if _is_real(column):
        return missing | ~np.isfinite(np.where(missing, 0.0, column.to_numpy(float, na_value=0.0)))
    return missing


def _is_real(column: pd.Series) -> bool:
    """Whether a column holds real numbers; logical values are a factor, as in R."""
    kinds = pd.api.types
    return bool(
        kinds.is_numeric_dtype(column)
        and not kinds.is_bool_dtype(column)
        and not kinds.is_complex_dtype(column)
    )


def _variable(frame: pd.DataFrame, name: str, taken: set[str]) -> Variable:
    if name in frame.columns:
        return _plain_variable(frame, name, taken)
    function, column, power = parse_factor(name)
    if function == "C":
        codes, levels = _levels(frame[column])
        return Variable(name, _alias(name, taken), codes, levels)
    numbers = _plain_variable(frame, column, set())
    if numbers.levels is not None:
        raise DataError(f"'{name}': column '{column}' is not numeric")
    with np.errstate(all="ignore"):
        values = (
            numbers.values**power if function == "I" else getattr(np, str(function))(numbers.values)
        )
    if not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values)))
        raise DataError(
            f"'{name}' is not finite in row {row + 1}, where {column} = {numbers.values[row]}"
        )
    return Variable(name, _alias(name, taken), values)


def _plain_variable(frame: pd.DataFrame, name: str, taken: set[str]) -> Variable:
    column = frame[name]
    if _is_real(column):
        return Variable(name, _alias(name, taken), column.to_numpy(float))
    codes, levels = _levels(column)
    return Variable(name, _alias(name, taken), codes, levels)


def _group_variable(frame: pd.DataFrame, name: str, taken: set[str]) -> Variable:
    codes, levels = _levels(frame[name])
    # The column may also be a variable, perhaps a numeric one, under its own name.
    return Variable(name, _alias(f"{name}_group" if name in taken else name, taken), codes, levels)


def _levels(column: pd.Series) -> tuple[np.ndarray, tuple[str, ...]]:
    """Codes and levels that occur: in the categorical's own order, else sorted as Python sorts."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.cat.remove_unused_categories()
        codes, values = column.cat.codes.to_numpy(), list(column.cat.categories)
    else:
        numeric = pd.api.types.is_numeric_dtype(column)
        codes, uniques = pd.factorize(column if numeric else column.astype(str), sort=True)
        values = list(uniques)
    return codes.astype(np.int64), tuple(_level_label(value) for value in values)


def _level_label(value: object) -> str:
    """Whole numbers without a decimal point; other numbers so that they read back exactly."""
    if not isinstance(value, float | np.floating):
        return str(value)
    number = float(value)
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def _alias(name: str, taken: set[str]) -> str:
    plain = bool(_PLAIN.match(name)) and name not in _RESERVED and name not in taken
    alias = (
        name if plain else next(a for a in (f"v{i}" for i in range(1, 10_000)) if a not in taken)
    )
    taken.add(alias)
    return alias


def _matrix(
    intercept: bool, terms: tuple[Term, ...], variables: Mapping[str, Variable], n: int
) -> tuple[np.ndarray, tuple[Column, ...]]:
    """Design matrix with treatment contrasts; formulaic decides which terms are coded in full.

    Variables go in as v0, v1, ... and levels as their index, so that no name can be misread.
    """
    names = list(dict.fromkeys(name for term in terms for name in term))
    if not terms:
        return np.ones((n, int(intercept))), (Column(()),) * intercept
    data = pd.DataFrame({f"v{i}": _coded(variables[name]) for i, name in enumerate(names)})
    lookup = {name: Factor(f"v{i}", eval_method="lookup") for i, name in enumerate(names)}
    parsed = [ParsedTerm([lookup[name] for name in term]) for term in terms]
    one = [ParsedTerm([Factor("1", eval_method="literal")])] if intercept else []
    matrix = SimpleFormula(one + parsed).get_model_matrix(data)
    columns = tuple(_column(str(label), names, variables) for label in matrix.columns)
    return np.asarray(matrix, dtype=float), columns


def _coded(variable: Variable) -> pd.Series:
    """The variable with its levels replaced by their index."""
    if variable.levels is None:
        return pd.Series(variable.values)
    return _categorical(variable.values, [str(i) for i in range(len(variable.levels))])


def _categorical(codes: np.ndarray, levels: Sequence[str]) -> pd.Series:
    dtype = pd.CategoricalDtype(list(levels))
    return pd.Series(pd.Categorical.from_codes(codes.astype(np.int64), dtype=dtype))


_CODED = re.compile(r"v(\d+)(?:\[(T\.)?(\d+)\])?$")


def _column(label: str, names: list[str], variables: Mapping[str, Variable]) -> Column:
    if label == "Intercept":
        return Column(())
    factors = []
    for part in label.split(":"):
        match = _CODED.match(part)
        if match is None:
            raise AssertionError(f"formulaic made a column '{label}' that is not of our coding")
        name = names[int(match.group(1))]
        levels = variables[name].levels
        level = levels[int(match.group(3))] if levels is not None else None
        factors.append(ColumnFactor(name, level, match.group(2) is not None))
    return Column(tuple(factors))


def _block(
    term: RandomTerm, variables: Mapping[str, Variable], groups: Mapping[str, Variable], n: int
) -> Block:
    codes, levels = _interaction([groups[column] for column in term.group])
    Z, columns = _matrix(term.intercept, term.terms, variables, n)
    return Block(term, term.group_name, levels, codes, columns, Z)


def _interaction(parts: list[Variable]) -> tuple[np.ndarray, tuple[str, ...]]:
    """The levels of a:b that occur, in the order of their parts."""
    table = np.column_stack([part.values for part in parts])
    rows, codes = np.unique(table, axis=0, return_inverse=True)
    levels = [
        ":".join((p.levels or ())[k] for p, k in zip(parts, row, strict=True)) for row in rows
    ]
    return codes.ravel(), tuple(levels)


def _first_text(frame: pd.DataFrame, name: str) -> str:
    column = _column_of(name) if name not in frame.columns else name
    numbers = pd.to_numeric(frame[column].astype(str), errors="coerce")
    row = int(np.argmax(numbers.isna().to_numpy()))
    return f"row {row + 1} holds '{frame[column].iloc[row]}'"


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
