"""R in this process, through rpy2: the only module that imports it.

R is started when the first R engine is made. All of a fit crosses in one call, vectors as blocks of
memory. R is not reentrant: every call holds rpy2's lock.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import shlex
import shutil
import signal
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np

from pp_compare.engines._r import Answer, Request
from pp_compare.errors import EngineError, UnavailableError
from pp_compare.resources import INSTALL_R, r_package, resource, rpy2_for

RObject = Any
"""Something of rpy2, which has no types."""

_WRITERS = ("consolewrite_print", "consolewrite_warnerror", "showmessage")
# A user's .RData and .Rprofile have no part in a comparison; .Renviron may say where packages are.
_OPTIONS = ("rpy2", "--quiet", "--no-save", "--no-restore", "--no-init-file")


@cache
def started() -> Rpy2Session:
    """The R of this process.

    Raises
    ------
    UnavailableError
        Without rpy2, without R, or with an R that this rpy2 cannot drive; with what to do.
    """
    return Rpy2Session(_interface())


def session(package: str) -> Rpy2Session:
    """The R of this process, with an R package loaded; UnavailableError where there is none."""
    found = started()
    found.require(package)
    return found


class Rpy2Session:
    """The functions of ``r/fit.R`` and ``r/batch.R`` in the R of this process.

    Parameters
    ----------
    interface : module
        rpy2.rinterface, with R started.
    """

    def __init__(self, interface: RObject) -> None:
        self._r = interface
        self._library = importlib.import_module("rpy2.rinterface_lib.openrlib")
        self._lock = self._library.rlock
        self._callbacks = importlib.import_module("rpy2.rinterface_lib.callbacks")
        with self._console():
            self._functions = interface.baseenv["new.env"](parent=interface.globalenv)
            for name in ("fit.R", "batch.R", "glmmtmb.R", "glmm.R", "write_fit.R"):
                code = resource("r", name).read_text(encoding="utf-8")
                interface.evalr(code, envir=self._functions)

    @property
    def road(self) -> str:
        """How this R is reached."""
        return f"rpy2 {version('rpy2')}"

    def require(self, package: str) -> None:
        """Load an R package.

        Raises
        ------
        UnavailableError
            With R's words, where it is not installed or does not load.
        """
        with self._console():
            load = "function(p) tryCatch({ loadNamespace(p); '' }, error = conditionMessage)"
            found = self._r.evalr(load)(package)[0]
        if found:
            raise UnavailableError(
                f"R does not load its package {package}: {found}; {r_package(package)}"
            )

    def call(self, function: str, request: Request) -> Answer:
        """Call a function of ``r/fit.R``; what R prints becomes part of the answer's messages."""
        with self._console() as printed, self._undisturbed():
            try:
                answer: Answer = self._from_r(self._functions[function](self._to_r(request)))
            except self._r.embedded.RRuntimeError as error:
                raise EngineError(f"R: {str(error).strip()}") from None
        answer["messages"] = [*answer["messages"], *"".join(printed).splitlines()]
        return answer

    def describe(self, fitted: RObject) -> Answer:
        """What ``r/write_fit.R`` says of a fitted object of R.

        Raises
        ------
        EngineError
            In R's words, where the object is none that can be described.
        """
        with self._console(), self._undisturbed():
            try:
                answer: Answer = self._from_r(self._functions["pp_fit_record"](fitted))
            except self._r.embedded.RRuntimeError as error:
                raise EngineError(str(error).strip()) from None
        return answer

    @contextmanager
    def _console(self) -> Iterator[list[str]]:
        """Hold R, keep what it prints, and answer no prompt: there may be no terminal."""
        printed: list[str] = []
        ours = dict.fromkeys(_WRITERS, printed.append) | {"consoleread": lambda prompt: ""}
        with self._lock:
            before = {name: getattr(self._callbacks, name) for name in ours}
            vars(self._callbacks).update(ours)
            try:
                yield printed
            finally:
                vars(self._callbacks).update(before)

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """Let R not ask Python for events where SIGINT is ignored, and there can be none.

        It asks some 400 times a fit of lmer(), which takes 5 % of it. What it asks for is Ctrl-C.
        """
        library = self._library.rlib
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            yield
            return
        before = library.ptr_R_ProcessEvents
        library.ptr_R_ProcessEvents = self._library.ffi.NULL
        try:
            yield
        finally:
            library.ptr_R_ProcessEvents = before

    def _to_r(self, value: object) -> RObject:
        r = self._r
        match value:
            case np.ndarray():
                kind = r.FloatSexpVector if value.dtype == np.float64 else r.IntSexpVector
                return kind.from_memoryview(value.data)
            case bool():
                return r.BoolSexpVector([value])
            case str():
                return r.StrSexpVector([value])
            case int() | float():
                return r.FloatSexpVector([float(value)])
            case Mapping():
                found = r.ListSexpVector([self._to_r(item) for item in value.values()])
                found.names = r.StrSexpVector(list(value))
                return found
            case [str(), *_]:
                return r.StrSexpVector(value)
            case [*items]:
                return r.ListSexpVector([self._to_r(item) for item in items])
        raise TypeError(f"a {type(value).__name__} has no form in R here")

    def _from_r(self, value: RObject) -> RObject:
        r = self._r
        match value:
            case r.FloatSexpVector():
                return np.array(value.memoryview())
            case r.IntSexpVector():
                return np.array(value.memoryview(), dtype=float)
            case r.BoolSexpVector():
                return [None if item is r.NA_Logical else bool(item) for item in value]
            case r.StrSexpVector():
                return list(value)
            case r.ListSexpVector() if value.names is not r.NULL:
                return {
                    name: self._from_r(item) for name, item in zip(value.names, value, strict=True)
                }
            case r.ListSexpVector():
                return [self._from_r(item) for item in value]
        raise EngineError(f"R answered with a {type(value).__name__}, which is not expected")


def _interface() -> RObject:
    """Start R and return rpy2.rinterface."""
    if importlib.util.find_spec("rpy2") is None:
        raise UnavailableError("rpy2 is not installed")
    if "R_HOME" not in os.environ and shutil.which("R") is None:
        raise UnavailableError(f"R is not installed, or not on the PATH; {INSTALL_R}")
    try:
        with warnings.catch_warnings():
            # rpy2 warns where R starts outside the main thread; Ctrl-C is then left to Python. It
            # logs that it is not built for this R and goes by ABI; a true failure is raised.
            warnings.simplefilter("ignore")
            logging.getLogger("rpy2").setLevel(logging.CRITICAL)
            interface = importlib.import_module("rpy2.rinterface")
            if not interface.embedded.isinitialized():
                with _library_path_kept():
                    interface.embedded.set_initoptions(_OPTIONS)
                    interface.initr()
    except Exception as error:
        raise UnavailableError(_why_not(error)) from error
    return interface


@contextmanager
def _library_path_kept() -> Iterator[None]:
    """Keep R's libraries away from the programs that are started from here.

    R has loaded them when it has started. A Python with a libpython of its own would get another.
    """
    before = os.environ.get("LD_LIBRARY_PATH")
    try:
        yield
    finally:
        os.environ.pop("LD_LIBRARY_PATH", None)
        if before is not None:
            os.environ["LD_LIBRARY_PATH"] = before


def _why_not(error: Exception) -> str:
    """What a failed start of R means, and what to do."""
    words = f"{type(error).__name__}: {error}"
    if "symbol" in str(error):
        wanted = shlex.join(["pip", "install", *rpy2_for("4.4")])
        return f"this rpy2 does not fit this R ({words}); R before 4.5 needs {wanted}"
    return (
        f"R does not start in Python ({words}); 'python -m rpy2.situation' says what it looks for"
    )
