"""An engine in a process of its own, so that a fit can be stopped wherever it hangs.

R and compiled code heed no signal while they compute; only a process can be killed. A crash costs
the one fit that caused it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import TimeoutError as FitTimeoutError
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import TypeVar

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from pp_compare.engines import Engine, make_engine, not_asked
from pp_compare.engines.child_process import ending
from pp_compare.errors import UnavailableError
from pp_compare.model import Fit
from pp_compare.model.design import Design

T = TypeVar("T")

DIES = "the worker processes die as they start; pp-compare doctor may say why"

_engines: dict[str, Engine] = {}


class Workers:
    """Fits by engine id in a worker process that is killed at the time limit and replaced.

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
        self._processes = processes
        self._pool = self._new_pool()

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
        """Stop the processes; without `wait`, in the middle of a fit."""
        if wait:
            self._pool.close()  # type: ignore[no-untyped-call]  # pebble has no types here
        else:
            self._pool.stop()  # type: ignore[no-untyped-call]  # nor here
        self._pool.join()

    def _new_pool(self) -> ProcessPool:
        return ProcessPool(
            max_workers=self._processes,
            context=multiprocessing.get_context("spawn"),
            initializer=_begin,
        )

    def _schedule(self, function: Callable[..., T], args: tuple[object, ...]) -> ProcessFuture[T]:
        # A process that dies while no fit runs in it, as by the system for want of memory, leaves
        # the pool unusable for all that wait.
        if not self._pool.active:
            self._pool = self._new_pool()
        return self._pool.schedule(function, args=args, timeout=self.seconds)

    def make(self, engine_id: str) -> None:
        """Make an engine in a worker, to see whether this machine can.

        Raises
        ------
        InputError, UnavailableError
            As `make_engine` raises them; UnavailableError too where making it kills the process.
        """
        try:
            self._schedule(_engine, (engine_id,)).result()
        except FitTimeoutError:
            raise UnavailableError(
                f"'{engine_id}' does not start within {self.seconds:g} s"
            ) from None
        except ProcessExpired as death:
            raise UnavailableError(
                f"'{engine_id}' kills its process: {ending(death.exitcode)}"
            ) from None
        except BrokenProcessPool:
            raise UnavailableError(f"'{engine_id}' does not start: {DIES}") from None

    def start_fit(self, engine_id: str, design: Design) -> Callable[[], Fit]:
        """Start a fit; what is returned waits for it. One that hangs or crashes is a failed Fit."""
        return self.start(_fit, engine_id, design, otherwise=lambda why: Fit.failed(engine_id, why))

    def start(
        self, function: Callable[..., T], *args: object, otherwise: Callable[[str], T]
    ) -> Callable[[], T]:
        """Start any function of a module; what is returned waits for it.

        Parameters
        ----------
        otherwise : callable
            Gives the answer from the reason, where the function does not end or ends its process.
        """
        first = self._schedule(function, args)

        def answer() -> T:
            try:
                try:
                    value: T = first.result()
                except BrokenProcessPool:
                    value = self._schedule(function, args).result()
            except FitTimeoutError:
                return otherwise(f"stopped after {self.seconds:g} s")
            except ProcessExpired as death:
                return otherwise(f"its process died: {ending(death.exitcode)}")
            except BrokenProcessPool:
                return otherwise(DIES)
            return value

        return answer


def _begin() -> None:
    """Leave Ctrl-C to the parent, which stops this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _engine(engine_id: str) -> None:
    if engine_id not in _engines:
        _engines[engine_id] = make_engine(engine_id)


def _fit(engine_id: str, design: Design) -> Fit:
    _engine(engine_id)
    engine = _engines[engine_id]
    reason = not_asked(engine, design)
    return engine.fit(design) if reason is None else Fit.unsupported(engine.name, reason)
