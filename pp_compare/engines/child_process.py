"""A program that answers a line with a line, and can be stopped wherever it is.

R and compiled code heed no signal while they compute, so what may hang or crash runs in a process
of its own. Messages are JSON objects, one a line; what the program writes to standard error is read
to its end, and the last of it is told where the program dies.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoAnswerError
from contextlib import suppress
from functools import cache, partial
from typing import IO, Any

from pp_compare.errors import EngineError
from pp_compare.model.fit import OUT_OF_TIME

TAIL_BYTES = 2000
"""Of standard error, kept for the last words."""

CHUNK = 65536
PATIENCE = 1.0
"""Seconds for the threads that read a process that has been killed; its pipes end with it."""

Message = dict[str, Any]
Ask = Callable[[Mapping[str, Any] | None, float], Message]


class ChildEndedError(EngineError):
    """The program died, or took too long and was killed; the text says which."""


def message(line: bytes) -> Message:
    """The JSON object in a line.

    Raises
    ------
    EngineError
        Where there is none.
    """
    with suppress(ValueError):
        found = json.loads(line)
        if isinstance(found, dict):
            return found
    raise EngineError(f"said something else than an answer: {line[:80]!r}")


def json_line(question: Mapping[str, Any]) -> bytes:
    """A message as a line."""
    return json.dumps(question).encode() + b"\n"


def _is_ready(ask: Ask) -> None:
    """Of a program that is asked without ado."""
    del ask


class ChildProcess:
    """A program that is started when it is asked, and anew where it ended.

    Whatever goes wrong ends the process, so that no answer is taken for that to a later question.
    Another thread may `close` it at any time; the one that waits is told.

    Parameters
    ----------
    command : sequence of str
    environment : mapping of str to str
        All of it.
    begin : callable
        Holds the first conversation with each new process, with the function it is given.
    preamble : bytes
        Sent to each new process before all else.
    read : callable
        The message in a line; None for a line that is none.
    write : callable
        A message as a line.
    nested : bool
        Whether the process belongs to the group of this one, so that whoever ends that group, or
        stops it by Ctrl-C, ends both; what it starts itself is then not ended by `close`.
    words : int
        Lines of its standard error that are told where it ends.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        begin: Callable[[Ask], None] = _is_ready,
        *,
        preamble: bytes = b"",
        read: Callable[[bytes], Message | None] = message,
        write: Callable[[Mapping[str, Any]], bytes] = json_line,
        words: int = 1,
        nested: bool = False,
    ) -> None:
        self._command, self._environment = list(command), dict(environment)
        self._begin, self._preamble, self._words = begin, preamble, words
        self._read, self._write, self._nested = read, write, nested
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: _Tail | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the program, where it does not run.

        Raises
        ------
        EngineError
            Where it does not start, in its own words; and what its beginning raises.
        """
        if self._process is not None and self._process.poll() is None:
            if self._errors is not None:
                self._errors.clear()  # words about an earlier question
            return
        self._end()
        try:
            self._launch()
            self._begin(self._ask)
        except ChildEndedError as end:
            raise ChildEndedError(f"does not start: {end}") from None
        except BaseException:
            self._end()
            raise

    def ask(self, question: Mapping[str, Any] | None, seconds: float) -> Message:
        """Send a message, if any, and wait for one.

        Raises
        ------
        ChildEndedError
            Where the program died, or did not answer in time and was killed.
        EngineError
            Where it does not start, or said something else than a message.
        """
        self.start()
        return self._ask(question, seconds)

    def close(self) -> None:
        """End the process and all it started, for good."""
        with self._lock:
            self._closed = True
        self._end()

    def _launch(self) -> None:
        with self._lock:
            if self._closed:
                raise EngineError("was closed")
            try:
                self._process = subprocess.Popen(  # noqa: S603  # arguments in a list, no shell
                    [*leash(self._command), *self._command],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    env=self._environment,
                    start_new_session=not self._nested,
                )
            except OSError as error:
                raise EngineError(f"does not start: {error}") from error
            self._errors = _Tail(_pipe(self._process.stderr))
        self._unsent = self._preamble

    def _ask(self, question: Mapping[str, Any] | None, seconds: float) -> Message:
        """Both ways in a thread of its own: a pipe may hold up the one that writes to it too."""
        process, errors = self._process, self._errors
        if process is None or errors is None:
            raise ChildEndedError("was closed")
        line = b"" if question is None else self._write(question)
        text, self._unsent = self._unsent + line, b""
        answer: Future[Message | None] = Future()
        do = partial(_exchange, process, text, self._read)
        self._thread = threading.Thread(target=_settle, args=(answer, do), daemon=True)
        self._thread.start()
        try:
            found = answer.result(min(seconds, threading.TIMEOUT_MAX))
        except NoAnswerError:
            self._end()
            raise ChildEndedError(
                f"{OUT_OF_TIME} {seconds:g} s{errors.text(self._words)}"
            ) from None
        except BaseException:
            self._end()
            raise
        if found is None:
            self._end()
            how = ending(process.returncode)
            raise ChildEndedError(f"its process died: {how}{errors.text(self._words)}")
        return found

    def _end(self) -> None:
        with self._lock:
            process, self._process = self._process, None
            errors, self._errors = self._errors, None
        if process is None or errors is None:
            return
        if self._nested:
            process.kill()
            process.wait()
        else:
            kill_tree(process)
        errors.close()
        if self._thread is not None:
            self._thread.join(PATIENCE)
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):  # what was still to be sent has no reader
                _pipe(pipe).close()


def leash(command: Sequence[str]) -> tuple[str, ...]:
    """What to put before a command so that the kernel kills it with the thread that starts it.

    Nothing of ours can do that where this process is killed itself; Linux keeps the wish of
    `setpriv` (prctl, PR_SET_PDEATHSIG) through what the command executes in turn. Empty where there
    is no such program, and for a command that is not there: its own error is the better one.
    """
    return _setpriv() if shutil.which(command[0]) else ()


@cache
def _setpriv() -> tuple[str, ...]:
    prefix = ("setpriv", "--pdeathsig", "KILL")
    if sys.platform != "linux" or shutil.which(prefix[0]) is None:
        return ()
    tried = subprocess.run([*prefix, "true"], capture_output=True, check=False)  # noqa: S603  # fixed
    return prefix if tried.returncode == 0 else ()


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads a session of its own, and all it started; it is waited for."""
    if process.poll() is None:
        if sys.platform == "win32":
            command = ["taskkill", "/F", "/T", "/PID", str(process.pid)]
            subprocess.run(command, capture_output=True, check=False)  # noqa: S603  # fixed
        else:
            with suppress(ProcessLookupError):  # another thread has just waited for it
                os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def ending(status: int) -> str:
    """How a process ended: its exit status, or the signal where it is negative."""
    if status < 0:
        return f"signal {-status} ({signal.Signals(-status).name})"
    return f"exit status {status}"


def _settle(future: Future[Any], function: Callable[[], Any]) -> None:
    try:
        future.set_result(function())
    except BaseException as error:  # goes on in the thread that waits
        future.set_exception(error)


def _exchange(
    process: subprocess.Popen[bytes], text: bytes, read: Callable[[bytes], Message | None]
) -> Message | None:
    """Write, and read the next message; None where the process has ended."""
    try:
        _pipe(process.stdin).write(text)
        _pipe(process.stdin).flush()
        for line in _pipe(process.stdout):
            found = read(line) if line.endswith(b"\n") else None
            if found is not None:
                return found
    except OSError:  # a broken pipe
        pass
    # Its output may end a moment before it does, and how it ended is to be told.
    with suppress(subprocess.TimeoutExpired):
        process.wait(PATIENCE)
    return None


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

    def text(self, words: int) -> str:
        """The last lines, behind a colon."""
        lines = bytes(self._last).decode(errors="replace").strip().splitlines()[-words:]
        return f": {' | '.join(lines)}" if lines else ""

    def clear(self) -> None:
        """Forget what was read."""
        self._last.clear()

    def close(self) -> None:
        """Wait for the end of the stream."""
        self._thread.join(PATIENCE)
        if not self._thread.is_alive():
            self._stream.close()


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise TypeError("the process was started without this pipe")
    return stream
