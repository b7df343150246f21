from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pp_compare.campaign import store
from pp_compare.campaign.generate import generate
from pp_compare.campaign.judge import truth_of
from pp_compare.campaign.plan import from_document
from pp_compare.campaign.rows import Row, certified_row, lost_row
from pp_compare.errors import InputError

PLAN = from_document({"replications": 20, "grid": {}})


def rows(index: int = 0) -> list[Row]:
    sample = generate(PLAN, index)
    found = certified_row(sample, truth_of(sample.design))
    return [found, lost_row(sample, "lme4", "its process died", 2.5)]


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    def equal(x: Any, y: Any) -> bool:
        return x == y or (isinstance(x, float) and math.isnan(x) and math.isnan(y))

    return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)


def test_rows_read_back_to_the_same_bits(tmp_path: Path) -> None:
    given = rows()
    store.write_part(tmp_path, 0, 1, store.to_bytes(given))
    (table,) = store.tables(tmp_path)
    assert all(same(a, b) for a, b in zip(given, table.to_pylist(), strict=True))
    assert given[1]["status"] == "lost"
    assert given[1]["beta"] is None


def test_every_key_of_a_row_is_a_column() -> None:
    assert set(rows()[0]) == set(store.SCHEMA.names)


def test_what_is_missing() -> None:
    assert list(store.missing(10, [], 4)) == [(0, 4), (4, 8), (8, 10)]
    assert list(store.missing(10, [(0, 4), (8, 10)], 4)) == [(4, 8)]
    assert list(store.missing(10, [(3, 5)], 4)) == [(0, 3), (5, 8), (8, 10)]
    assert list(store.missing(10, [(0, 10)], 4)) == []


@pytest.mark.parametrize("done", [[(0, 4), (3, 6)], [(8, 12)], [(4, 2)]])
def test_parts_of_another_plan_are_refused(done: list[tuple[int, int]]) -> None:
    with pytest.raises(InputError, match="not one of this plan of 10"):
        list(store.missing(10, done, 4))


def test_what_a_kill_left_half_written_is_not_done(tmp_path: Path) -> None:
    store.write_part(tmp_path, 0, 1, store.to_bytes(rows()))
    whole = next(tmp_path.iterdir()).read_bytes()
    half = tmp_path / ".0000000001-0000000002.parquet.4711"
    half.write_bytes(whole[: len(whole) // 2])
    assert store.finished(tmp_path) == [(0, 1)]
    assert store.repair(tmp_path) == []
    assert not half.exists()


def test_another_schema_is_refused(tmp_path: Path) -> None:
    table = store.write_part(tmp_path, 0, 1, store.to_bytes(rows()))
    other = table.replace_schema_metadata({"schema": "pp-compare/campaign/9"})
    pq.write_table(other, tmp_path / "0000000000-0000000001.parquet")
    with pytest.raises(InputError, match="campaign/9"):
        list(store.tables(tmp_path))
