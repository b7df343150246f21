"""A fit can be stopped wherever it hangs, and a crash costs one fit."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from pp_compare.engines.worker import Workers
from pp_compare.errors import InputError
from tests.examples import corpus_design


@pytest.fixture
def workers() -> Iterator[Workers]:
    with Workers(seconds=8.0) as pool:
        yield pool


def test_fits_that_hang_are_stopped_and_the_next_ones_run() -> None:
    """Both at once, so that the wait is one."""
    design = corpus_design("seed_case1")
    with Workers(seconds=8.0, processes=2) as workers:
        start = time.monotonic()
        stopped = [
            workers.start_fit(f"tests.broken_engines:{how}", design)
            for how in ("hangs_in_compiled_code", "hangs_in_python")
        ]
        after = [workers.start_fit("certified", design) for _ in stopped]
        for answer in stopped:
            assert answer().status == "error"
            assert "stopped after 8 s" in answer().messages[0]
        assert [answer().status for answer in after] == ["ok", "ok"]
        assert time.monotonic() - start < 120


def test_a_crash_is_named_and_costs_one_fit(workers: Workers) -> None:
    design = corpus_design("seed_case1")
    crash = workers.start_fit("tests.broken_engines:crashes", design)()
    assert crash.status == "error"
    assert "SIGSEGV" in crash.messages[0]
    assert workers.start_fit("certified", design)().status == "ok"


def test_a_process_that_dies_between_fits_costs_none(workers: Workers) -> None:
    design = corpus_design("seed_case1")
    assert workers.start_fit("tests.broken_engines:dies_afterwards", design)().status == "ok"
    time.sleep(2)
    assert [workers.start_fit("certified", design)().status for _ in range(2)] == ["ok", "ok"]


def test_an_unknown_engine_is_bad_input_with_the_known_ones(workers: Workers) -> None:
    with pytest.raises(InputError, match=r"no engine 'lm5'; there are: .*certified.*lme4"):
        workers.make("lm5")


def test_an_engine_goes_by_the_path_of_its_factory(workers: Workers) -> None:
    workers.make("tests.broken_engines:crashes")
    with pytest.raises(InputError, match="no engine factory"):
        workers.make("tests.broken_engines:nothing_there")
