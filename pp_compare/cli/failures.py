"""What ends a command, as a sentence and an exit status: the one place that knows them.

2: the request cannot be carried out as it was made. 3: something is not available here: an engine,
a library, room on the disk, memory. 4: pp-compare itself is at fault, and a file says how.
128 and the signal's number: a signal ended it.
"""

from __future__ import annotations

import os
import platform
import shlex
import signal
import sys
import tempfile
import traceback
from importlib.metadata import version
from pathlib import Path

from pp_compare.errors import InputError, PPCompareError, one_line, quoted
from pp_compare.resources import LACKING

BAD_INPUT = 2
UNAVAILABLE = 3
OUR_FAULT = 4

LONGEST = 1200
"""Characters of a message; what it quotes is cut where it is made, this holds for all the rest."""


class Stopped(BaseException):  # not an error; what catches errors must not catch it
    """A signal asked this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def explained(failure: BaseException) -> tuple[str, int]:
    """The sentence for standard error, empty where there is none to say, and the exit status."""
    match failure:
        case InputError():
            return shortened(str(failure)), BAD_INPUT
        case PPCompareError():
            return shortened(str(failure)), UNAVAILABLE
        case BrokenPipeError():
            return "", 128 + signal.SIGPIPE  # its reader has enough; nobody is to be told
        case OSError():
            return shortened(_of_system(failure)), _status(failure)
        case MemoryError():
            return "there is not enough memory here for this", UNAVAILABLE
        case KeyboardInterrupt():
            return "interrupted", 128 + signal.SIGINT
        case Stopped():
            return f"stopped by {failure}", 128 + failure.number
    return _our_fault(failure), OUR_FAULT


def shortened(text: str) -> str:
    """A message on one line, without what would move the cursor, and not longer than a screen."""
    line = one_line(" ".join(text.split("\n")))
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def _of_system(error: OSError) -> str:
    why = error.strerror or str(error) or type(error).__name__
    where = "output" if error.filename is None else quoted(str(error.filename), 200)
    return f"{where}: {why}"


def _status(error: OSError) -> int:
    return UNAVAILABLE if error.errno in LACKING or error.errno is None else BAD_INPUT


def _our_fault(failure: BaseException) -> str:
    what = shortened(f"{type(failure).__name__}: {failure}")[:300]
    said = f"this is a fault of pp-compare, not of what you gave it ({what})"
    try:
        path = _written(failure)
    except OSError as error:
        return f"{said}; a file about it cannot be written here: {error.strerror}"
    return f"{said}; please send {path} to its authors, it holds the command and no data"


def _written(failure: BaseException) -> Path:
    """Write what its authors need: where it happened, the command, versions."""
    lines = [
        f"command: {shlex.join(['pp-compare', *sys.argv[1:]])}",
        f"pp-compare {version('pp-compare')}, Python {sys.version}, {platform.platform()}",
        *(f"{name} {version(name)}" for name in ("numpy", "pandas", "scipy", "statsmodels")),
        "",
        *traceback.format_exception(failure),
    ]
    handle, name = tempfile.mkstemp(prefix="pp-compare-fault-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write("\n".join(lines))
    return Path(name)
