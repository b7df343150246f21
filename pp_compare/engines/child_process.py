"""A program that answers a line with a line, and can be stopped wherever it is.

R and compiled code heed no signal while they compute, so what may hang or crash runs in a process
of its own. Messages are JSON objects, one a line; what the program writes to standard error is read
to its end, and the last line of it is told where the program dies.
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
from collections.abc import Mapping, Sequence
from typing import IO, Any

from pp_compare.errors import EngineError

TAIL_BYTES = 2000
"""Of standard error, kept for the last words."""

CHUNK = 65536


class ChildEndedError(EngineError):
    """The program died, or took too long and has to be killed; the text says which."""


class ChildProcess:
    """One process: messages in, messages out.

    Parameters
    ----------
    command : sequence of str
    environment : mapping of str to str
        All of it.

    Raises
    ------
    EngineError
        Where the command does not start.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        try:
            self._process = subprocess.Popen(  # noqa: S603  # a program of ours, arguments in a list
                list(command),
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

    def ask(self, message: Mapping[str, Any] | None, seconds: float) -> dict[str, Any]:
        """Send a message, if any, and wait for one.

        Raises
        ------
        ChildEndedError
            Where the program died, or did not answer in time; `kill` it then.
        EngineError
            Where it said something else than a message.
        """
        end = time.monotonic() + seconds
        try:
            if message is not None:
                pipe = _pipe(self._process.stdin)
                pipe.write(json.dumps(message).encode() + b"\n")
                pipe.flush()
        except BrokenPipeError:
            raise ChildEndedError(self._ending()) from None
        answer = self._line(end)
        if answer is None:
            raise ChildEndedError(f"stopped after {seconds:g} s")
        return _message(answer)

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
        """The next line, or None at the end of the time."""
        stream = _pipe(self._process.stdout)
        read = [self._rest]
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            while b"\n" not in read[-1]:
                if not selector.select(max(0.0, end - time.monotonic())):
                    return None
                more = os.read(stream.fileno(), CHUNK)
                if not more:
                    raise ChildEndedError(self._ending())
                read.append(more)
        line, _, self._rest = b"".join(read).partition(b"\n")
        return line

    def _ending(self) -> str:
        how = ending(self._process.wait())
        return f"its process died: {how}{self._errors.text()}"


def ending(status: int) -> str:
    """How a process ended: its exit status, or the signal where it is negative."""
    if status < 0:
        return f"signal {-status} ({signal.Signals(-status).name})"
    return f"exit status {status}"


def _message(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except ValueError:
        message = None
    if not isinstance(message, dict):
        raise EngineError(f"said something else than an answer: {line[:80]!r}")
    return message


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
