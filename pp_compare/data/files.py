"""A user's CSV."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from pp_compare.errors import DataError
from pp_compare.model import Dataset

EXACT = 2.0**53
"""Whole numbers below this are doubles."""

_WHOLE = re.compile(r"[+-]?\d+$")


def read_dataset(path: Path) -> Dataset:
    """Read a CSV file with a header line; doubles are read to the nearest bit.

    Raises
    ------
    DataError
        Where the file is not there or is no CSV, with the line.
    """
    if not path.is_file():
        raise DataError(f"no file '{path}'")
    try:
        frame = pd.read_csv(path, dtype=str, skipinitialspace=True)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(f"'{path}' is not a CSV file: {str(error).strip()}") from None
    if frame.empty:
        raise DataError(f"'{path}' has a header but no rows")
    typed = {str(name).strip(): numbers_or_text(frame[name]) for name in frame.columns}
    return Dataset(path.stem, pd.DataFrame(typed), f"file {path.name}")


def numbers_or_text(column: pd.Series) -> pd.Series:
    """Whole numbers, else doubles, else the text as it is; one word keeps a column from numbers.

    Python's ``float`` reads the nearest double, whatever pandas' own parser does.
    """
    try:
        values = [float(text) if isinstance(text, str) else np.nan for text in column]
    except ValueError:
        return column
    whole = all(isinstance(t, str) and _WHOLE.match(t) for t in column)
    if whole and all(abs(value) < EXACT for value in values):
        return pd.Series([int(text) for text in column])
    return pd.Series(values)
