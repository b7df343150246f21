"""A user's file as a Dataset: text by `delimited` and `types`, everything else by `formats`."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from pp_compare.data.delimited import read_cells
from pp_compare.data.encoding import MOST_BYTES, check_size, decoded, unpacked
from pp_compare.data.formats import kind_of, read_frame
from pp_compare.data.frames import dataset_of
from pp_compare.data.types import AS_R, POINT, ReadAs, numbers_or_text, retyped
from pp_compare.errors import DataError, InputError, quoted
from pp_compare.model import Dataset

STDIN = Path("-")


def read_dataset(path: Path, told: ReadAs = AS_R) -> Dataset:
    """Read a table with a header line.

    Text is read with the types of R's ``read.csv`` (`types` says where it is stricter); delimiter,
    decimal mark, encoding and gzip are told by inspection. Parquet, Feather, Excel, SPSS, Stata,
    SAS and ``.rds`` are told by their first bytes, whatever the file is called, and keep the types
    they bring.

    Parameters
    ----------
    path : Path
        ``-`` for standard input.
    told : ReadAs
        Types of columns, and what stands for a missing value.

    Returns
    -------
    Dataset
        Its provenance says what was found by inspection.

    Raises
    ------
    DataError
        Where the file is not there, is damaged, or is no table; with the row.
    InputError
        For a type told of a column that is not there.
    UnavailableError
        For a file whose library is not installed.
    """
    content, name = _content(path)
    content, packed = unpacked(content, name)
    kind = kind_of(content, name)
    if kind is None:
        frame, said = _text(content, name, told)
    else:
        frame, found = read_frame(kind, content, name, told)
        frame = dataset_of(frame, name).frame
        frame = pd.DataFrame({n: retyped(frame[n], n, told) for n in frame.columns})
        said = [found]
    _check_told(frame, told, name)
    how = ", ".join(filter(None, [f"file {name}", packed, *said]))
    return Dataset(_short(name), frame, how)


def _content(path: Path) -> tuple[bytes, str]:
    if path == STDIN:
        content = sys.stdin.buffer.read(MOST_BYTES + 1)
        check_size(len(content), "standard input")
        return content, "standard input"
    if not path.is_file():
        there = "is a folder, not a file" if path.is_dir() else "is not a plain file"
        raise DataError(
            f"{quoted(str(path))} {there}" if path.exists() else f"no file {quoted(str(path))}"
        )
    try:
        check_size(path.stat().st_size, path.name)
        return path.read_bytes(), path.name
    except OSError as error:
        raise DataError(f"cannot read {quoted(str(path))}: {error.strerror}") from None


def _text(content: bytes, name: str, told: ReadAs) -> tuple[pd.DataFrame, list[str]]:
    text, encoding = decoded(content, name)
    cells = read_cells(text, name)
    columns = {
        column: numbers_or_text(values, column, told, cells.marks.get(column, POINT))
        for column, values in cells.columns.items()
    }
    return pd.DataFrame(columns), [encoding, *cells.said]


def _check_told(frame: pd.DataFrame, told: ReadAs, name: str) -> None:
    for column in told.kinds or {}:
        if column not in frame.columns:
            known = ", ".join(map(str, frame.columns))
            raise InputError(
                f"no column {quoted(column)} in '{name}'; its columns are: {quoted(known, 300)}"
            )


def _short(name: str) -> str:
    """The file's name without its endings."""
    stem = Path(name.removesuffix(".gz")).stem
    return "stdin" if name == "standard input" else stem
