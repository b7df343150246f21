"""An engine in a process of its own, so that a fit can be stopped wherever it hangs.

R and compiled code heed no signal while they compute; only a process can be killed. A crash costs
the one fit that caused it. What is asked of the process and what it answers are pickles, as between
the processes of one program; nothing from outside gets into them.
"""

from __future__ import annotations

import base64
import os
import pickle
import sys
import traceback
from collections.abc import Callable
from concurrent import futures
from concurrent.futures import Future
from types import TracebackType
from typing import Any, TypeVar

from pp_compare.engines import Engine, make_engine, not_asked
from pp_compare.engines.attendant import Attendant, hire, release
from pp_compare.engines.child_process import Ask, Message
from pp_compare.engines.parent import Parent
from pp_compare.engines.schedule import Schedule, Task, runtime
from pp_compare.errors import EngineError, PPCompareError, UnavailableError, quoted
from pp_compare.model import Fit
from pp_compare.model.design import Design

T = TypeVar("T")

START_SECONDS = 120.0
"""For Python and this package on a cold disk; an engine starts within its first fit."""

_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[1:]; from pp_compare.engines.worker import serve; serve()"
)

_engines: dict[str, Engine] = {}


class Workers:
    """Fits by engine id in a worker process that is killed at the time limit and replaced.

    When all is done the processes are kept for the next audit (`pp_compare.engines.attendant`).

    Parameters
    ----------
    seconds : float
        Time limit of one fit, wall clock; the start of R, once a process, counts too.
    processes : int
        Fits that may run at once.
    """

    def __init__(self, seconds: float, processes: int = 1) -> None:
        self.seconds = seconds
        # One BLAS thread: the matrices are small, and engines are compared on equal terms.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        command = [sys.executable, "-c", _PROGRAM, *sys.path]
        self._schedule = Schedule()
        self._attendants = hire(command, os.environ, _begin, processes)
        self._working = [one.attend(self._schedule) for one in self._attendants]

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(wait=kind is None)

    def close(self, wait: bool = True) -> None:
        """Let the processes go; without `wait`, end them in the middle of a fit."""
        self._schedule.close(drop=not wait)
        if wait:
            futures.wait(self._working)
        for attendant in self._attendants:
            (release if wait else Attendant.close)(attendant)
        futures.wait(self._working)

    def make(self, engine_id: str) -> str:
        """Make an engine in a worker, to see whether this machine can.

        Returns
        -------
        str
            By which road R is reached, of an engine in R; empty for others.

        Raises
        ------
        InputError, UnavailableError
            As `make_engine` raises them; UnavailableError too where making it kills the process.
        """
        return self.start_make(engine_id)()

    def start_make(self, engine_id: str) -> Callable[[], str]:
        """Start `make`; what is returned waits for it, and raises what `make` does."""
        making = self._put(runtime(engine_id), self.seconds, _engine, engine_id)

        def answer() -> str:
            try:
                road: str = _value(making.result())
            except EngineError as end:
                raise UnavailableError(f"'{engine_id}' does not start: {end}") from None
            return road

        return answer

    def start_fit(self, engine_id: str, design: Design) -> Callable[[], Fit]:
        """Start a fit; what is returned waits for it. One that hangs or crashes is a failed Fit."""
        fitting = self._put(runtime(engine_id), self.seconds, _fit, engine_id, design)
        return _answer(fitting, lambda why: Fit.failed(engine_id, why))

    def start(
        self,
        function: Callable[..., T],
        *args: object,
        otherwise: Callable[[str], T],
        seconds: float | None = None,
        needed: str = "",
    ) -> Callable[[], T]:
        """Start any function of a module; what is returned waits for it.

        Parameters
        ----------
        otherwise : callable
            Gives the answer from the reason, where the function does not end, ends its process, or
            raises what only a fault of ours can be.
        seconds : float, optional
            Its time limit; that of a fit by default.
        needed : str
            The `runtime` of the engine that it makes; empty where it makes none.
        """
        limit = self.seconds if seconds is None else seconds
        return _answer(self._put(needed, limit, function, *args), otherwise)

    def _put(
        self, needed: str, seconds: float, function: Callable[..., object], *args: object
    ) -> Future[dict[str, Any]]:
        task = Task(_packed((function, args)), needed, seconds)
        self._schedule.put(task)
        return task.answer


def _answer(running: Future[dict[str, Any]], otherwise: Callable[[str], T]) -> Callable[[], T]:
    def answer() -> T:
        try:
            found = running.result()
        except EngineError as end:
            return otherwise(str(end))
        try:
            value: T = _value(found)
        except PPCompareError:
            raise
        except Exception as fault:  # of one model, which the others need not suffer for
            what = quoted(f"{type(fault).__name__}: {fault}", 200)
            return otherwise(f"ended in a fault of pp-compare: {what}")
        return value

    return answer


def _value(answer: Message) -> Any:
    if "raised" in answer:
        raise _unpacked(answer["raised"])
    return _unpacked(answer["value"])


def _begin(ask: Ask) -> None:
    ask(None, START_SECONDS)


def serve() -> None:
    """Do what the parent asks, until there is nobody to ask."""
    parent = Parent()
    parent.send({"ready": True})
    for asked in parent:
        function, args = _unpacked(asked["task"])
        try:
            answer = {"value": _packed(function(*args))}
        except Exception as error:  # the parent's to raise
            error.add_note(traceback.format_exc())
            answer = {"raised": _packed(error)}
        parent.send(answer)


def _packed(value: object) -> str:
    return base64.b64encode(pickle.dumps(value)).decode()


def _unpacked(text: str) -> Any:
    return pickle.loads(base64.b64decode(text))  # noqa: S301  # of our own process


def _engine(engine_id: str) -> str:
    if engine_id not in _engines:
        _engines[engine_id] = make_engine(engine_id)
    return str(getattr(_engines[engine_id], "road", ""))


def _fit(engine_id: str, design: Design) -> Fit:
    _engine(engine_id)
    engine = _engines[engine_id]
    reason = not_asked(engine, design)
    if reason is not None:
        return Fit.unsupported(engine.name, reason)
    try:
        return engine.fit(design)
    except PPCompareError:
        raise
    except Exception as error:  # an engine's fault is its answer, and costs the others nothing
        return Fit.failed(engine_id, f"raised {type(error).__name__}: {error}")
