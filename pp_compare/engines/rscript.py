"""R that a command starts, and that stays up: the R here, another version, a chroot, a container.

The command needs R and the engine, and nothing of this project: code and requests go in through
standard input, answers come out through standard output (``r/serve.R``), so no file system is
shared. Doubles keep every bit both ways.
"""

from __future__ import annotations

import base64
import os
import shlex
import shutil
import subprocess
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cache
from typing import Any, Self

from pp_compare.engines._r import Answer, Request
from pp_compare.engines.child_process import Ask, ChildProcess, Message
from pp_compare.engines.xdr import dumps, loads
from pp_compare.errors import EngineError, UnavailableError, quoted
from pp_compare.resources import INSTALL_R, r_package, resource

Call = tuple[str, Request]
"""A function of ``r/fit.R`` and its argument."""

# Reads our code from standard input and runs it; it then reads the requests that follow.
_BOOTSTRAP = (
    "pp_input <- file('stdin', 'r'); "
    "eval(parse(text = readLines(pp_input, as.integer(readLines(pp_input, 1L)), "
    "encoding = 'UTF-8'), keep.source = FALSE))"
)
FLAGS = ("--no-save", "--no-restore", "--no-init-file")
"""Of Rscript: packages are where the user has them, and nothing else of theirs is run."""
_START_SECONDS = 120.0
"""For a container or a slow disk; loading R, lme4 and nlme takes 2 to 4 s here."""
_GRACE_SECONDS = 5.0
"""After the limit at which R stops its own code, before it is killed within compiled code."""
PACKAGES = ("lme4", "nlme", "Matrix")
"""What linear mixed models in R rest on."""
_WORDS = 5
"""Lines of R's standard error that are told where it ends."""


class RscriptSession:
    """Calls of ``r/fit.R`` in an R that a command starts; one in which R dies costs that call.

    Parameters
    ----------
    command : sequence of str
        ``["Rscript"]``, ``["chroot", DIR, "Rscript"]``, ``["docker", "run", "-i", IMAGE,
        "Rscript"]``: a program and its arguments, no shell.
    seconds : float
        Wall time for one answer; R is killed `_GRACE_SECONDS` later.
    nested : bool
        Whether R belongs to the group of this process, so that whoever ends that ends R.
    """

    def __init__(
        self, command: Sequence[str], seconds: float = float("inf"), *, nested: bool = False
    ) -> None:
        self.command = tuple(command)
        self.seconds = seconds
        self._lock = threading.Lock()
        self._child = ChildProcess(
            [*_fixed_layout(), *self.command, *FLAGS, "-e", _BOOTSTRAP],
            {"OPENBLAS_NUM_THREADS": "1"} | os.environ,
            self._greeted,
            preamble=_code(),
            read=_read,
            write=_line,
            words=_WORDS,
            nested=nested,
        )
        # An engine has no end of its own: R ends with the last that uses it, or with Python.
        weakref.finalize(self, self._child.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def road(self) -> str:
        """How this R is reached."""
        return shlex.join(self.command)

    def close(self) -> None:
        """End R."""
        self._child.close()

    def call(self, function: str, request: Request) -> Answer:
        """Call one function.

        Raises
        ------
        EngineError
            Where R died or did not answer in time, with the end of what it wrote.
        UnavailableError
            Where the command does not start an R that can answer.
        """
        with self._lock:
            self.start()
            question = {"call": function, "value": request}
            found: Answer = self._child.ask(question, self.seconds + _GRACE_SECONDS)["answer"]
        return found

    def answers(self, calls: Sequence[Call]) -> Iterator[Answer | EngineError]:
        """Call functions in turn; a call in which R dies costs that call alone."""
        for function, request in calls:
            try:
                yield self.call(function, request)
            except EngineError as error:
                yield error

    def about(self, packages: Sequence[str] = PACKAGES) -> dict[str, Any]:
        """Versions of R and of packages that it has, platform, BLAS and LAPACK."""
        return deepcopy(_about(self.command, tuple(packages)))

    def require(self, package: str) -> None:
        """Load an R package.

        Raises
        ------
        UnavailableError
            With R's words, where it is not installed or does not load.
        """
        problem = self.call("pp_require", {"package": package})["problem"][0]
        if problem:
            raise UnavailableError(
                f"R does not load its package {package}: {problem}; {r_package(package)}"
            )

    def start(self) -> None:
        """Start R, where it does not run.

        Raises
        ------
        UnavailableError
            Where the command does not start an R that can answer.
        """
        program = self.command[0]
        if shutil.which(program) is None:
            raise UnavailableError(
                f"there is no program {quoted(program, 200)} here to run R; {INSTALL_R}"
            )
        try:
            self._child.start()
        except EngineError as error:
            raise UnavailableError(f"'{shlex.join(self.command)}' runs no R: {error}") from error

    @staticmethod
    def _greeted(ask: Ask) -> None:
        ask(None, _START_SECONDS)


@cache
def _about(command: tuple[str, ...], packages: tuple[str, ...]) -> dict[str, Any]:
    """Asked once: an R does not change while we run, and takes two seconds to start."""
    with RscriptSession(command) as session:
        found = session.call("pp_about", {"packages": list(packages)})
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


@cache
def _code() -> bytes:
    """Our code as R reads it from standard input: the number of lines, and the lines."""
    names = ("fit.R", "batch.R", "glmmtmb.R", "glmm.R", "serve.R")
    sources = [resource("r", name) for name in names]
    code = "\n".join(source.read_text(encoding="utf-8") for source in sources)
    lines = [*code.splitlines(), "pp_serve(pp_input)"]
    return "\n".join([str(len(lines)), *lines, ""]).encode()


def _line(question: Mapping[str, Any]) -> bytes:
    return base64.b64encode(dumps(question)) + b"\n"


def _read(line: bytes) -> Message | None:
    """What R says between its answers, as a start-up file might, is none."""
    word, _, text = line.strip().partition(b" ")
    if word == b"answer":
        try:
            return {"answer": loads(base64.b64decode(text, validate=True))}
        except ValueError as error:
            raise EngineError(f"R's answer cannot be read: {error}") from error
    return {"ready": True} if word == b"ready" and not text else None
