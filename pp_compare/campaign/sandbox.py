"""Fits in a process of their own, so that a fit that ends or stops it costs one row.

A chunk of data sets goes to the process engine by engine. Where the process dies, or does not
answer in time and is killed, a new one gets the chunk's data sets one by one: the one that ends the
process again is the one to blame. The same holds on one machine and on each of many.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from pp_compare.campaign.generate import generate
from pp_compare.campaign.plan import Plan, to_document
from pp_compare.campaign.rows import CERTIFIED, Row, engines_of, lost_row
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


class _EndedError(Exception):
    """The process died or was killed; the text says why."""


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
        self._process: _Process | None = _Process(plan, limits)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kill the process, in the middle of a fit if need be."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()

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
        except _EndedError as end:
            if len(indices) > 1:
                return [row for index in indices for row in self._rows(engine, [index], lost)]
            reason = str(end)
        if engine == CERTIFIED:
            lost[indices[0]] = reason
        seconds = time.monotonic() - began
        return [lost_row(generate(self.plan, indices[0]), engine, reason, seconds)]

    def _ask(self, engine: str, indices: Sequence[int], lost: dict[int, str]) -> list[Row]:
        if self._process is None:
            self._process = _Process(self.plan, self.limits)
        here = {str(index): lost[index] for index in indices if index in lost}
        task = {"engine": engine, "indices": list(indices), "lost": here}
        try:
            rows: list[Row] = self._process.ask(task, self.limits.seconds)["rows"]
        except _EndedError:
            self.close()
            raise
        return rows


class _Process:
    """One child, from its start to its end."""

    def __init__(self, plan: Plan, limits: Limits) -> None:
        self._words = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the process
        self._process = subprocess.Popen(  # our own module
            [sys.executable, "-m", "pp_compare.campaign.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            env=environment(),
        )
        self._rest = b""
        try:
            asked = {"plan": to_document(plan), "memory": limits.megabytes}
            self._require_ready(self.ask(asked, START_UP))
        except _EndedError as end:
            self.kill()
            raise EngineError(f"the process that fits does not start: {end}") from None

    def _require_ready(self, answer: dict[str, Any]) -> None:
        if "error" in answer:
            self.kill()
            kind = InputError if answer["error"] == "InputError" else UnavailableError
            raise kind(answer["reason"])

    def ask(self, message: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Send a message and wait for the answer."""
        stdin = self._process.stdin
        try:
            assert stdin is not None  # noqa: S101  # Popen was given a pipe
            stdin.write((json.dumps(message) + "\n").encode())
            stdin.flush()
        except OSError:
            raise _EndedError(self._cause()) from None
        answer: dict[str, Any] = json.loads(b"".join(self._line(seconds)))
        return answer

    def _line(self, seconds: float) -> Iterator[bytes]:
        """The next line in pieces, within so many seconds."""
        stdout = self._process.stdout
        assert stdout is not None  # noqa: S101  # Popen was given a pipe
        end = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while b"\n" not in self._rest:
                yield self._rest
                if not selector.select(max(0.0, end - time.monotonic())):
                    raise _EndedError(f"stopped after {seconds:g} s")
                self._rest = os.read(stdout.fileno(), 1 << 20)
                if not self._rest:
                    raise _EndedError(self._cause())
        line, _, self._rest = self._rest.partition(b"\n")
        yield line

    def _cause(self) -> str:
        """How the process ended, with its last words."""
        status = self._process.wait()
        how = f"exit status {status}"
        if status < 0:
            how = f"signal {-status} ({signal.Signals(-status).name})"
        self._words.seek(0)
        said = self._words.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(said) if line.strip()), "")
        return f"its process died: {how}" + (f"; {last[:200]}" if last else "")

    def kill(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._words):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:  # what was not sent needs no reader any more
                    continue


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
