"""Fits in a process of their own, so that a fit that ends or stops it costs one row.

A chunk of data sets goes to the process engine by engine. Where the process dies, or does not
answer in time and is killed, a new one gets the chunk's data sets one by one: the one that ends the
process again is the one to blame. The same holds on one machine and on each of many.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pp_compare.campaign.generate import generate
from pp_compare.campaign.plan import Plan, to_document
from pp_compare.campaign.rows import CERTIFIED, Row, engines_of, lost_row
from pp_compare.engines.child_process import Ask, ChildProcess
from pp_compare.errors import EngineError, InputError, UnavailableError

CHUNK = 50
"""Data sets that go into R together: beyond this nothing is gained."""
CHUNK_ROWS = 20_000
"""Rows of data that go into R together, so that a chunk of large data sets keeps the limits."""
START_UP = 300.0
"""Seconds that the start of R and statsmodels may take on a busy machine."""


@dataclass(frozen=True)
class Limits:
    """What one fit may take.

    Parameters
    ----------
    seconds : float
        Wall clock.
    megabytes : float or None
        Memory beyond that of the process when it starts; None for no limit.
    """

    seconds: float = 60.0
    megabytes: float | None = 2000.0


DEFAULT_LIMITS = Limits()


class Sandbox:
    """One process that fits the data sets of a plan, and is replaced when it ends.

    Parameters
    ----------
    plan : Plan
    limits : Limits

    Raises
    ------
    InputError, UnavailableError
        For an engine that there is not, or not here.
    """

    def __init__(self, plan: Plan, limits: Limits) -> None:
        self.plan, self.limits = plan, limits
        command = [sys.executable, "-m", "pp_compare.campaign.child"]
        self._process = ChildProcess(command, environment(), self._begin)
        self._process.start()

    def close(self) -> None:
        """Kill the process, in the middle of a fit if need be."""
        self._process.close()

    def rows(self, start: int, stop: int) -> list[Row]:
        """All rows of the data sets `start` to `stop` - 1, data set by data set."""
        found: list[Row] = []
        for indices in chunks(self.plan, start, stop):
            lost: dict[int, str] = {}
            of_engines = [self._rows(e, indices, lost) for e in engines_of(self.plan)]
            found += [row for of_one in zip(*of_engines, strict=True) for row in of_one]
        return found

    def _rows(self, engine: str, indices: Sequence[int], lost: dict[int, str]) -> list[Row]:
        began = time.monotonic()
        try:
            return self._ask(engine, indices, lost)
        except EngineError as end:
            if len(indices) > 1:
                return [row for index in indices for row in self._rows(engine, [index], lost)]
            reason = str(end)
        if engine == CERTIFIED:
            lost[indices[0]] = reason
        seconds = time.monotonic() - began
        return [lost_row(generate(self.plan, indices[0]), engine, reason, seconds)]

    def _ask(self, engine: str, indices: Sequence[int], lost: dict[int, str]) -> list[Row]:
        here = {str(index): lost[index] for index in indices if index in lost}
        task = {"engine": engine, "indices": list(indices), "lost": here}
        rows: list[Row] = self._process.ask(task, self.limits.seconds)["rows"]
        return rows

    def _begin(self, ask: Ask) -> None:
        """Hand the plan to a new process, which can fit its data sets then."""
        asked = {"plan": to_document(self.plan), "memory": self.limits.megabytes}
        answer = ask(asked, START_UP)
        if "error" in answer:
            kind = InputError if answer["error"] == "InputError" else UnavailableError
            raise kind(answer["reason"])


def environment() -> dict[str, str]:
    """Of a process that fits: one BLAS thread, for there is a process for every core."""
    return {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def chunks(plan: Plan, start: int, stop: int) -> Iterator[list[int]]:
    """Neighbours that go to the process together, at most `CHUNK` and `CHUNK_ROWS`."""
    held: list[int] = []
    rows = 0.0
    for index in range(start, stop):
        point = plan.point(index // plan.replications)
        size = point.clusters * point.rows
        if held and (len(held) == CHUNK or rows + size > CHUNK_ROWS):
            yield held
            held, rows = [], 0.0
        held.append(index)
        rows += size
    if held:
        yield held
