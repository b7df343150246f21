"""An engine in a process of its own, so that a fit can be stopped wherever it hangs.

R and compiled code heed no signal while they compute; only a process can be killed. A crash costs
the one fit that caused it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from concurrent.futures import TimeoutError as FitTimeoutError
from types import TracebackType

from pebble import ProcessExpired, ProcessPool

from pp_compare.design import Design
from pp_compare.engines import Engine, make_engine
from pp_compare.model import Fit

_engines: dict[str, Engine] = {}


class Workers:
    """Fits by engine id in a worker process that is killed at the time limit and replaced.

    Parameters
    ----------
    seconds : float
        Time limit of one fit, wall clock. The start of the process and of R does not count
        against the first fit more than against any other: `warm` runs before the clock.
    processes : int
        Fits that may run at once.
    """

    def __init__(self, seconds: float, processes: int = 1) -> None:
        self.seconds = seconds
        # One BLAS thread: the matrices are small, and engines are compared on equal terms.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        self._pool = ProcessPool(
            max_workers=processes, context=multiprocessing.get_context("spawn"), initializer=_begin
        )

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(wait=kind is None)

    def close(self, wait: bool = True) -> None:
        """Stop the processes; without `wait`, in the middle of a fit."""
        if wait:
            self._pool.close()
        else:
            self._pool.stop()
        self._pool.join()

    def fit(self, engine_id: str, design: Design) -> Fit:
        """Fit in the worker process; a Fit with status ``"error"`` where it hangs or crashes.

        Raises
        ------
        InputError, UnavailableError
            From making the engine, as `make_engine` raises them.
        """
        future = self._pool.schedule(_fit, args=(engine_id, design), timeout=self.seconds)
        try:
            fit: Fit = future.result()
        except FitTimeoutError:
            return Fit.failed(engine_id, f"stopped after {self.seconds:g} s: its process was killed")
        except ProcessExpired as death:
            return Fit.failed(engine_id, f"its process died: {_cause(death.exitcode)}")
        return fit


def _begin() -> None:
    """Leave Ctrl-C to the parent, which stops this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _fit(engine_id: str, design: Design) -> Fit:
    if engine_id not in _engines:
        _engines[engine_id] = make_engine(engine_id)
    return _engines[engine_id].fit(design)


def _cause(exitcode: int) -> str:
    if exitcode < 0:
        return f"signal {-exitcode} ({signal.Signals(-exitcode).name})"
    return f"exit status {exitcode}"
