"""A fit that ends its process costs one row, with the reason."""

from __future__ import annotations

import re
from contextlib import closing

import pytest

from pp_compare.campaign.plan import Plan, from_document
from pp_compare.campaign.sandbox import CHUNK, Limits, Sandbox, chunks
from pp_compare.errors import InputError

HERE = "tests.campaign.engines:"


def plan(*engines: str, replications: int = 5) -> Plan:
    grid = {"clusters": 4, "rows": 3}
    names = [HERE + engine for engine in engines]
    return from_document({"engines": names, "replications": replications, "grid": grid})


def check(engine: str, limits: Limits, reason: str) -> None:
    with closing(Sandbox(plan(engine, "sound"), limits)) as sandbox:
        rows = sandbox.rows(0, 5)
    assert len(rows) == 15
    assert [(row["index"], row["status"]) for row in rows if row["outcome"] != "right"] == [
        (3, "lost")
    ]
    (lost,) = (row for row in rows if row["status"] == "lost")
    assert lost["engine"] == HERE + engine
    assert re.search(reason, lost["messages"]), lost["messages"]


def test_a_crash() -> None:
    check("crashes", Limits(30), r"signal 11 \(SIGSEGV\)")


def test_a_call_that_never_returns() -> None:
    check("hangs", Limits(2), "stopped after 2 s")


@pytest.mark.slow
@pytest.mark.needs_r
@pytest.mark.parametrize(
    ("engine", "limits", "reason"),
    [
        ("exits", Limits(30), "exit status 7"),
        ("eats", Limits(60, 300), "MemoryError"),
        ("hangs_in_blas", Limits(3, 4000), "stopped after 3 s"),
        ("hangs_in_r", Limits(5), "stopped after 5 s"),
        ("crashes_in_r", Limits(30), "its process died"),
        ("eats_in_r", Limits(60, 800), "cannot allocate"),
    ],
)
def test_each_other_end(engine: str, limits: Limits, reason: str) -> None:
    check(engine, limits, reason)


def test_an_engine_that_there_is_not_is_said_at_the_start() -> None:
    with pytest.raises(InputError, match=r"no engine factory 'tests\.campaign\.engines:nobody'"):
        Sandbox(plan("nobody"), Limits())


def test_chunks_are_bounded_by_data_sets_and_by_rows() -> None:
    small = plan("sound", replications=2 * CHUNK + 1)
    assert [len(chunk) for chunk in chunks(small, 0, small.size)] == [CHUNK, CHUNK, 1]
    large = from_document({"replications": 4, "grid": {"clusters": 1000, "rows": 15}})
    assert [len(chunk) for chunk in chunks(large, 0, 4)] == [1, 1, 1, 1]
    assert [i for chunk in chunks(small, 7, 80) for i in chunk] == list(range(7, 80))
