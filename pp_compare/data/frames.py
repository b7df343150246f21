"""A DataFrame as a Dataset: one meaning for every type that a column can have.

=========================================  =======================================================
integers, floats, decimals (nullable,      numbers; whole ones that no double holds (2^53 and more)
Arrow's, or objects)                       are names: a factor
booleans                                   a factor, ``FALSE`` and ``TRUE``, as R has them
categoricals (dictionaries)                a factor, levels in the order of the categories
strings                                    a factor, ``"12"`` too: a frame has types, and they count
dates, times, periods                      a factor of their ISO 8601 texts
``None``, ``nan``, ``NaT``, ``pd.NA``      a missing value
everything else (lists, complex numbers)   refused, with the row
=========================================  =======================================================

The index is left out. Names of columns are texts, and no two are the same.
"""

from __future__ import annotations

import datetime as dt
import numbers
from collections.abc import Hashable
from decimal import Decimal

import numpy as np
import pandas as pd

from pp_compare.data.types import EXACT, number_label
from pp_compare.errors import DataError, quoted
from pp_compare.model import Dataset


def dataset_of(frame: pd.DataFrame, name: str = "data", provenance: str = "") -> Dataset:
    """Make a Dataset of a DataFrame; the frame is not changed.

    Parameters
    ----------
    frame : DataFrame
        One row an observation.
    name : str
        Short name for reports and file names.
    provenance : str
        Where the data come from, in one line.

    Raises
    ------
    DataError
        For a frame without rows, two columns of one name, or a column that is neither numbers nor
        names; with the row.
    """
    if isinstance(frame.columns, pd.MultiIndex):
        raise DataError(f"{name} has columns with {frame.columns.nlevels} names each; join them")
    names = [str(column) for column in frame.columns]
    for column in names:
        if names.count(column) > 1:
            raise DataError(f"two columns of {name} are called {quoted(column)}; rename one")
    if frame.empty:
        raise DataError(f"{name} has no rows" if names else f"{name} has no columns")
    columns = {n: column_of(frame.iloc[:, k], n) for k, n in enumerate(names)}
    return Dataset(name, pd.DataFrame(columns), provenance)


def column_of(column: pd.Series, name: str) -> pd.Series:
    """One column: int64, float64, a categorical of texts, or texts; counted from 0.

    Raises
    ------
    DataError
        For what is neither a number nor a name; with the row.
    """
    column = column.reset_index(drop=True)
    if isinstance(column.dtype, pd.CategoricalDtype):
        labels = [_label(level, name) for level in column.cat.categories]
        if len(set(labels)) < len(labels):
            raise DataError(f"two levels of column {quoted(name)} are written alike; rename one")
        return column.cat.rename_categories(labels)
    values = [None if _is_missing(value) else value for value in column]
    present = [value for value in values if value is not None]
    if present and all(isinstance(value, bool | np.bool_) for value in present):
        texts = [None if value is None else str(value).upper() for value in values]
        return pd.Series(pd.Categorical(texts, categories=["FALSE", "TRUE"]))
    if all(isinstance(v, numbers.Real | Decimal) and not _is_bool(v) for v in present):
        return _numbers(values)
    return pd.Series([None if v is None else _label(v, name, k) for k, v in enumerate(values)])


def _numbers(values: list[numbers.Real | Decimal | None]) -> pd.Series:
    whole = [isinstance(value, numbers.Integral) for value in values if value is not None]
    present = [value for value in values if value is not None]
    if whole and all(whole) and any(abs(int(v)) >= EXACT for v in present):  # type: ignore[arg-type]  # all are whole
        levels = {str(level): None for level in sorted(set(map(int, present)))}  # type: ignore[arg-type]  # as above
        texts = [None if value is None else str(value) for value in values]
        return pd.Series(pd.Categorical(texts, categories=list(levels)))
    if whole and all(whole) and len(present) == len(values):
        return pd.Series(values, dtype="int64")
    return pd.Series([np.nan if v is None else float(v) for v in values], dtype="float64")


def _is_bool(value: object) -> bool:
    return isinstance(value, bool | np.bool_)


def _is_missing(value: object) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or value != value  # noqa: PLR0124  # nan alone differs from itself


def _label(value: Hashable, name: str, row: int | None = None) -> str:
    """A name as text."""
    match value:
        case str():
            return value
        case bool() | np.bool_():
            return str(value).upper()
        case float() | np.floating() | int() | np.integer():
            return number_label(value)
        case Decimal():
            return str(value)
        case dt.date() | dt.time():  # a Timestamp too, which is a date
            return _iso(value)
        case dt.timedelta() | np.timedelta64() | pd.Period() | pd.Interval():
            return str(value)
    where = f"row {row + 1} of " if row is not None else "a level of "
    raise DataError(
        f"{where}column {quoted(name)} holds a {type(value).__name__}, {quoted(str(value))}, which "
        "is neither a number nor a name"
    )


def _iso(value: dt.date | dt.time) -> str:
    """A day without a time where there is none."""
    text = value.isoformat()
    return text.removesuffix("T00:00:00")
