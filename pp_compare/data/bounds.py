"""How large a number may be, told before anything is computed of it.

How large a model may be, its matrices say (`pp_compare.model.matrices`).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from pp_compare.data.doubts import measured_columns
from pp_compare.errors import DataError, quoted
from pp_compare.model import Dataset, ModelSpec

LEAST, MOST = 1e-75, 1e75
"""Of the size of a number that is not 0: its fourth power is a double, and so is that of 1/x.
Engines square sums of squares."""


def check_numbers(dataset: Dataset, spec: ModelSpec) -> None:
    """Refuse numbers whose squares engines cannot hold.

    Raises
    ------
    DataError
        With the row.
    """
    for name in measured_columns(dataset, spec):
        column = dataset.frame[name]
        if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
            continue
        sizes = np.abs(column.to_numpy(float, na_value=np.nan))
        wrong = (sizes > MOST) | ((sizes > 0) & (sizes < LEAST))
        if wrong.any():
            row = int(np.argmax(wrong))
            raise DataError(
                f"row {row + 1} of column {quoted(name)} holds {column.iloc[row]!r}; numbers that "
                f"are not 0 lie between {LEAST:g} and {MOST:g} here, for sums of their squares are "
                "taken: give the column in another unit"
            )
