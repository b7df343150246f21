"""What a column of text is: numbers, a logical factor, or a factor of its texts.

The types are those of R's ``read.csv`` (`utils::type.convert`), by a grammar that is as strict as a
reader expects: digits, one point, an exponent. Words (``nan``, ``inf``, ``None``), underscores and
hexadecimals are text. Two things are read otherwise than in R, because a number would lose them:
whole numbers of which one is written with leading zeros (``001``), and whole numbers that no double
holds (2^53 and more); both are names, and stay as they are written.

Missing are ``NA``, what the reader is told to take for it, and an empty cell of numbers or of
logicals. An empty cell among texts is a text, as in R.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

import numpy as np
import pandas as pd

from pp_compare.errors import DataError, InputError, quoted

Kind = Literal["factor", "number"]

EXACT = 2.0**53
"""Whole numbers below this are doubles."""

LONGEST_EXACT = 15
"""A whole number with fewer characters than this is below `EXACT`."""

LOGICAL = {"T": "TRUE", "TRUE": "TRUE", "F": "FALSE", "FALSE": "FALSE"}
"""What `type.convert` takes for a logical, and what R prints it as."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_WHOLE = re.compile(r"[+-]?[0-9]+")
_PADDED = re.compile(r"[+-]?0[0-9]+")
_BLANKS = " \t\n"


@dataclass(frozen=True)
class Marks:
    """How numbers are written: the decimal mark, and what stands between thousands."""

    decimal: str = "."
    thousands: str = ""

    def plain(self, text: str) -> str:
        """The number as `float` reads it."""
        return text.replace(self.thousands, "").replace(self.decimal, ".")


POINT = Marks()


@dataclass(frozen=True)
class ReadAs:
    """What a reader is told beside the file.

    Parameters
    ----------
    kinds : mapping of str to {"factor", "number"}
        By column.
    missing : tuple of str
        What stands for a missing value beside ``NA``; a number counts however it is written.

    Raises
    ------
    InputError
        For another kind.
    """

    kinds: Mapping[str, Kind] | None = None
    missing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, kind in (self.kinds or {}).items():
            if kind not in get_args(Kind):
                raise InputError(f"column {quoted(name)} is a factor or a number, not a '{kind}'")

    def kind(self, name: str) -> Kind | None:
        """What a column is said to be; None where nothing is said."""
        return (self.kinds or {}).get(name)

    @property
    def is_missing(self) -> Callable[[str], bool]:
        """Whether a cell, without the blanks around it, is a missing value."""
        words = {"NA", *self.missing}
        values = {float(word) for word in self.missing if is_number(word)}
        return lambda cell: (
            cell in words or (bool(values) and is_number(cell) and float(cell) in values)
        )


AS_R = ReadAs()


def is_number(text: str) -> bool:
    """Whether a text is a number and nothing else."""
    return _NUMBER.fullmatch(text) is not None


def are_numbers(texts: Iterable[str]) -> bool:
    """Whether every text is a number and nothing else."""
    return all(map(_NUMBER.fullmatch, texts))


def is_name(texts: Iterable[str]) -> bool:
    """Whether numbers are names: all whole, and one padded with zeros or too long for a double."""
    texts = list(texts)
    return all(_WHOLE.fullmatch(text) for text in texts) and any(
        _PADDED.fullmatch(text) or abs(int(text[:400])) >= EXACT for text in texts
    )


def numbers_or_text(
    cells: Sequence[str | None], name: str = "", told: ReadAs = AS_R, marks: Marks = POINT
) -> pd.Series:
    """A column of text, typed.

    Parameters
    ----------
    cells : sequence of str or None
        None is missing.
    name : str
        For the messages, and for what is told of it.
    told : ReadAs
    marks : Marks
        How its numbers are written.

    Returns
    -------
    Series
        Of int64 or float64, to the nearest double; a categorical for logicals and for what is told
        to be a factor though it is numbers; else of str. The index counts from 0.

    Raises
    ------
    DataError
        For a number beyond the doubles, or a cell that is none where numbers were asked for; with
        the row.
    """
    if told.kind(name) is None and not told.missing and marks == POINT:
        plain = _plain_numbers(cells)
        if plain is not None:
            return plain
    stripped = {cell: cell.strip(_BLANKS) for cell in set(cells) if isinstance(cell, str)}
    is_missing = told.is_missing
    missing = {c for c, t in stripped.items() if is_missing(t) or is_missing(marks.plain(t))}
    present = {c: marks.plain(t) for c, t in stripped.items() if t and c not in missing}
    kind = told.kind(name)
    if kind == "number" or are_numbers(present.values()):
        if kind == "number" or not is_name(present.values()):
            values = _numbers(cells, present, missing, name)
            return _as_factor(values) if kind == "factor" else values
    elif kind is None and all(text in LOGICAL for text in present.values()):
        return _logical(cells, present)
    return pd.Series([None if c is None or c in missing else c for c in cells])


def _plain_numbers(cells: Sequence[str | None]) -> pd.Series | None:
    """A column in which every cell is a number and nothing else, as most are; None for others.

    Every step is a loop of the interpreter's own: of a hundred thousand cells they take a tenth of
    the time that the general way takes.
    """
    if not cells or None in cells or not are_numbers(texts := cast("Sequence[str]", cells)):
        return None
    if all(map(_WHOLE.fullmatch, texts)):
        if any(map(_PADDED.fullmatch, texts)) or max(map(len, texts)) >= LONGEST_EXACT:
            return None
        return pd.Series(list(map(int, texts)), dtype="int64")
    values = np.array(list(map(float, texts)))
    return pd.Series(values) if np.isfinite(values).all() else None


def _numbers(
    cells: Sequence[str | None], present: Mapping[str, str], missing: set[str], name: str
) -> pd.Series:
    """Numbers, of which every cell is one, missing or blank; `float` gives the nearest double."""
    values = {cell: float(text) for cell, text in present.items() if is_number(text)}
    for row, cell in enumerate(cells):
        if isinstance(cell, str) and cell in present and not np.isfinite(values.get(cell, np.nan)):
            what = "beyond the largest double, 1.8e308" if cell in values else "not a number"
            raise DataError(
                f"row {row + 1} of column {quoted(name)} holds {quoted(cell)}, {what}; --na-value "
                "makes it a missing value, --type NAME=factor a name"
            )
    whole = {c: int(t) for c, t in present.items() if _WHOLE.fullmatch(t) and len(t) < 20}
    if set(cells) == whole.keys() and _exact(values.values()):
        return pd.Series([whole[cell] for cell in cells if cell], dtype="int64")
    return pd.Series([values.get(cell or "", np.nan) for cell in cells], dtype="float64")


def _exact(values: Iterable[float]) -> bool:
    return all(abs(value) < EXACT for value in values)


def _logical(cells: Sequence[str | None], present: Mapping[str, str]) -> pd.Series:
    values = [LOGICAL.get(present.get(cell or "", "")) for cell in cells]
    return pd.Series(pd.Categorical(values, categories=["FALSE", "TRUE"]))


def _as_factor(numbers: pd.Series) -> pd.Series:
    """Numbers as names, in the order of their size: what ``factor(x)`` is in R."""
    levels = sorted(set(numbers.dropna()))
    labels = {value: number_label(value) for value in levels}
    texts = [labels.get(value) for value in numbers]
    return pd.Series(pd.Categorical(texts, categories=list(labels.values())))


def number_label(value: float | np.number) -> str:
    """A number as a name: whole ones without a point, others so that they read back exactly."""
    number = float(value)
    if isinstance(value, int | np.integer):
        return str(value)
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def retyped(column: pd.Series, name: str, told: ReadAs) -> pd.Series:
    """A column that has a type, with what is told of it.

    Raises
    ------
    DataError
        Where a number is asked for and a text is no number.
    """
    texts = [
        None if missing else _text(x) for x, missing in zip(column, column.isna(), strict=True)
    ]
    gone = [text is not None and told.is_missing(text) for text in set(texts)]
    if any(gone):
        is_missing = told.is_missing
        column = column.mask(np.array([text is not None and is_missing(text) for text in texts]))
        texts = [None if text is None or is_missing(text) else text for text in texts]
    numeric = pd.api.types.is_numeric_dtype(column)
    if told.kind(name) == "factor" and numeric:
        return _as_factor(column)
    if told.kind(name) == "number" and not numeric:
        return numbers_or_text(texts, name, told)
    return column


def _text(value: object) -> str:
    return number_label(value) if isinstance(value, int | float | np.number) else str(value)
