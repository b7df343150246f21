"""By which road R is reached: rpy2 in this process where it loads, else an Rscript that stays up.

rpy2 is the fast lane, 1 ms a data set less; the numbers are the same bits. ``PP_COMPARE_R`` set to
``rpy2`` or ``Rscript`` leaves only that one.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from pp_compare.engines import _rpy2
from pp_compare.engines.rscript import RscriptSession
from pp_compare.errors import UnavailableError
from pp_compare.resources import INSTALL_R

CHOICE = "PP_COMPARE_R"


@cache
def session(package: str) -> _rpy2.Rpy2Session | RscriptSession:
    """The R of this process's engines, with an R package loaded.

    Raises
    ------
    UnavailableError
        Without R, or without the package; with what was looked for, and what to do.
    """
    started = _started()
    started.require(package)
    return started


@cache
def _started() -> _rpy2.Rpy2Session | RscriptSession:
    choice = os.environ.get(CHOICE, "").lower()
    refused = f"{CHOICE} is {choice}"
    if choice != "rscript":
        try:
            return _rpy2.started()
        except UnavailableError as error:
            refused = str(error)
            if choice == "rpy2":
                raise
    program = find_rscript()
    if program is None:
        raise UnavailableError(f"no program Rscript on the PATH or in R_HOME; {INSTALL_R}")
    found = RscriptSession([program], nested=True)
    try:
        found.start()
    except UnavailableError as error:
        raise UnavailableError(f"{error}; and rpy2: {refused}") from error
    return found


def find_rscript() -> str | None:
    """The program Rscript: on the PATH, in R_HOME, or where Windows has it."""
    return next(filter(None, map(shutil.which, _places())), None)


def _places() -> Iterator[str]:
    yield "Rscript"
    if "R_HOME" in os.environ:
        yield str(Path(os.environ["R_HOME"], "bin", "Rscript"))
    if sys.platform == "win32":
        # R's installer leaves the PATH alone.
        folder = Path(os.environ.get("PROGRAMFILES", r"C:\Program Files"), "R")
        yield from map(str, sorted(folder.glob("R-*/bin/Rscript.exe"), reverse=True))
