"""Files in and out: a user's CSV, and writing that leaves a whole file or none."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pandas as pd

from pp_compare.errors import DataError, InputError
from pp_compare.model import Dataset


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
        frame = pd.read_csv(path, float_precision="round_trip", skipinitialspace=True)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(f"'{path}' is not a CSV file: {str(error).strip()}") from None
    if frame.empty:
        raise DataError(f"'{path}' has a header but no rows")
    frame.columns = [str(column).strip() for column in frame.columns]
    return Dataset(path.stem, frame, f"file {path.name}")


def write_text(path: Path, text: str) -> None:
    """Write a file whole: to a temporary name in the same folder, then renamed.

    Raises
    ------
    InputError
        Where the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        raise InputError(f"cannot write '{path}': {error.strerror}") from error
