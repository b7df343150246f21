"""Tables that are no text: Parquet, Feather, Excel, SPSS, Stata, SAS and R.

Each is read by the library that knows it, which is an extra and is loaded when such a file comes.
None of them runs code that a file brings: there are no pickles, Excel's formulas count with the
values they were saved with, and an ``.rds`` is read by `rdata` and not by R, whose ``readRDS``
before 4.4 could be made to run code (CVE-2024-27322).
"""

from __future__ import annotations

import bz2
import datetime as dt
import io
import lzma
import re
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pandas as pd

from pp_compare.data.encoding import MOST_BYTES, check_size
from pp_compare.data.types import ReadAs, number_label, numbers_or_text
from pp_compare.errors import DataError, InputError, UnavailableError, quoted
from pp_compare.resources import pip_install

Reader = Callable[[bytes, str, ReadAs], tuple[pd.DataFrame, str]]
"""Takes the content, the file's name and what is told of it; gives a frame with types, and what
was found."""

MOST_CELLS = 20_000_000
"""Of an Excel sheet: a few bytes may claim a million empty rows."""


def kind_of(content: bytes, name: str) -> str | None:
    """What a file is: by its first bytes, else by its ending; None for text.

    Raises
    ------
    DataError
        For one that is not read, with what to do.
    """
    ending = re.sub(r"\.gz$", "", name.lower()).rpartition(".")[2]
    by_bytes = next((kind for mark, kind in _MAGIC.items() if content.startswith(mark)), None)
    if by_bytes == "xlsx" and b"xl/" not in content:
        by_bytes = "ods" if ending == "ods" else "zip"
    kind = (
        ending if by_bytes is None or (ending == "rds" and by_bytes in ("bz2", "xz")) else by_bytes
    )
    if kind in _REFUSED:
        raise DataError(f"'{name}' is {_REFUSED[kind]}")
    if by_bytes is None and ending in READERS and ending not in _WITHOUT_MARK:
        raise DataError(f"'{name}' is not what its ending says: .{ending} files begin otherwise")
    return kind if kind in READERS else None


def read_frame(kind: str, content: bytes, name: str, told: ReadAs) -> tuple[pd.DataFrame, str]:
    """Read a file of a kind that `kind_of` gave.

    Raises
    ------
    DataError
        For a damaged file.
    UnavailableError
        Where the library is not installed.
    """
    try:
        return READERS[kind](content, name, told)
    except (InputError, UnavailableError):
        raise
    except MemoryError:
        raise DataError(f"'{name}' takes more memory than there is") from None
    except Exception as error:  # libraries raise what they like on bytes that are not theirs
        why = quoted(f"{type(error).__name__}: {error}", 100)
        raise DataError(f"'{name}' cannot be read as .{kind}: {why}") from None


def _library(module: str, extra: str = "files") -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise UnavailableError(
            f"{error}; what reads such files is brought by: {pip_install(extra)}"
        ) from error


def _parquet(content: bytes, name: str, told: ReadAs) -> tuple[pd.DataFrame, str]:
    parquet = _library("pyarrow.parquet")
    file = parquet.ParquetFile(io.BytesIO(content))
    check_size(sum(_bytes(file.metadata.row_group(k)) for k in range(file.num_row_groups)), name)
    return file.read().to_pandas(), "Parquet"


def _bytes(group: Any) -> int:
    return int(group.total_byte_size)


def _feather(content: bytes, name: str, told: ReadAs) -> tuple[pd.DataFrame, str]:
    feather = _library("pyarrow.feather")
    return feather.read_table(io.BytesIO(content)).to_pandas(), "Feather"


def _excel(content: bytes, name: str, told: ReadAs) -> tuple[pd.DataFrame, str]:
    """The first sheet, each cell with Excel's own type; the first row has the names."""
    openpyxl = _library("openpyxl")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        check_size(sum(entry.file_size for entry in archive.infolist()), name)
    book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
    sheet = book.worksheets[0]
    if (sheet.max_row or 0) * (sheet.max_column or 0) > MOST_CELLS:
        raise DataError(f"'{name}' claims {sheet.max_row} rows of {sheet.max_column} columns")
    rows = [list(row) for row in sheet.iter_rows(values_only=True)]
    rows = [row for row in rows if any(cell not in (None, "") for cell in row)]
    if len(rows) < 2:
        raise DataError(f"sheet {quoted(sheet.title)} of '{name}' has no rows below its header")
    width = max(k + 1 for row in rows for k, cell in enumerate(row) if cell not in (None, ""))
    padded = [(row + [None] * width)[:width] for row in rows]
    names = [f"X.{k}" if cell is None else str(cell).strip() for k, cell in enumerate(padded[0])]
    others = len(book.worksheets) - 1
    more = f", the first of {others + 1}" if others else ""
    columns = zip(names, zip(*padded[1:], strict=True), strict=True)
    typed = [numbers_or_text([_cell(c) for c in cells], column, told) for column, cells in columns]
    return _frame(names, typed), f"sheet {quoted(sheet.title)}{more}"


def _frame(names: list[str], columns: list[pd.Series]) -> pd.DataFrame:
    frame = pd.concat(columns, axis=1)
    frame.columns = pd.Index(names)
    return frame


def _cell(value: Any) -> str:
    """A cell as its CSV would have it."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).upper()
        case int() | float():
            return number_label(value)
        case dt.date() | dt.time():
            return value.isoformat().removesuffix("T00:00:00")
    return str(value)


def _statistical(function: str) -> Reader:
    """SPSS, Stata, SAS: a column of which every value has a label is a factor of the labels."""

    def read(content: bytes, name: str, told: ReadAs) -> tuple[pd.DataFrame, str]:
        pyreadstat = _library("pyreadstat")
        with tempfile.NamedTemporaryFile(suffix=f".{function.rpartition('_')[2]}") as file:
            file.write(content)
            file.flush()
            frame, about = getattr(pyreadstat, function)(file.name)
        for column, labels in about.variable_value_labels.items():
            if column in frame and set(frame[column].dropna()) <= set(labels):
                order = [labels[value] for value in sorted(labels)]
                texts = frame[column].map(labels)
                frame[column] = pd.Categorical(texts, categories=list(dict.fromkeys(order)))
        return frame, f"{about.file_encoding or 'no encoding named'}, labels of values as factors"

    return read


def _rds(content: bytes, name: str, told: ReadAs) -> tuple[pd.DataFrame, str]:
    """An R data frame: factors are categoricals in the order of their levels."""
    rdata = _library("rdata")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about classes that come as what they are made of
        parsed = rdata.parser.parse_data(_inside(content, name), extension=".rds")
        found = rdata.conversion.convert(parsed)
    if not isinstance(found, pd.DataFrame):
        raise DataError(f"'{name}' holds a {type(found).__name__}, not a data frame")
    return found, "R data frame"


def _inside(content: bytes, name: str) -> bytes:
    """What R packed with bzip2 or xz; gzip is taken off by who read the file."""
    packed: dict[bytes, Any] = {b"BZh": bz2.BZ2Decompressor, b"\xfd7zXZ": lzma.LZMADecompressor}
    for mark, decompressor in packed.items():
        if content.startswith(mark):
            content = decompressor().decompress(content, MOST_BYTES + 1)
            check_size(len(content), name)
    return content


READERS: dict[str, Reader] = {
    "parquet": _parquet,
    "feather": _feather,
    "arrow": _feather,
    "xlsx": _excel,
    "sav": _statistical("read_sav"),
    "dta": _statistical("read_dta"),
    "sas7bdat": _statistical("read_sas7bdat"),
    "rds": _rds,
}

_WITHOUT_MARK = ("dta", "sas7bdat", "rds")
"""Old Stata files, and SAS's, begin like others; an ``.rds`` may be text."""

_PICKLE = "a pickle, which can run code when it is loaded; write it as Parquet or CSV"
_ARCHIVE = "an archive; unpack it and give the table that is meant"
_REFUSED = {
    "pickle": _PICKLE,
    "pkl": _PICKLE,
    "joblib": _PICKLE,
    "zip": _ARCHIVE,
    "7z": _ARCHIVE,
    "tar": _ARCHIVE,
    "bz2": "packed with bzip2; unpack it, or pack it with gzip",
    "xz": "packed with xz; unpack it, or pack it with gzip",
    "zst": "packed with zstd; unpack it, or pack it with gzip",
    "xls": "an old Excel file; save it as .xlsx or CSV",
    "ods": "a LibreOffice sheet; save it as .xlsx or CSV",
    "rda": "a workspace of R with objects by name; save the one that is meant with saveRDS()",
    "rdata": "a workspace of R with objects by name; save the one that is meant with saveRDS()",
    "npy": "an array without names; write it as CSV or Parquet with a name for each column",
    "pdf": "a PDF; give the table itself",
    "sqlite": "a database; write the table that is meant as CSV or Parquet",
    "html": "a page; give the table itself, as CSV",
    "json": "JSON; write the table as CSV or Parquet",
}
"""By ending, or by first bytes: what is not read, and what to do instead."""

_MAGIC = {
    b"PAR1": "parquet",
    b"ARROW1": "feather",
    b"PK\x03\x04": "xlsx",
    b"$FL2": "sav",
    b"$FL3": "sav",
    b"<stata_dta>": "dta",
    b"X\n\x00\x00": "rds",
    b"BZh": "bz2",
    b"\xfd7zXZ": "xz",
    b"RDX": "rda",
    b"RDA": "rda",
    b"\xd0\xcf\x11\xe0": "xls",
    b"\x80\x03": "pickle",
    b"\x80\x04": "pickle",
    b"\x80\x05": "pickle",
    b"\x93NUMPY": "npy",
    b"%PDF": "pdf",
    b"7z\xbc\xaf": "7z",
    b"\x28\xb5\x2f\xfd": "zst",
    b"SQLite format 3": "sqlite",
    b"<!DOCTYPE": "html",
    b"<html": "html",
}
