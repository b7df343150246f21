"""Text in rows and cells: the delimiter, the header and the marks of numbers, by inspection."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from operator import methodcaller
from typing import NamedTuple

from pp_compare.data.types import POINT, Marks, are_numbers, is_number
from pp_compare.errors import DataError, quoted

DELIMITERS = {",": "", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "blanks"}
"""What may stand between cells, and what a reader is told of it."""

SAMPLE = 100
"""Lines that the delimiter is told from."""

MOST_COLUMNS = 10_000

_COMMA_DECIMAL = re.compile(r"[+-]?(?:[0-9]+,?[0-9]*|,[0-9]+)(?:[eE][+-]?[0-9]+)?")
_GROUPED = {
    ",": re.compile(r"[+-]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?"),
    ".": re.compile(r"[+-]?[0-9]{1,3}(?:\.[0-9]{3})+(?:,[0-9]*)?"),
}
_ONE_GROUP = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")


class _Table(NamedTuple):
    """The header, the columns, how many empty rows were left out, and what else was."""

    header: list[str]
    columns: list[tuple[str, ...]]
    empty: int = 0
    left_out: str = ""


@dataclass(frozen=True)
class Cells:
    """A table of text.

    Parameters
    ----------
    columns : dict of str to tuple of str
        By name, in the order of the file; all of one length.
    said : tuple of str
        What was found by inspection, and left out.
    marks : dict of str to Marks
        How the numbers of a column are written, where it is not with a point alone.
    """

    columns: dict[str, tuple[str, ...]]
    said: tuple[str, ...]
    marks: dict[str, Marks]


def read_cells(text: str, name: str) -> Cells:
    """Split text into named columns.

    Raises
    ------
    DataError
        For an empty file, no header, names that are not told apart, rows of another length than the
        header, or bad quotes; with the row.
    """
    text, delimiter = _delimiter(text, name)
    said = [DELIMITERS[delimiter]] if DELIMITERS[delimiter] else []
    table = _regular(text, delimiter) or _any(text, delimiter, name)
    if table.empty:
        said.append(f"{table.empty} empty rows left out")
    names = _names([cell.strip() for cell in table.header], name)
    columns = dict(zip(names, table.columns, strict=True))
    empty = [c for c in columns if c.startswith("\0") and not any(columns[c])]
    for column in empty:
        del columns[column]
    if empty:
        said.append(f"{len(empty)} empty columns without a name left out")
    columns = _named(columns, name)
    marks = _marks(columns, delimiter)
    said += [_told(marks), table.left_out]
    return Cells(columns, tuple(filter(None, said)), marks)


def _regular(text: str, delimiter: str) -> _Table | None:
    """Header and columns of a table without quotes or blank lines, its rows as long as its header.

    Most tables are that, and then every step is one of the interpreter's own; None for others.
    """
    if delimiter == " " or '"' in text or "\r" in text:
        return None
    lines = text.removesuffix("\n").split("\n")
    between = lines[0].count(delimiter)
    alike = {between} == set(map(methodcaller("count", delimiter), lines))
    if len(lines) < 2 or between >= MOST_COLUMNS or not alike or between * delimiter in lines:
        return None
    if max(map(len, lines)) > csv.field_size_limit():
        return None
    cells, width = delimiter.join(lines).split(delimiter), between + 1
    return _Table(cells[:width], [tuple(cells[k::width]) for k in range(width, 2 * width)])


def _any(text: str, delimiter: str, name: str) -> _Table:
    """The same of any table."""
    rows = list(_rows(text, delimiter, name))
    if len(rows) < 2:
        raise DataError(f"'{name}' has a header but no rows" if rows else f"'{name}' is empty")
    header, rows, left_out = _aligned([cell.strip() for cell in rows[0]], rows[1:], name)
    full = [row for row in rows if any(row)]
    if not full:
        raise DataError(f"'{name}' has a header but no row that holds anything")
    return _Table(header, list(zip(*full, strict=True)), len(rows) - len(full), left_out)


def _delimiter(text: str, name: str) -> tuple[str, str]:
    """The delimiter under which the first lines have as many cells as the header."""
    first, _, rest = text.partition("\n")
    asked = re.fullmatch(r"sep=(.)\s*", first)
    if asked and asked[1] in DELIMITERS:  # written by, and for, spreadsheets
        return rest, asked[1]
    if not text.strip():
        raise DataError(f"'{name}' is empty")
    lines = [line for line in text.split("\n", SAMPLE)[:SAMPLE] if line.strip()]
    shares = {}
    for delimiter in DELIMITERS:
        widths = [len(row) for row in _reader("\n".join(lines), delimiter, strict=False)]
        header = widths[0] if widths else 0
        if header < 2:
            continue
        body = widths[1:] or [header]
        shares[delimiter] = max(body.count(header), body.count(header + 1)) / len(body)
    if not shares:
        raise DataError(
            f"'{name}' has one column, {quoted(lines[0])}: no comma, semicolon, tab, bar or blank "
            "divides its first line; give a table with a header line"
        )
    if len(shares) > 1:  # blanks also stand inside of cells that something else divides
        shares.pop(" ", None)
    return text, max(shares, key=lambda d: shares[d])


def _reader(text: str, delimiter: str, *, strict: bool) -> Iterator[list[str]]:
    blanks = delimiter == " "
    lines = (line.strip(" ") for line in text.split("\n")) if blanks else None
    source = io.StringIO("\n".join(lines) if lines else text, newline="")
    reader = csv.reader(source, delimiter=delimiter, strict=strict, skipinitialspace=blanks)
    return (row for row in reader if row and row != [""])


def _rows(text: str, delimiter: str, name: str) -> Iterator[list[str]]:
    try:
        yield from list(_reader(text, delimiter, strict=True))
    except csv.Error:
        yield from _until_error(text, delimiter, name)


def _until_error(text: str, delimiter: str, name: str) -> Iterator[list[str]]:
    """Row by row, to say which one cannot be read."""
    rows = _reader(text, delimiter, strict=True)
    for number in count():
        try:
            row = next(rows, None)
        except csv.Error as error:
            raise DataError(f"'{name}': row {number} cannot be read: {error}") from None
        if row is None:
            return
        yield row


def _aligned(
    header: list[str], rows: list[list[str]], name: str
) -> tuple[list[str], list[list[str]], str]:
    """Header and rows of one length: a header one short stands over rows with names, as in R."""
    width = len(header)
    if width > MOST_COLUMNS:
        raise DataError(f"'{name}' has {width} columns; {MOST_COLUMNS} are read at most")
    widths = Counter(map(len, rows))
    if set(widths) == {width + 1}:
        if not any(row[-1] for row in rows):
            raise DataError(
                f"every row of '{name}' ends with a delimiter that its header has not; take the "
                "last one off each row, for R takes the first column for the names of the rows"
            )
        if len({row[0] for row in rows}) == len(rows):
            return header, [row[1:] for row in rows], "row names left out"
    for number, row in enumerate(rows, 1):
        if len(row) != width:
            raise DataError(
                f"row {number} of '{name}' has {len(row)} cells, its header {width}: "
                f"{quoted(', '.join(row))}; a cell with a delimiter in it stands in quotes"
            )
    return header, rows, ""


def _names(header: Sequence[str], name: str) -> list[str]:
    """The names, blanks around them taken off; a column without one gets a placeholder."""
    if all(is_number(cell) for cell in header if cell):
        raise DataError(
            f"the first line of '{name}' holds numbers, {quoted(', '.join(header))}, and no names; "
            "put a line with the names of the columns above it"
        )
    repeated = [cell for cell, times in Counter(header).items() if cell and times > 1]
    if repeated:
        raise DataError(
            f"two columns of '{name}' are called {quoted(repeated[0])} (blanks around a name do "
            "not count); rename one"
        )
    return [cell or f"\0{place}" for place, cell in enumerate(header)]


def _named(columns: dict[str, tuple[str, ...]], name: str) -> dict[str, tuple[str, ...]]:
    """R's names for columns that have none: X, X.1, ..."""
    taken, found = set(columns), {}
    for column, cells in columns.items():
        new = column
        if column.startswith("\0"):
            new = next(x for x in ("X", *(f"X.{i}" for i in range(1, 10**5))) if x not in taken)
            taken.add(new)
        found[new] = cells
    if not found:
        raise DataError(f"'{name}' has no column with a name")
    return found


def _marks(columns: dict[str, tuple[str, ...]], delimiter: str) -> dict[str, Marks]:
    """Marks of the columns whose numbers are not written with a point alone.

    A file has one decimal mark. A comma is it where a column says so beyond doubt (``0,5``; in
    ``1,234`` alone it may stand between thousands), or where semicolons divide cells and no column
    has a decimal point.
    """
    texts = {n: set(map(str.strip, cells)) - {"", "NA"} for n, cells in columns.items()}
    odd = {n: t for n, t in texts.items() if t and not are_numbers(t)}
    points = any(any("." in x for x in t) for n, t in texts.items() if n not in odd)
    commas = {n: t for n, t in odd.items() if all(_COMMA_DECIMAL.fullmatch(x) for x in t)}
    sure = any(any("," in x and not _ONE_GROUP.fullmatch(x) for x in t) for t in commas.values())
    found: dict[str, Marks] = {}
    if commas and not points and (sure or delimiter == ";"):
        found = dict.fromkeys(commas, Marks(decimal=","))
    for column, t in odd.items():
        for mark, decimal in ((",", "."), (".", ",")):
            grouped = all(_GROUPED[mark].fullmatch(x) or _plain(x, decimal) for x in t)
            both = any((decimal in x and mark in x) or x.count(mark) > 1 for x in t)
            if column not in found and grouped and (both or (mark == "," and points)):
                found[column] = Marks(decimal, mark)
    return found


def _plain(text: str, decimal: str) -> bool:
    """A number of less than a thousand, which has nothing between its thousands."""
    return re.fullmatch(rf"[+-]?[0-9]{{1,3}}(?:\{decimal}[0-9]*)?", text) is not None


def _told(marks: dict[str, Marks]) -> str:
    used = set(marks.values()) - {POINT}
    words = ["decimal commas"] if any(m.decimal == "," for m in used) else []
    between = {",": "commas", ".": "points"}
    words += [f"{between[m]} between thousands" for m in sorted({m.thousands for m in used} - {""})]
    return ", ".join(words)
