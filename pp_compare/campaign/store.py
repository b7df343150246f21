"""Rows in Parquet, part by part: the only importer of pyarrow.

A part holds all rows of a range of data sets and is named after it. It is written to a temporary
name and renamed, so that it is there whole or not at all; what is there is done.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from pp_compare.advice import pip_install
from pp_compare.errors import InputError, UnavailableError

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError as error:
    raise UnavailableError(f"{error}; this brings it: {pip_install('campaign')}") from error

VERSION = "pp-compare/campaign/1"
Table: TypeAlias = pa.Table

_TEXT = pa.dictionary(pa.int32(), pa.string())
_NUMBERS = pa.list_(pa.float64())

SCHEMA = pa.schema(
    [
        ("index", pa.int64()),
        ("point", pa.int64()),
        ("replicate", pa.int64()),
        ("model", _TEXT),
        ("predictors", _TEXT),
        ("method", _TEXT),
        ("clusters", pa.int64()),
        ("rows", pa.float64()),
        ("imbalance", pa.float64()),
        ("icc", pa.float64()),
        ("noise", pa.float64()),
        ("effect", pa.float64()),
        ("offset", pa.float64()),
        ("n_obs", pa.int64()),
        ("data_crc", pa.uint32()),
        ("beta_true", _NUMBERS),
        ("engine", _TEXT),
        ("version", _TEXT),
        ("status", _TEXT),
        ("converged", pa.bool_()),
        ("singular", pa.bool_()),
        ("messages", _TEXT),
        ("seconds", pa.float64()),
        ("beta", _NUMBERS),
        ("beta_se", _NUMBERS),
        ("variances", _NUMBERS),
        ("sigma", pa.float64()),
        ("loglik", pa.float64()),
        ("optima", pa.int32()),
        ("boundary", pa.bool_()),
        ("outcome", _TEXT),
        ("above", pa.float64()),
        ("tolerance", pa.float64()),
        ("loglik_error", pa.float64()),
        ("beta_error", pa.float64()),
        ("se_error", pa.float64()),
        ("digits_beta", pa.float64()),
        ("digits_variances", pa.float64()),
    ],
    metadata={"schema": VERSION},
)
"""Columns of a campaign, version `VERSION`: docs/campaigns.md says what they mean."""

_PART = re.compile(r"(\d+)-(\d+)\.parquet$")


def to_bytes(rows: Iterable[dict[str, Any]]) -> bytes:
    """Rows as an Arrow stream: how they travel between machines."""
    table = pa.Table.from_pylist(list(rows), schema=SCHEMA)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, SCHEMA) as stream:
        stream.write_table(table.combine_chunks())
    return bytes(sink.getvalue())


def write_part(folder: Path, start: int, stop: int, stream: bytes) -> Table:
    """Write the rows of data sets `start` to `stop` - 1, given as an Arrow stream.

    Raises
    ------
    InputError
        Where the folder cannot be written.
    """
    table = pa.ipc.open_stream(stream).read_all()
    path = folder / f"{start:010d}-{stop:010d}.parquet"
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            pq.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"cannot write '{path}': {error.strerror}") from error
    return table


def finished(folder: Path) -> list[tuple[int, int]]:
    """Ranges of the data sets that are done, in order; remains of a killed run are removed."""
    if not folder.is_dir():
        return []
    for remains in folder.glob(".*.parquet.*"):
        remains.unlink(missing_ok=True)
    matches = (_PART.fullmatch(path.name) for path in folder.iterdir())
    return sorted((int(m[1]), int(m[2])) for m in matches if m)


def missing(size: int, done: Sequence[tuple[int, int]], part: int) -> Iterator[tuple[int, int]]:
    """Ranges that are not done, each of at most `part` data sets.

    Raises
    ------
    InputError
        Where two parts overlap, or one lies outside the plan: they are not of this plan.
    """
    at = 0
    for start, stop in (*done, (size, size)):
        if start < at or stop > size or stop < start:
            raise InputError(f"the part {start}-{stop} is not one of this plan of {size} data sets")
        while at < start:
            end = min(at + part - at % part, start)
            yield at, end
            at = end
        at = stop


def tables(folder: Path, columns: Sequence[str] | None = None) -> Iterator[Table]:
    """The parts, one after the other, so that memory does not grow with them.

    Raises
    ------
    InputError
        For a file of another schema.
    """
    for start, stop in finished(folder):
        path = folder / f"{start:010d}-{stop:010d}.parquet"
        file = pq.ParquetFile(path)
        found = (file.schema_arrow.metadata or {}).get(b"schema", b"").decode()
        if found != VERSION:
            raise InputError(f"'{path}' has schema '{found}'; this version reads '{VERSION}'")
        yield file.read(columns=None if columns is None else list(columns))
