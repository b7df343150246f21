"""Run what was typed in a folder of its own, and end with a sentence and a status whatever happens.

R makes a folder for each of its processes, and leaves it where the process is killed; a library may
do likewise. All of them are asked to do so in one place (``TMPDIR``), which is removed at the end,
or by the next command where this one is killed itself.
"""

from __future__ import annotations

import atexit
import io
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from pp_compare.cli.app import app
from pp_compare.cli.failures import Stopped, explained
from pp_compare.resources import is_running

VARIABLES = ("TMPDIR", "HYPOTHESIS_STORAGE_DIRECTORY")
"""Hypothesis would keep things in the current folder."""

PREFIX = "pp-compare-work-"
"""Then comes the number of the process."""


def run() -> None:
    """Run the command line; whatever fails becomes one line on stderr and an exit status."""
    _tolerate_names()
    signal.signal(signal.SIGTERM, _stop)
    try:
        with workspace():
            app(standalone_mode=True)
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):
            # Who reads what is printed has enough: rich and click take that for a failure.
            sys.exit(_said(end.__context__))
        sys.exit(_flushed(end.code if isinstance(end.code, int) else int(bool(end.code))))
    except BaseException as failure:  # the one place where every failure ends
        sys.exit(_said(failure))


def _stop(number: int, frame: FrameType | None) -> None:
    """End as on Ctrl-C, so that everything that was started is ended."""
    raise Stopped(number)


def _tolerate_names() -> None:
    """Write a name that the terminal's encoding has no letters for with escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _flushed(status: int) -> int:
    """The status, after what was printed is where it belongs: a full disk is met here."""
    try:
        sys.stdout.flush()
    except OSError as failure:
        return _said(failure)
    return status


def _said(failure: BaseException) -> int:
    """Say what failed, and leave nothing for the interpreter to say once more at its exit."""
    sentence, status = explained(failure)
    try:
        if sentence:
            sys.stderr.write(f"pp-compare: {sentence}\n")
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        _close_output()
    return status


def _close_output() -> None:
    """What cannot be written any more goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            os.dup2(nowhere, stream.fileno())
        except (OSError, ValueError):
            continue


@contextmanager
def workspace() -> Iterator[None]:
    """Have temporary files in a folder of their own; where none can be made, they go as ever."""
    outer = Path(tempfile.gettempdir())
    try:
        remove_abandoned(outer)
        folder = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=outer)
    except OSError:
        yield
        return
    # What was registered last is done first: what libraries register comes before this.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    before = {name: os.environ.get(name) for name in VARIABLES}
    tempfile.tempdir = folder
    os.environ.update(dict.fromkeys(VARIABLES, folder))
    try:
        yield
    finally:
        tempfile.tempdir = None
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
        # matplotlib removes a folder of its own at the very end, and wants to find it there.
        if not any(Path(folder).glob("matplotlib-*")):
            shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned(outer: Path) -> None:
    """Remove the folders of commands that were killed; those of other people stay."""
    for folder in outer.glob(f"{PREFIX}*"):
        number = folder.name.removeprefix(PREFIX).partition("-")[0]
        ours = folder.lstat().st_uid == os.getuid() and not folder.is_symlink()
        if ours and number.isdigit() and not is_running(int(number)):
            shutil.rmtree(folder, ignore_errors=True)
