"""Rows in Parquet, part by part: the only importer of pyarrow.

A part holds all rows of a range of data sets and is named after it. It is written to a temporary
name and renamed, so that it is there whole or not at all; what is there is done.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from pp_compare.errors import InputError, UnavailableError, quoted
from pp_compare.resources import LACKING, pip_install

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError as error:
    raise UnavailableError(f"{error}; this brings it: {pip_install('campaign')}") from error

VERSION = "pp-compare/campaign/1"
Table: TypeAlias = pa.Table

_TEXT = pa.dictionary(pa.int32(), pa.string())
_NUMBERS = pa.list_(pa.float64())

_INTEGER, _NUMBER, _FLAG = pa.int64(), pa.float64(), pa.bool_()


def _columns(kind: Any, *names: str) -> list[tuple[str, Any]]:
    return [(name, kind) for name in names]


SCHEMA = pa.schema(
    [
        *_columns(_INTEGER, "index", "point", "replicate"),
        *_columns(_TEXT, "model", "predictors", "method"),
        *_columns(_INTEGER, "clusters"),
        *_columns(_NUMBER, "rows", "imbalance", "icc", "noise", "effect", "offset"),
        *_columns(_INTEGER, "n_obs"),
        *_columns(pa.uint32(), "data_crc"),
        *_columns(_NUMBERS, "beta_true"),
        *_columns(_TEXT, "engine", "version", "status"),
        *_columns(_FLAG, "converged", "singular"),
        *_columns(_TEXT, "messages"),
        *_columns(_NUMBER, "seconds"),
        *_columns(_NUMBERS, "beta", "beta_se", "variances"),
        *_columns(_NUMBER, "sigma", "loglik"),
        *_columns(pa.int32(), "optima"),
        *_columns(_FLAG, "boundary"),
        *_columns(_TEXT, "outcome"),
        *_columns(_NUMBER, "above", "tolerance", "loglik_error", "beta_error", "se_error"),
        *_columns(_NUMBER, "digits_beta", "digits_variances"),
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
    UnavailableError
        Where the disk is full, or fails.
    """
    table = pa.ipc.open_stream(stream).read_all()
    path = _path(folder, (start, stop))
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            pq.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        kind = UnavailableError if error.errno in LACKING else InputError
        raise kind(f"cannot write {quoted(str(path), 300)}: {error.strerror}") from error
    return table


def repair(folder: Path) -> list[str]:
    """Remove what a killed run left, and parts that cannot be read; their names.

    Only for who holds the folder.
    """
    remains = list(folder.glob(".*.parquet.*")) if folder.is_dir() else []
    for path in remains:
        path.unlink(missing_ok=True)
    damaged = [
        path for path in map(partial(_path, folder), finished(folder)) if not _is_whole(path)
    ]
    for path in damaged:
        path.unlink(missing_ok=True)
    return [path.name for path in damaged]


def _path(folder: Path, of: tuple[int, int]) -> Path:
    return folder / f"{of[0]:010d}-{of[1]:010d}.parquet"


def _is_whole(path: Path) -> bool:
    """Whether the end of a file is where a whole one has it: a truncated one has none."""
    try:
        pq.read_metadata(path)
    except (pa.ArrowInvalid, OSError):
        return False
    return True


def finished(folder: Path) -> list[tuple[int, int]]:
    """Ranges of the data sets that are done, in order."""
    if not folder.is_dir():
        return []
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
        For a file of another schema, or a damaged one.
    """
    for of in finished(folder):
        yield _table(_path(folder, of), columns)


def _table(path: Path, columns: Sequence[str] | None) -> Table:
    try:
        file = pq.ParquetFile(path)
        found = (file.schema_arrow.metadata or {}).get(b"schema", b"").decode()
        if found != VERSION:
            raise InputError(
                f"{quoted(str(path), 300)} has schema {quoted(found)}; this version reads "
                f"'{VERSION}'"
            )
        return file.read(columns=None if columns is None else list(columns))
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{quoted(str(path), 300)} is damaged ({quoted(str(error))}); run the campaign again, "
            "which makes it anew"
        ) from None
