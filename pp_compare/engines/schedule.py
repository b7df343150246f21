"""Which process does which task next, so that no more of them start R than need to.

Starting R takes longer than most fits. A process takes first what belongs to a runtime that it has
started; what belongs to one that another process has started is left to that one, until it has
waited there for as long as that start took.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Set
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition
from typing import Any

IN_R = frozenset({"lme4", "nlme", "glmmpql", "glmmtmb", "pymer4"})
"""Engines that share one R."""


def runtime(engine_id: str) -> str:
    """What an engine needs to have started: R, or its own package."""
    name = engine_id.partition(":")[0]
    return "R" if name in IN_R else name


@dataclass(frozen=True, eq=False)
class Task:
    """Something to be done by a process.

    Parameters
    ----------
    message : str
        What the process is asked.
    runtime : str
        What it needs to have started; empty where any process will do.
    seconds : float
        Time limit.
    since : float
        When it was put here, in seconds of the monotonic clock.
    """

    message: str
    runtime: str
    seconds: float = 60.0
    since: float = field(default_factory=time.monotonic)
    answer: Future[dict[str, Any]] = field(default_factory=Future)


class Schedule:
    """Tasks that wait, in the order in which they came."""

    def __init__(self) -> None:
        self._waiting: list[Task] = []
        self._started: dict[str, int] = {}
        self._up: dict[str, tuple[float, float]] = {}  # when it was, and after how long
        self._closed = False
        self._changed = Condition()

    def join(self, started: Mapping[str, float]) -> None:
        """A process comes that has started these already, each in so many seconds."""
        with self._changed:
            for name, seconds in started.items():
                self._started[name] = self._started.get(name, 0) + 1
                self._up.setdefault(name, (time.monotonic(), seconds))

    def put(self, task: Task) -> None:
        """Let a task wait for a process."""
        with self._changed:
            self._waiting.append(task)
            self._changed.notify_all()

    def take(self, started: Set[str]) -> Task | None:
        """The next task of a process that has started these runtimes; None when all are done.

        A task that needs one more counts as started by this process (`forget` takes it back).
        """
        with self._changed:
            while True:
                task = self._best(started)
                if task is not None:
                    self._waiting.remove(task)
                    if task.runtime not in started:
                        self._started[task.runtime] = self._started.get(task.runtime, 0) + 1
                    return task
                if self._closed and not self._waiting:
                    return None
                self._changed.wait(self._until())

    def started(self, name: str, seconds: float) -> None:
        """A runtime is up in a process, whose first task of it took so long."""
        with self._changed:
            self._up.setdefault(name, (time.monotonic(), seconds))
            self._changed.notify_all()

    def forget(self, started: Set[str]) -> None:
        """A process that had started these is no more."""
        with self._changed:
            for name in started:
                self._started[name] -= 1
            self._changed.notify_all()

    def close(self, drop: bool) -> None:
        """Nothing more comes; with `drop`, what waits is not done either."""
        with self._changed:
            self._closed = True
            if drop:
                for task in self._waiting:
                    task.answer.cancel()
                self._waiting.clear()
            self._changed.notify_all()

    def _best(self, started: Set[str]) -> Task | None:
        ours = (task for task in self._waiting if not task.runtime or task.runtime in started)
        others = (task for task in self._waiting if self._patience(task) <= 0)
        return next(ours, None) or next(others, None)

    def _patience(self, task: Task) -> float:
        """Seconds for which a task is left to the process that has started its runtime."""
        if not self._started.get(task.runtime):
            return 0.0
        if task.runtime not in self._up:
            return float("inf")
        up, took = self._up[task.runtime]
        return max(task.since, up) + took - time.monotonic()

    def _until(self) -> float | None:
        """Seconds until the first patience ends; None where nothing waits for that."""
        soonest = min(map(self._patience, self._waiting), default=float("inf"))
        return None if soonest == float("inf") else max(0.0, soonest)
