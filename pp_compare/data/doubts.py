"""What was read, in one line, and what a reader should be asked before anything is fitted.

A question is what R's reader would decide in silence and most people would not want: a column of
numbers with a stray text, a code with leading zeros, -999, a factor with nearly as many levels as
rows. A remark is what is likely right, and worth a look.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from pp_compare.data.types import AS_R, ReadAs, is_name, is_number, number_label
from pp_compare.errors import quoted
from pp_compare.model import Dataset, ModelSpec
from pp_compare.model.variables import variable_names

STANDS_FOR_MISSING = frozenset(
    {".", "..", "-", "--", "?", "*", "na", "Na", "n/a", "N/A", "NaN", "nan", "NAN", "null", "NULL"}
    | {"Null", "None", "none", "nil", "inf", "Inf", "-inf", "-Inf", "missing", "Missing", "#N/A"}
    | {"#DIV/0!", "#VALUE!", "#REF!", "#NUM!", "#NAME?", "<NA>", "NaT", "n.a.", "N.A.", "#NULL!"}
)
"""Texts that programs and people write for a number that is not there."""

SENTINELS = (-999.0, -9999.0, -99999.0, 999.0, 9999.0, 99999.0, -99.0, -9.0, 99.0)
"""Numbers that are written for one that is not there; asked about where they lie apart."""

FEW = range(3, 7)
"""So many whole numbers may be a code as well as a measurement; two are the same as either."""

SHARE = 0.9
"""Of the cells that are numbers, for a column that was surely meant to hold numbers."""

MOST_LEVELS = 50
"""Of a factor among the fixed effects, unless it has ten rows a level: more is seldom meant."""

SHOWN = 6
"""Levels that the line of types names."""

_WORD = re.compile(r"`([^`]+)`|([^\W\d][\w.]*|\.[^\W\d][\w.]*)")
_FACTOR = re.compile(r"(?:C|factor|as\.factor)\(")


def types_line(dataset: Dataset, spec: ModelSpec) -> str:
    """What the columns of a model were read as, in one line: numbers, and factors with levels."""
    frame, found = dataset.frame, []
    columns = [name for name in _columns(dataset, spec) if name in frame.columns]
    numeric = [name for name in columns if _is_number(frame[name])]
    if numeric:
        found.append(f"numbers: {', '.join(_name(name) for name in numeric)}")
    for name in columns:
        if name not in numeric:
            levels = levels_of(frame[name])
            named = [_name(level) for level in levels]
            if len(levels) > SHOWN:
                named = [*named[: SHOWN - 2], "...", named[-1]]
            found.append(f"factor: {_name(name)}, {len(levels)} levels ({', '.join(named)})")
    return f"Read {dataset.provenance or dataset.name}. {'; '.join(found)}."


def _name(text: str) -> str:
    """As it is where it is plain; in quotes where a comma or a blank would hide its ends."""
    plain = re.fullmatch(r"[\w.:+-]+", text) is not None
    return text if plain and len(text) <= 30 else quoted(text, 30)


def levels_of(column: pd.Series) -> list[str]:
    """Levels of a factor in their order: a categorical's own, else as Python sorts."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return [str(level) for level in column.cat.remove_unused_categories().cat.categories]
    return sorted({str(value) for value in column.dropna().unique()})


def questions(dataset: Dataset, spec: ModelSpec, told: ReadAs = AS_R) -> list[str]:
    """What has to be said before the model is fitted; each with the options that say it."""
    return list(_questions(dataset, spec, told))


def _questions(dataset: Dataset, spec: ModelSpec, told: ReadAs) -> Iterator[str]:
    groups = {column for term in spec.random for column in term.group}
    measured = measured_columns(dataset, spec)
    for name in _columns(dataset, spec):
        if told.kind(name) is not None or name not in dataset.frame.columns:
            continue
        column = dataset.frame[name]
        if _is_number(column):
            if name in measured:
                yield from _sentinel(column, name)
            continue
        if isinstance(column.dtype, pd.CategoricalDtype):
            continue  # whoever made it a factor has decided
        texts = [
            None if missing else str(x).strip()
            for x, missing in zip(column, column.isna(), strict=True)
        ]
        if name in measured:
            yield from _code(texts, name)
        yield from _stray(texts, name, name in measured)
        if name in measured and name not in groups and name != spec.response:
            yield from _wide(column, name)


def _stray(cells: Sequence[str | None], name: str, measured: bool) -> Iterator[str]:
    """Text in a column of numbers: a word for a missing value, or a slip."""
    if not any(is_number(cell) for cell in set(cells) if cell):
        return
    present = [cell for cell in cells if cell]
    others = [cell for cell in present if not is_number(cell)]
    numbers = len(present) - len(others)
    missing = bool(others) and set(others) <= STANDS_FOR_MISSING
    distinct = len({cell for cell in present if is_number(cell)})
    slip = measured and numbers >= SHARE * len(present) and distinct >= FEW.stop
    if numbers and others and (missing or slip):
        yield (
            f"column {quoted(name)} is not numeric: row {cells.index(others[0]) + 1} holds "
            f"{quoted(others[0])} while {numbers} of {len(cells)} rows hold numbers, and R would "
            f"read all of them as text; --na-value {quoted(others[0])} makes it a missing value, "
            f"--type {name}=factor makes names of all"
        )


def _code(cells: Sequence[str | None], name: str) -> Iterator[str]:
    texts = [cell for cell in cells if cell]
    if texts and all(map(is_number, texts)) and is_name(set(texts)):
        yield (
            f"column {quoted(name)} is written like a code ({quoted(texts[0])}): say --type "
            f"{name}=factor to keep the digits as a name, --type {name}=number for its values"
        )


def _sentinel(column: pd.Series, name: str) -> Iterator[str]:
    values = column.dropna().to_numpy(float)
    for sentinel in SENTINELS:
        rest = values[values != sentinel]
        if len(rest) == len(values) or len(rest) < 2:
            continue
        gap = min(abs(rest.min() - sentinel), abs(rest.max() - sentinel))
        outside = sentinel < rest.min() or sentinel > rest.max()
        if outside and gap > np.ptp(rest) and gap > abs(sentinel) / 2:
            label = number_label(sentinel)
            yield (
                f"column {quoted(name)} holds {label} in {len(values) - len(rest)} of "
                f"{len(values)} rows and {rest.min():g} to {rest.max():g} in the others: {label} "
                f"looks like a missing value; --na-value {label} makes it one, --type "
                f"{name}=number takes it as it is"
            )


def _wide(column: pd.Series, name: str) -> Iterator[str]:
    levels = column.nunique()
    if levels > MOST_LEVELS and levels > len(column) / 10:
        yield (
            f"column {quoted(name)} is text with {levels} levels in {len(column)} rows "
            f"({quoted(str(column.dropna().iloc[0]))}, ...), each of which would get a "
            f"coefficient; if that is meant, say --type {name}=factor; of a date make a column of "
            "numbers"
        )


def remarks(dataset: Dataset, spec: ModelSpec, told: ReadAs = AS_R) -> list[str]:
    """What is worth a look."""
    found = []
    measured = measured_columns(dataset, spec)
    for name in _columns(dataset, spec):
        if told.kind(name) is not None or name not in dataset.frame.columns:
            continue
        column = dataset.frame[name]
        if not _is_number(column):
            found += _of_levels(levels_of(column), name)
        elif name in measured and name != spec.response:
            found += _few(column, name)
    return found


def _few(column: pd.Series, name: str) -> list[str]:
    values = np.unique(column.dropna().to_numpy(float))
    if len(values) not in FEW or (values != np.round(values)).any():
        return []
    shown = ", ".join(number_label(value) for value in values)
    return [
        f"'{name}' holds {len(values)} whole numbers ({shown}) and counts as a number, with one "
        f"slope; if they are names, say --type {name}=factor"
    ]


def _of_levels(levels: Sequence[str], name: str) -> list[str]:
    found = []
    if "" in levels:
        found.append(
            f"an empty cell is a level of '{name}', as in R; --na-value '' makes it missing"
        )
    folded: dict[str, str] = {}
    for level in levels:
        other = folded.setdefault(" ".join(level.casefold().split()), level)
        if other != level:
            found.append(
                f"levels {quoted(other)} and {quoted(level)} of '{name}' differ in blanks or case "
                "alone, and count as two"
            )
    return found[:3]


def _columns(dataset: Dataset, spec: ModelSpec) -> list[str]:
    """Columns of the model in the order of the formula."""
    names = list(measured_columns(dataset, spec, factors=True))
    names += [column for term in spec.random for column in term.group]
    return list(dict.fromkeys(names))


def measured_columns(dataset: Dataset, spec: ModelSpec, *, factors: bool = False) -> list[str]:
    """Columns whose values count, not as names of groups; without ``C(x)`` unless `factors`."""
    known, found = set(map(str, dataset.frame.columns)), []
    for variable in variable_names(spec):
        if variable in known:
            found.append(variable)
        elif factors or not _FACTOR.match(variable):
            words = (quoted_ or plain for quoted_, plain in _WORD.findall(variable))
            found += [word for word in words if word in known]
    return list(dict.fromkeys(found))


def _is_number(column: pd.Series) -> bool:
    kinds = pd.api.types
    return bool(kinds.is_numeric_dtype(column) and not kinds.is_bool_dtype(column))
