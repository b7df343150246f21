"""A conversation with a worker (`serve.py`) that runs in the environment of a candidate.

A worker that crashes, hangs, prints without end or says something else than the protocol costs the
call it did so in; the next call starts a new one.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from pp_compare.errors import EngineError
from pp_compare.releases import serve

START_SECONDS = 120.0
"""For a cold disk; statsmodels loads in 2 s here, in 6 s where no bytecode may be kept."""

TAIL_BYTES = 2000
"""Of standard error, shown where a worker dies."""

CHUNK = 65536


class Session:
    """Calls of the functions of an adapter in another environment.

    Parameters
    ----------
    python : Path
        The environment's interpreter.
    adapter : Path
        File with the functions.
    environment : mapping of str to str
        Variables on top of this process's own.
    seconds : float
        Wall time that one call may take.
    """

    def __init__(
        self, python: Path, adapter: Path, environment: Mapping[str, str], seconds: float
    ) -> None:
        self._command = [str(python), "-I", str(Path(serve.__file__)), str(adapter)]
        self._environment = {**os.environ, **environment}
        self._seconds = seconds
        self._worker: _Worker | None = None
        self._about: dict[str, str] = {}

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the worker."""
        if self._worker is not None:
            self._worker.kill()
            self._worker = None

    def about(self) -> dict[str, str]:
        """Versions of the candidate and what it stands on.

        Raises
        ------
        EngineError
            Where the adapter does not load there, or the worker does not start.
        """
        self._started()
        return self._about

    def call(self, function: str, *arguments: Any) -> Any:
        """Call a function of the adapter.

        Raises
        ------
        EngineError
            Where it raised, crashed, or took too long; with the reason.
        """
        worker = self._started()
        line = json.dumps({"call": function, "arguments": [serve.encode(a) for a in arguments]})
        reply = self._reply(worker, line, self._seconds)
        if "error" in reply:
            raise EngineError(reply["error"])
        return serve.decode(reply["answer"])

    def _started(self) -> _Worker:
        if self._worker is None:
            self._worker = _Worker(self._command, self._environment)
            hello = self._reply(self._worker, None, START_SECONDS)
            if hello.get("protocol") != serve.PROTOCOL or "about" not in hello:
                self.close()
                raise EngineError(f"does not load: {hello.get('error', 'no greeting')}")
            self._about = hello["about"]
        return self._worker

    def _reply(self, worker: _Worker, line: str | None, seconds: float) -> dict[str, Any]:
        try:
            return worker.ask(line, seconds)
        except EngineError:
            self.close()
            raise


class _Worker:
    """One process: lines in, lines out."""

    def __init__(self, command: list[str], environment: Mapping[str, str]) -> None:
        try:
            self._process = subprocess.Popen(  # noqa: S603  # an interpreter we made, our own file
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(environment),
                start_new_session=True,
            )
        except OSError as error:
            raise EngineError(f"does not start: {error}") from error
        self._errors = _Tail(_pipe(self._process.stderr))
        self._rest = b""

    def ask(self, line: str | None, seconds: float) -> dict[str, Any]:
        """Send a line, if any, and wait for one."""
        end = time.monotonic() + seconds
        try:
            if line is not None:
                pipe = _pipe(self._process.stdin)
                pipe.write(line.encode() + b"\n")
                pipe.flush()
        except BrokenPipeError:
            raise EngineError(self._ending()) from None
        answer = self._line(end)
        if answer is None:
            raise EngineError(f"stopped after {seconds:g} s")
        try:
            reply = json.loads(answer)
        except ValueError:
            raise EngineError(f"said something else than an answer: {answer[:80]!r}") from None
        if not isinstance(reply, dict):
            raise EngineError(f"said something else than an answer: {answer[:80]!r}")
        return reply

    def kill(self) -> None:
        """End the process and all it started."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                _pipe(pipe).close()
            except BrokenPipeError:
                continue  # what was still to be sent has no reader
        self._errors.close()

    def _line(self, end: float) -> bytes | None:
        """The next line, or None at the end of the time; EngineError where the process ended."""
        stream = _pipe(self._process.stdout)
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            while b"\n" not in self._rest:
                if not selector.select(max(0.0, end - time.monotonic())):
                    return None
                more = os.read(stream.fileno(), CHUNK)
                if not more:
                    raise EngineError(self._ending())
                self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _ending(self) -> str:
        status = self._process.wait()
        how = f"signal {-status} ({signal.Signals(-status).name})" if status < 0 else str(status)
        said = self._errors.text()
        return f"its process died: {how if status < 0 else f'exit status {how}'}{said}"


class _Tail:
    """Reads a stream to its end and keeps the last bytes: nothing fills up, nothing blocks."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._last: deque[int] = deque(maxlen=TAIL_BYTES)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while more := os.read(self._stream.fileno(), CHUNK):
            self._last.extend(more[-TAIL_BYTES:])

    def text(self) -> str:
        """The last line, behind a colon."""
        self._thread.join(timeout=1.0)
        lines = bytes(self._last).decode(errors="replace").strip().splitlines()
        return f": {lines[-1]}" if lines else ""

    def close(self) -> None:
        """Wait for the end of the stream."""
        self._thread.join(timeout=1.0)
        self._stream.close()


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise TypeError("the process was started without this pipe")
    return stream
