"""The data of a model as the lines that make ``data`` in Python and in R."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable
from typing import Any

import pandas as pd

from pp_compare.engines.source.names import Python, R, used_columns
from pp_compare.model.design import Design

WIDTH = 88
"""Columns of a line of numbers."""
FILE = "data.csv"
"""What is read where the data are too many to be written out."""

_PY, _R = Python(), R()


def used_frame(design: Design) -> pd.DataFrame:
    """The columns that the model is made of, as they were read, rows with missing values too."""
    weights = [design.spec.weights] if design.spec.weights else []
    return design.dataset.frame[list(dict.fromkeys([*used_columns(design), *weights]))]


def python_data(design: Design, most_rows: int) -> list[str]:
    """``data = pd.DataFrame({...})``, or ``pd.read_csv`` of `FILE` for more rows than that."""
    frame = used_frame(design)
    if len(frame) > most_rows:
        texts = ", ".join(f'{_PY.value(name)}: "str"' for name in _text_columns(frame))
        return [
            "data = pd.read_csv(",
            f'    "{FILE}", float_precision="round_trip", dtype={{{texts}}},',
            '    keep_default_na=False, na_values=["NA"])',
        ]
    lines = ["data = pd.DataFrame({"]
    for name, column in frame.items():
        lines += _list(f"{_PY.value(name)}: [", column, _python_cell, "],")
    return [*lines, "})"]


def r_data(design: Design, most_rows: int) -> list[str]:
    """``data <- data.frame(...)``, or ``read.csv`` of `FILE` for more rows than that."""
    frame = used_frame(design)
    if len(frame) > most_rows:
        texts = set(_text_columns(frame))
        kinds = ["character" if name in texts else "numeric" for name in frame]
        return [
            f'data <- read.csv("{FILE}", check.names = FALSE, encoding = "UTF-8",',
            f"                 colClasses = {_R.value(kinds)})",
        ]
    lines = ["data <- data.frame(check.names = FALSE,"]
    for name, column in frame.items():
        lines += _list(f"{_R.word(str(name))} = c(", column, _r_cell, "),")
    return [*lines[:-1], f"{lines[-1].rstrip(',')})"]


def _text_columns(frame: pd.DataFrame) -> list[str]:
    return [str(name) for name, column in frame.items() if not _numeric(column)]


def _numeric(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _list(head: str, column: pd.Series, cell: Callable[[Any], str], end: str) -> Iterable[str]:
    """A column between brackets, over as many lines as it takes; no cell is broken."""
    values = column.tolist() if _numeric(column) else [_text(value) for value in column]
    # A space within a text is no place to break a line: it is hidden while that is done.
    hidden = ", ".join(cell(value).replace(" ", "\0") for value in values)
    lines = textwrap.wrap(hidden, WIDTH, break_long_words=False, break_on_hyphens=False)
    whole = [line.replace("\0", " ") for line in lines]
    if len(whole) == 1:
        return [f"    {head}{whole[0]}{end}"]
    shown = [f"        {line}" for line in whole]
    return [f"    {head}", *shown[:-1], f"{shown[-1]}{end}"]


def _text(value: Any) -> str | None:
    return None if pd.isna(value) else str(value)


def _python_cell(value: Any) -> str:
    if value is None or pd.isna(value):
        return "None"
    return _PY.value(value)


def _r_cell(value: Any) -> str:
    """Numbers in R to 17 digits: it reads them to the last bit but for a rare one."""
    if value is None or pd.isna(value):
        return "NA"
    if isinstance(value, float) and math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    return _R.value(value)
