"""The variables of a model, computed from the columns of a data set: numbers and coded factors."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from pp_compare.errors import DataError
from pp_compare.model import Dataset, ModelSpec, Term
from pp_compare.model.formula import parse_factor

NaPolicy = Literal["raise", "drop"]

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*$")
_OURS = re.compile(r"group_\d+$|all_rows$|vc\d+$")
"""Names that engines' own columns get beside those of the data (`engines.formulas`)."""
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
        return categorical(self.values, self.levels).rename(self.alias)


def variable_names(spec: ModelSpec) -> list[str]:
    """Response, fixed and random variables, each once, in the order of the formula."""
    terms: Iterable[Term] = [*spec.fixed, *(t for random in spec.random for t in random.terms)]
    return list(dict.fromkeys([spec.response, *(name for term in terms for name in term)]))


def _column_of(name: str) -> str:
    return parse_factor(name)[1] if name.endswith(")") and "(" in name else name


def _used_columns(spec: ModelSpec, frame: pd.DataFrame) -> list[str]:
    names = [n if n in frame.columns else _column_of(n) for n in variable_names(spec)]
    names += [column for term in spec.random for column in term.group]
    return list(dict.fromkeys(names))


def complete_rows(dataset: Dataset, spec: ModelSpec, na: NaPolicy) -> tuple[pd.DataFrame, int]:
    """The rows that have a finite value in every column of the model, and how many have not.

    Raises
    ------
    DataError
        For a missing or repeated column, or values that are not finite, unless they are dropped.
    """
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


def make_variable(frame: pd.DataFrame, name: str, taken: set[str]) -> Variable:
    """A variable of the formula; its alias is added to `taken`.

    Raises
    ------
    DataError
        For a function of a column that is not numeric, or whose value is not finite.
    """
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


def make_group_variable(frame: pd.DataFrame, name: str, taken: set[str]) -> Variable:
    """A column as a grouping factor; its alias is added to `taken`."""
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
    plain = plain and _OURS.match(name) is None
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
    """Where a column first holds something that is not a number, in words."""
    column = _column_of(name) if name not in frame.columns else name
    numbers = pd.to_numeric(frame[column].astype(str), errors="coerce")
    row = int(np.argmax(numbers.isna().to_numpy()))
    return f"row {row + 1} holds '{frame[column].iloc[row]}'"
