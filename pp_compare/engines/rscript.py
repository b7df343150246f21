"""lme4 and nlme in any R that a command starts: another version, a chroot, a container.

The command needs R, the engine and jsonlite, and nothing of this project: code and requests go in
through standard input, answers come out through standard output (``r/serve.R``), so no file system
is shared. Doubles keep every bit both ways.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from typing import IO, Any

import numpy as np

from pp_compare.engines import lme4, nlme
from pp_compare.engines._r import Answer, Dialect, REngine, Request, ask, read_fit
from pp_compare.engines.child_process import ending, leash
from pp_compare.errors import EngineError, InputError, UnavailableError
from pp_compare.model import Fit
from pp_compare.model.design import Design
from pp_compare.resources import resource

Call = tuple[str, Request]
"""A function of ``r/fit.R`` and its argument."""

# Reads our code from standard input and runs it; it then reads the requests that follow.
_BOOTSTRAP = (
    "pp_input <- file('stdin', 'r'); "
    "eval(parse(text = readLines(pp_input, as.integer(readLines(pp_input, 1L)), "
    "encoding = 'UTF-8'), keep.source = FALSE))"
)
_FLAGS = ("--no-save", "--no-restore", "--no-init-file")
_START_SECONDS = 120.0
"""For a container or a slow disk; loading R, lme4 and nlme takes 2 to 4 s here."""
_GRACE_SECONDS = 5.0
"""After the limit at which R stops its own code, before it is killed within compiled code."""


def make(command: Sequence[str], engine_id: str) -> REngine:
    """``lme4`` or ``nlme``, with a setting, in the R that a command starts.

    Parameters
    ----------
    command : sequence of str
        ``["Rscript"]``, ``["chroot", DIR, "Rscript"]``, ``["docker", "run", "-i", IMAGE,
        "Rscript"]``: a program and its arguments, no shell.
    engine_id : str

    Raises
    ------
    InputError
        For another engine or an unknown setting.
    """
    return REngine(engine_id, r_dialect(engine_id), RscriptSession(tuple(command)))


def r_dialect(engine_id: str) -> Dialect:
    """How the R package of an engine id is asked."""
    name, _, setting = engine_id.partition(":")
    if name == "lme4":
        return lme4.dialect(setting or None)
    if name == "nlme":
        return nlme.dialect(setting or None)
    raise InputError(f"'{engine_id}' is not an R engine; those are lme4 and nlme")


def fits(
    command: Sequence[str], tasks: Sequence[tuple[str, Design]], seconds: float = float("inf")
) -> Iterator[Fit]:
    """Fit many models in one R process, started anew only where it dies.

    Parameters
    ----------
    command : sequence of str
        As for `make`.
    tasks : sequence of (engine id, Design)
    seconds : float
        Elapsed time after which R stops a fit; in compiled code it is killed a little later.

    Yields
    ------
    Fit
        Of each task in turn, as soon as it is there.

    Raises
    ------
    InputError
        For an unknown engine or setting.
    UnavailableError
        Where the command does not start an R that can answer.
    """
    dialects = [r_dialect(engine_id) for engine_id, _ in tasks]
    asked = [ask(e, d, design, seconds) for (e, design), d in zip(tasks, dialects, strict=True)]
    calls = [
        (d.function, a) for d, a in zip(dialects, asked, strict=True) if not isinstance(a, Fit)
    ]
    answers = RscriptSession(tuple(command), seconds).answers(calls)
    for (engine_id, design), dialect, a in zip(tasks, dialects, asked, strict=True):
        yield a if isinstance(a, Fit) else _fit(engine_id, dialect, design, next(answers))


def _fit(name: str, dialect: Dialect, design: Design, answer: Answer | EngineError) -> Fit:
    if isinstance(answer, EngineError):
        return Fit.failed(name, str(answer), settings=dialect.settings)
    return read_fit(name, dialect, design, answer)


@dataclass(frozen=True)
class RscriptSession:
    """Calls of ``r/fit.R`` in an R that a command starts.

    Parameters
    ----------
    command : tuple of str
    seconds : float
        Wall time for one answer; R is killed `_GRACE_SECONDS` later.
    """

    command: tuple[str, ...]
    seconds: float = float("inf")

    def call(self, function: str, request: Request) -> Answer:
        """Call one function in an R of its own.

        Raises
        ------
        EngineError
            Where R died, with the end of what it wrote.
        UnavailableError
            Where the command does not start an R that can answer.
        """
        (answer,) = self.answers([(function, request)])
        if isinstance(answer, EngineError):
            raise answer
        return answer

    def about(self) -> dict[str, Any]:
        """Versions of R, lme4, nlme, Matrix and jsonlite, platform, BLAS and LAPACK."""
        return deepcopy(_about(self.command))

    def answers(self, calls: Sequence[Call]) -> Iterator[Answer | EngineError]:
        """Call functions in turn in one R; a call in which R dies costs that call alone."""
        done = 0
        while done < len(calls):
            count, reason = yield from self._run(calls[done:])
            done += count
            if done < len(calls):
                done += 1
                yield EngineError(reason)

    def _run(self, calls: Sequence[Call]) -> Generator[Answer, None, tuple[int, str]]:
        """Yield answers until R ends; return how many there were and how it ended."""
        ready, count = False, 0
        with _spool(calls) as requests, tempfile.TemporaryFile() as errors:
            with self._start(requests, errors) as process, _Watch(process) as watch:
                watch.allow(_START_SECONDS)
                for line in process.stdout or ():
                    watch.stop()
                    word, _, text = line.decode().partition(" ")
                    ready = ready or word.strip() == "ready"
                    if word == "answer":
                        count += 1
                        yield decode(json.loads(text))
                    watch.allow(self.seconds + _GRACE_SECONDS)
                process.wait()
            reason = _ending(process.returncode, watch.expired) + _tail(errors)
        if not ready:
            raise UnavailableError(f"'{' '.join(self.command)}' runs no R with jsonlite: {reason}")
        return count, reason

    def _start(self, requests: IO[bytes], errors: IO[bytes]) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(  # noqa: S603  # the user's own command, without a shell
                [*leash(self.command), *_fixed_layout(), *self.command, *_FLAGS, "-e", _BOOTSTRAP],
                stdin=requests,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={"OPENBLAS_NUM_THREADS": "1"} | os.environ,
                start_new_session=True,
            )
        except OSError as error:
            raise UnavailableError(f"'{' '.join(self.command)}' does not start: {error}") from error


@cache
def _about(command: tuple[str, ...]) -> dict[str, Any]:
    """Asked once: an R does not change while we run, and takes two seconds to start."""
    packages = ["lme4", "nlme", "Matrix", "jsonlite"]
    found = RscriptSession(command).call("pp_about", {"packages": packages})
    versions = dict(zip(found["names"], found["versions"], strict=True))
    return {"versions": versions} | {k: found[k][0] for k in ("platform", "blas", "lapack")}


@cache
def _fixed_layout() -> tuple[str, ...]:
    """Command prefix for the same memory addresses in every process, where Linux allows it.

    lme4 1.1-31 gives a crossed model one of two answers, 1e-9 apart, by the addresses it is given.
    """
    prefix = ("setarch", "-R")
    if shutil.which(prefix[0]) is None:
        return ()
    tried = subprocess.run([*prefix, "true"], capture_output=True, check=False)  # noqa: S603  # fixed
    return prefix if tried.returncode == 0 else ()


class _Watch:
    """Kills a process, with all it started, that does not do in time what it was given time for."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._timer: threading.Timer | None = None
        self.expired = False

    def __enter__(self) -> _Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._kill()

    def allow(self, seconds: float) -> None:
        """Begin to count anew."""
        self.stop()
        if seconds < threading.TIMEOUT_MAX:
            self._timer = threading.Timer(seconds, self._expire)
            self._timer.daemon = True
            self._timer.start()

    def stop(self) -> None:
        """Stop counting."""
        if self._timer is not None:
            self._timer.cancel()

    def _expire(self) -> None:
        self.expired = True
        self._kill()

    def _kill(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)


@contextmanager
def _spool(calls: Sequence[Call]) -> Iterator[IO[bytes]]:
    """Our code and the requests, in a file that R has as its standard input."""
    sources = [resource("r", name) for name in ("fit.R", "glmmtmb.R", "serve.R")]
    code = "\n".join(source.read_text(encoding="utf-8") for source in sources)
    lines = [*code.splitlines(), "pp_serve(pp_input)"]
    with tempfile.TemporaryFile() as file:
        file.write("\n".join([str(len(lines)), *lines, ""]).encode())
        for function, request in calls:
            line = json.dumps({"call": function, "value": encode(request)})
            file.write(line.encode() + b"\n")
        file.seek(0)
        yield file


def _ending(status: int, expired: bool) -> str:
    if expired:
        return "R did not answer in time and was killed"
    if status < 0:
        return f"R was ended by {ending(status)}"
    return f"R ended with status {status}"


def _tail(errors: IO[bytes]) -> str:
    """The last lines of what R wrote to standard error."""
    errors.seek(0)
    lines = errors.read().decode(errors="replace").strip().splitlines()
    return ": " + " | ".join(lines[-5:]) if lines else ""


def encode(value: object) -> dict[str, Any]:
    """A plain value as ``r/serve.R`` reads it.

    Raises
    ------
    TypeError
        For a value of another kind.
    """
    match value:
        case np.ndarray() if value.dtype == np.float64:
            return {"d": base64.b64encode(value.astype("<f8").tobytes()).decode()}
        case np.ndarray() if value.dtype == np.int32:
            return {"i": base64.b64encode(value.astype("<i4").tobytes()).decode()}
        case bool():
            return {"b": [value]}
        case str():
            return {"c": [value]}
        case int() | float():
            return encode(np.array([value], dtype=np.float64))
        case Mapping():
            return {"n": {key: encode(item) for key, item in value.items()}}
        case [str(), *_]:
            return {"c": list(value)}
        case [*items]:
            return {"l": [encode(item) for item in items]}
    raise TypeError(f"a {type(value).__name__} has no form in R here")


def decode(value: Mapping[str, Any]) -> Any:
    """A value that ``r/serve.R`` wrote."""
    ((kind, content),) = value.items()
    match kind:
        case "d":
            return np.frombuffer(base64.b64decode(content), dtype="<f8").astype(np.float64)
        case "i":
            return np.frombuffer(base64.b64decode(content), dtype="<i4").astype(np.int32)
        case "n":
            return {name: decode(item) for name, item in content.items()}
        case "l":
            return [decode(item) for item in content]
    return content
