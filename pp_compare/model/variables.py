"""The variables of a model, computed from the columns of a data set: numbers and coded factors."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from pp_compare.errors import DataError
from pp_compare.model import Dataset, ModelSpec
from pp_compare.model.evaluate import data_columns, evaluate, is_expression
from pp_compare.model.expression import Name, Node, parse
from pp_compare.model.factor import Factor, factor_of_column, without_unused
from pp_compare.model.matrices import Coded
from pp_compare.model.words import Matrix, Text, Value, as_factor

NaPolicy = Literal["raise", "drop"]

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*$")
# Words that R or a Python formula would read as something else than a column.
_RESERVED = frozenset(
    {*keyword.kwlist, "TRUE", "FALSE", "NULL", "NA", "NaN", "Inf", "function", "repeat", "next"}
    | {"T", "F", "C", "I", "Q", "Intercept"}
)
# Names of columns that engines' formulas add: of grouping factors, and of one that holds all rows.
_OURS = re.compile(r"(group_\d+|all_rows|vc\d+)$")


@dataclass(frozen=True, eq=False)
class Variable:
    """One variable of the formula, computed: a column, a factor, or a function of a column.

    Parameters
    ----------
    name : str
        As in the formula: ``x``, ``C(x)``, ``log(x)``; or the label of a computed column.
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
        return categorical(self.values, self.levels).rename(self.alias)


def make_variable(name: str, value: np.ndarray | Factor, taken: set[str]) -> Variable:
    """A variable under an alias of its own, which is added to `taken`."""
    if isinstance(value, Factor):
        return Variable(name, _alias(name, taken), value.codes, value.levels)
    return Variable(name, _alias(name, taken), value)


def variable_names(spec: ModelSpec) -> list[str]:
    """Response, fixed and random variables, each once, in the order of the formula."""
    terms = [*spec.fixed, *(t for random in spec.random for t in random.terms)]
    return list(dict.fromkeys([spec.response, *(name for term in terms for name in term)]))


def node_of(name: str) -> Node:
    """What a variable's name stands for; what is no expression is the name of a column."""
    if name.startswith("`") or is_expression(name):
        return parse(name)
    return Name(name, quoted=True)


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a data set that count for a model, and the values of its variables there.

    What depends on many rows (``scale(x)``, ``poly(x, 2)``, the levels of a factor) is computed
    over all rows that have what it needs, as R does, whether or not another column misses there.

    Parameters
    ----------
    dataset : Dataset
    missing : mapping of str to ndarray of bool, shape (rows,)
        Where each column of the model has a missing or infinite value.
    kept : ndarray of bool, shape (rows,)
        Without one in any column of the model.
    """

    dataset: Dataset
    missing: Mapping[str, np.ndarray]
    kept: np.ndarray

    @cached_property
    def n(self) -> int:
        """How many count."""
        return int(self.kept.sum())

    @property
    def dropped(self) -> int:
        """How many do not."""
        return len(self.kept) - self.n

    def value(self, name: str) -> Coded:
        """A variable in the rows that count.

        Raises
        ------
        DataError
            For a column that does not hold what the expression takes, or a value that is not
            finite.
        """
        node, frame = node_of(name), self.dataset.frame
        own = np.ones(len(frame), dtype=bool)
        names = data_columns(node)
        for column in names:
            own &= ~self.missing[column]
        columns = {column: column_value(frame[column][own]) for column in names}
        value: Value
        if isinstance(node, Name):
            value = columns[node.name]
        else:
            self._refuse_two_meanings(name)
            value = evaluate(name, columns)
        coded = _coded(_of_length(name, value, int(own.sum())), self.kept[own])
        if not isinstance(coded, Factor):
            self._refuse_not_finite(name, names, coded)
        return coded

    def column(self, name: str) -> Coded:
        """A column by its bare name in the rows that count."""
        return self.value(f"`{name}`")

    def group(self, name: str) -> Factor:
        """A column as a grouping factor."""
        return factor_of_column(self.dataset.frame[name][self.kept])

    def _refuse_two_meanings(self, name: str) -> None:
        if name in self.dataset.frame.columns:
            raise DataError(
                f"'{name}' can be computed, and {self.dataset.name} has a column of that name as "
                "well; rename that column, or put its name in backticks"
            )

    def _refuse_not_finite(self, name: str, columns: list[str], value: np.ndarray | Matrix) -> None:
        table = value.values if isinstance(value, Matrix) else value[:, None]
        finite = np.isfinite(table).all(axis=1)
        if finite.all():
            return
        row = int(np.flatnonzero(self.kept)[int(np.argmin(finite))])
        at = [f"{c} = {_shown(self.dataset.frame[c].iloc[row])}" for c in columns]
        raise DataError(f"'{name}' is not finite in row {row + 1}, where {', '.join(at)}")


def _shown(value: object) -> str:
    return str(float(value)) if isinstance(value, int | float | np.number) else f"'{value}'"


def complete_rows(dataset: Dataset, spec: ModelSpec, na: NaPolicy) -> Rows:
    """The rows that have a finite value in every column of the model.

    Raises
    ------
    DataError
        For a missing or repeated column, or values that are not finite, unless they are dropped.
    """
    frame = dataset.frame
    used = used_columns(spec)
    for column in used:
        if column not in frame.columns:
            known = ", ".join(map(str, frame.columns))
            raise DataError(f"no column '{column}' in {dataset.name}; its columns are: {known}")
        if isinstance(frame[column], pd.DataFrame):
            raise DataError(f"column '{column}' stands more than once in {dataset.name}")
    missing = {column: _not_finite(frame[column]) for column in used}
    rows = np.any(list(missing.values()), axis=0)
    if not rows.any() or na == "drop":
        return Rows(dataset, missing, ~rows)
    where = ", ".join(f"'{c}': {int(bad.sum())}" for c, bad in missing.items() if bad.any())
    raise DataError(
        f"{int(rows.sum())} of {len(frame)} rows have a missing or infinite value ({where}; "
        f"first in row {int(np.argmax(rows)) + 1}); "
        "drop them for all engines alike with --na drop"
    )


def used_columns(spec: ModelSpec) -> list[str]:
    """Columns of the data that a model is made of, each once."""
    names = [*variable_names(spec), *spec.offset]
    used = [column for name in names for column in data_columns(node_of(name))]
    used += [column for term in spec.random for column in term.group]
    return list(dict.fromkeys([*used, *([spec.weights] if spec.weights else [])]))


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


def column_value(column: pd.Series) -> Value:
    """A column of the data, without missing values, as an expression takes it."""
    if _is_real(column):
        return column.to_numpy(float)
    if pd.api.types.is_bool_dtype(column):
        return column.to_numpy(bool)
    if isinstance(column.dtype, pd.CategoricalDtype):
        return factor_of_column(column)
    return Text(column.astype(str).to_numpy(object))


def _of_length(name: str, value: Value, n: int) -> Value:
    """A single number, as in ``I(2)``, stands in every row; nothing else is made of no column."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return np.full(n, value)
    if len(_rows(value)) != n:
        raise DataError(f"'{name}' is made of no column of the data; leave it out")
    return value


def _rows(value: Value) -> np.ndarray:
    if isinstance(value, Factor):
        return np.atleast_1d(value.codes)
    return np.atleast_1d(value if isinstance(value, np.ndarray) else value.values)


def _coded(value: Value, rows: np.ndarray) -> Coded:
    if isinstance(value, Matrix):
        return Matrix(value.values[rows], value.names)
    if isinstance(value, np.ndarray) and value.dtype != bool:
        return np.ascontiguousarray(value[rows], dtype=float)
    factor = as_factor(value)
    return without_unused(replace(factor, codes=factor.codes[rows]))


def group_variable(name: str, factor: Factor, taken: set[str]) -> Variable:
    """A grouping factor's column as a variable; its alias is added to `taken`."""
    # The column may also be a variable, perhaps a numeric one, under its own name.
    alias = _alias(f"{name}_group" if name in taken else name, taken)
    return Variable(name, alias, factor.codes, factor.levels)


def _alias(name: str, taken: set[str]) -> str:
    usable = _PLAIN.match(name) and not _OURS.match(name) and name not in _RESERVED
    plain = bool(usable) and name not in taken
    alias = (
        name if plain else next(a for a in (f"v{i}" for i in range(1, 10_000)) if a not in taken)
    )
    taken.add(alias)
    return alias


def categorical(codes: np.ndarray, levels: Sequence[str]) -> pd.Series:
    """A pandas factor from codes and levels."""
    dtype = pd.CategoricalDtype(list(levels))
    return pd.Series(pd.Categorical.from_codes(codes.astype(np.int64), dtype=dtype))


def first_text(frame: pd.DataFrame, name: str) -> str:
    """Where the column of a response first holds something that is not a number, in words."""
    column = (data_columns(node_of(name)) or [name])[0]
    numbers = pd.to_numeric(frame[column].astype(str), errors="coerce")
    row = int(np.argmax(numbers.isna().to_numpy()))
    return f"row {row + 1} holds '{frame[column].iloc[row]}'"
