"""What is left and how long it takes, with a clock of the test's own."""

from __future__ import annotations

import math

from pp_compare.releases.work import State, Work


class Clock:
    """Shows the time that it was set to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_each_kind_has_its_own_pace() -> None:
    told: list[State] = []
    clock = Clock()
    work = Work(10, 10, told.append, clock)
    work.begin("a on b", "fits", 5, 0)
    assert math.isnan(told[-1].left)
    for k in range(1, 6):
        clock.now = 4.0 * k
        work.step()
    # 5 fits and, at their pace, 10 verdicts.
    assert (told[-1].done, told[-1].total, told[-1].left) == (5, 20, 60.0)
    assert told[-1].line() == "a on b: 5 of 5 fits; 25% of all, 1 min 00 s left"
    work.begin("a", "verdicts", 5, 0)
    clock.now += 1.0
    work.step()
    assert told[-1].left == 5 * 4.0 + 9 * 1.0


def test_what_is_kept_or_dropped_takes_no_time() -> None:
    told: list[State] = []
    clock = Clock()
    work = Work(6, 6, told.append, clock)
    work.begin("a", "fits", 0, 3)
    assert told == []
    work.drop("fits", 3)
    work.drop("verdicts", 3)
    work.begin("a", "verdicts", 3, 0)
    assert told[-1].line() == "a: 0 of 3 verdicts; 0% of all"
    clock.now = 2.0
    work.step()
    assert (told[-1].done, told[-1].total, told[-1].left) == (1, 3, 4.0)
