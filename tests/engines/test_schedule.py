"""A process does first what it has started for, and starts no second R without need."""

from __future__ import annotations

from pp_compare.engines.schedule import Schedule, Task, runtime


def test_engines_in_r_share_a_runtime() -> None:
    assert {runtime("lme4"), runtime("lme4:tight"), runtime("nlme")} == {"R"}
    assert runtime("statsmodels:powell") == "statsmodels"


def filled(*runtimes: str) -> Schedule:
    schedule = Schedule()
    for number, name in enumerate(runtimes):
        schedule.put(Task(str(number), name))
    return schedule


def order(schedule: Schedule, *processes: set[str]) -> list[str]:
    """What each process takes in its turn; it has then started that."""
    taken = []
    for started in processes:
        task = schedule.take(started)
        assert task is not None
        started.add(task.runtime)
        taken.append(task.message)
    return taken


def test_each_process_starts_another_runtime_and_keeps_to_it() -> None:
    first, second = set[str](), set[str]()
    schedule = filled("R", "R", "python", "python", "R")
    turns = (first, second, second, first, first)
    assert order(schedule, *turns) == ["0", "2", "3", "1", "4"]
    assert (first, second) == ({"R"}, {"python"})


def test_what_needs_none_is_done_by_whoever_is_free() -> None:
    assert order(filled("R", ""), {"python"}) == ["1"]


def test_what_has_waited_as_long_as_the_start_took_is_taken_by_another() -> None:
    first, second = set[str](), set[str]()
    schedule = filled("R", "R")
    assert order(schedule, first) == ["0"]
    schedule.started("R", 0.05)
    assert order(schedule, second) == ["1"]


def test_where_the_process_died_another_takes_over_at_once() -> None:
    first, second = set[str](), set[str]()
    schedule = filled("R", "R")
    assert order(schedule, first) == ["0"]
    schedule.forget(first)
    assert order(schedule, second) == ["1"]


def test_what_waits_is_done_before_the_end_or_dropped() -> None:
    schedule = filled("R")
    schedule.close(drop=False)
    assert order(schedule, set()) == ["0"]
    assert schedule.take(set()) is None
    dropped = filled("R")
    dropped.close(drop=True)
    assert dropped.take(set()) is None
