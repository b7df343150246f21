"""A worker process with the thread that asks it, kept for the next audit where one is over.

To start Python, R and statsmodels takes longer than most fits; who audits a second model, in a
notebook or in the next test, need not wait for that again.
"""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread, Timer

from pp_compare.engines.child_process import Ask, ChildProcess
from pp_compare.engines.schedule import Schedule, Task

IDLE_SECONDS = 300.0
"""After which an idle process gives its memory back."""
IDLE = 4
"""Processes that are kept at most."""
KEPT = frozenset({"", "R", "statsmodels", "certified", "recorded"})
"""Runtimes after which a process is kept: what else it has loaded may be under development, and is
to be loaded anew in the next audit."""
_CHANGES = "PYTEST_CURRENT_TEST"
"""Differs from one test to the next, and says nothing to an engine."""


class Attendant:
    """A thread that has its process do what is scheduled.

    Parameters
    ----------
    key : hashable
        What the process depends on; another one is never kept in its place.
    child : ChildProcess
        Started when it is first asked, by the thread, with which the system ends it.
    """

    def __init__(self, key: Hashable, child: ChildProcess) -> None:
        self.key = key
        self._child = child
        self._started: dict[str, float] = {}
        self._schedules: SimpleQueue[tuple[Schedule, Future[None]] | None] = SimpleQueue()
        Thread(target=self._work, daemon=True).start()

    @property
    def kept(self) -> bool:
        """Whether its process can be handed to another audit."""
        return self._started.keys() <= KEPT

    def attend(self, schedule: Schedule) -> Future[None]:
        """Do what is scheduled; the future is settled when all of it is done."""
        done: Future[None] = Future()
        self._schedules.put((schedule, done))
        return done

    def close(self) -> None:
        """End the process, in the middle of a fit too, and the thread."""
        self._child.close()
        self._schedules.put(None)

    def _work(self) -> None:
        while (next_one := self._schedules.get()) is not None:
            schedule, done = next_one
            schedule.join(self._started)
            while (task := schedule.take(self._started.keys())) is not None:
                self._do(task, schedule)
            done.set_result(None)

    def _do(self, task: Task, schedule: Schedule) -> None:
        new = task.runtime not in self._started
        self._started.setdefault(task.runtime, 0.0)
        if not task.answer.set_running_or_notify_cancel():
            return
        begun = time.monotonic()
        try:
            task.answer.set_result(self._child.ask({"task": task.message}, task.seconds))
        except BaseException as error:  # the waiting one's to raise
            schedule.forget(self._started.keys())
            self._started.clear()
            task.answer.set_exception(error)
        if new:
            self._started[task.runtime] = time.monotonic() - begun
            schedule.started(task.runtime, self._started[task.runtime])


_idle: list[Attendant] = []
_lock = Lock()


def hire(
    command: Sequence[str], environment: Mapping[str, str], begin: Callable[[Ask], None], count: int
) -> list[Attendant]:
    """So many attendants of a program: those that are idle, and new ones."""
    stays = sorted((k, v) for k, v in environment.items() if k != _CHANGES)
    # A process that was forked from this one has a copy of the list, and none of the threads.
    key = (os.getpid(), str(Path.cwd()), tuple(command), tuple(stays))
    with _lock:
        found = [one for one in _idle if one.key == key][:count]
        _idle[:] = [one for one in _idle if one not in found]
    needed = range(count - len(found))
    return [*found, *(Attendant(key, ChildProcess(command, environment, begin)) for _ in needed)]


def release(attendant: Attendant) -> None:
    """Keep one whose work is done for whoever asks next, for a while; or end its process."""
    if not attendant.kept:
        attendant.close()
        return
    with _lock:
        _idle.append(attendant)
        surplus, _idle[:] = _idle[:-IDLE], _idle[-IDLE:]
    for one in surplus:
        one.close()
    timer = Timer(IDLE_SECONDS, _dismiss, [attendant])
    timer.daemon = True
    timer.start()


def _dismiss(attendant: Attendant) -> None:
    with _lock:
        found = attendant in _idle
        if found:
            _idle.remove(attendant)
    if found:
        attendant.close()


@atexit.register
def dismiss_all() -> None:
    """End every idle process."""
    with _lock:
        ours = [one for one in _idle if isinstance(one.key, tuple) and one.key[0] == os.getpid()]
        _idle.clear()
    for one in ours:
        one.close()
