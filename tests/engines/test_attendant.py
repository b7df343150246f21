"""A process is kept for the next audit where that cannot be told from a new one."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pp_compare.audits.glmm import audit_glmm
from pp_compare.audits.selection import GlmmSelection
from pp_compare.data.glmm_corpus import glmm_case
from pp_compare.engines import attendant
from pp_compare.engines.schedule import Schedule, Task
from pp_compare.engines.worker import Workers
from tests.examples import corpus_design


@pytest.fixture(autouse=True)
def nobody_idle() -> Iterator[None]:
    attendant.dismiss_all()
    yield
    attendant.dismiss_all()


def process_of(workers: Workers) -> int:
    return workers.start(os.getpid, otherwise=int)()


def audit_once(engine: str = "certified") -> int:
    """The process that fitted."""
    with Workers(seconds=60.0) as workers:
        workers.start_fit(engine, corpus_design("seed_case1"))()
        return process_of(workers)


def runs(process: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(process, 0)
        return True
    return False


def test_the_next_audit_goes_on_with_the_process() -> None:
    assert audit_once() == audit_once("statsmodels") == audit_once()


def test_an_engine_that_may_be_under_development_is_loaded_anew() -> None:
    first = audit_once("tests.broken_engines:dies_afterwards")
    assert not runs(first)
    assert audit_once() != first


def test_a_generalised_engine_under_development_is_loaded_anew() -> None:
    case = glmm_case("glmm_rare")
    selection = GlmmSelection(case.name, case.dataset, case.formula, case.family)
    report = audit_glmm([selection], ["tests.glmm_models:PlainQuadrature"], remedies=False)
    assert report.judgements
    assert attendant._idle == []


def test_another_environment_or_folder_gets_another_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = audit_once()
    monkeypatch.setenv("PP_COMPARE_R", "Rscript")
    second = audit_once()
    monkeypatch.chdir(tmp_path)
    assert len({first, second, audit_once()}) == 3
    assert runs(first)


def test_one_that_died_while_it_was_idle_is_replaced() -> None:
    first = audit_once()
    os.kill(first, signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    second = audit_once()
    assert second != first
    assert audit_once() == second


def test_an_audit_that_is_broken_off_leaves_none() -> None:
    workers = Workers(seconds=60.0)
    process = process_of(workers)
    workers.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert not runs(process)


def test_no_more_are_kept_than_are_of_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attendant, "IDLE", 1)
    with Workers(seconds=60.0) as outer:
        first = process_of(outer)
        second = audit_once()
        assert first != second
    assert (runs(first), runs(second)) == (True, False)


def test_one_that_is_idle_for_long_gives_its_memory_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attendant, "IDLE_SECONDS", 0.05)
    process = audit_once()
    until = time.monotonic() + 30
    while runs(process) and time.monotonic() < until:
        time.sleep(0.05)
    assert not runs(process)


def test_a_schedule_knows_what_a_kept_process_has_started() -> None:
    """So that no other process starts R again."""
    schedule = Schedule()
    schedule.join({"R": 60.0})
    for number, name in enumerate(("R", "python")):
        schedule.put(Task(str(number), name))
    other, kept = schedule.take(set()), schedule.take({"R"})
    assert other is not None
    assert kept is not None
    assert (other.runtime, kept.runtime) == ("python", "R")
