"""Run what was typed, and end with a sentence and a status whatever happens."""

from __future__ import annotations

import _thread
import io
import os
import signal
import sys
from threading import Timer
from types import FrameType

from pp_compare.cli.app import app
from pp_compare.cli.failures import Stopped, explained
from pp_compare.cli.workspace import workspace

AGAIN_SECONDS = 0.05
"""A callback takes microseconds."""


def run() -> None:
    """Run the command line; whatever fails becomes one line on stderr and an exit status."""
    _tolerate_names()
    signal.signal(signal.SIGTERM, _stop)
    sys.unraisablehook = _once_more
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


def _once_more(lost: sys.UnraisableHookArgs) -> None:
    """Send a signal again that came in a callback, where Python drops whatever is raised."""
    match lost.exc_value:
        case Stopped(number=number):
            again = number
        case KeyboardInterrupt():
            again = int(signal.SIGINT)
        case _:
            sys.__unraisablehook__(lost)
            return
    # From another thread and a moment later, when the callback is over.
    timer = Timer(AGAIN_SECONDS, _send, [again])
    timer.daemon = True
    timer.start()


def _send(number: int) -> None:
    if sys.platform == "win32":
        _thread.interrupt_main(number)
    else:
        os.kill(os.getpid(), number)


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
