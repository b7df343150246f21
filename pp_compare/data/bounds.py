"""How large a model may be, told before its matrices are made."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from pp_compare.data.doubts import measured_columns
from pp_compare.errors import DataError, quoted
from pp_compare.model import Dataset, ModelSpec, Term

MOST_COLUMNS = 1000
"""Of a fixed part, or of the effects of one random term: engines solve dense systems of them."""

MOST_NUMBERS = 50_000_000
"""Of a design matrix, rows times columns: 400 MB of doubles, of which engines make copies."""

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


def check_size(dataset: Dataset, spec: ModelSpec) -> None:
    """Refuse a model whose design matrices would not be worth waiting for, or fill the memory.

    Raises
    ------
    DataError
        With the term that is the widest, and how many columns it takes.
    """
    parts: list[tuple[Sequence[Term], str]] = [(spec.fixed, "fixed part")]
    parts += [(term.terms, f"effects of '{term.group_name}'") for term in spec.random]
    for terms, what in parts:
        widths = {term: _width(dataset.frame, term) for term in terms}
        total = 1 + sum(widths.values())
        rows = len(dataset.frame)
        if total > MOST_COLUMNS or total * rows > MOST_NUMBERS:
            widest = ":".join(max(widths.items(), key=lambda pair: pair[1])[0])
            raise DataError(
                f"the {what} would have up to {total} columns over {rows} rows, most of them of "
                f"{quoted(widest)}; up to {MOST_COLUMNS} columns and {MOST_NUMBERS} numbers are "
                "taken: leave terms out, or make a grouping factor of what has that many levels"
            )


def _width(frame: pd.DataFrame, term: Term) -> int:
    """Columns of a term, all cells of its factors counted."""
    return math.prod(_levels(frame, name) for name in term)


def _levels(frame: pd.DataFrame, name: str) -> int:
    column = name.partition("(")[2].rstrip(")").strip("` ") if name not in frame.columns else name
    as_factor = name not in frame.columns and name.startswith(("C(", "factor(", "as.factor("))
    if column not in frame.columns:
        return 1
    numeric = pd.api.types.is_numeric_dtype(frame[column])
    return 1 if numeric and not as_factor else max(1, int(frame[column].nunique()))
