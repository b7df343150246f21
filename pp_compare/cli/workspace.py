"""A folder for what a command and its processes write for a while, gone when the command ends.

R makes a folder for each of its processes, and leaves it where the process is killed; a library may
do likewise. All of them are asked to do so in one place (``TMPDIR``), which is removed at the end,
or by the next command where this one is killed itself.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pp_compare.resources import is_running

VARIABLES = ("TMPDIR", "HYPOTHESIS_STORAGE_DIRECTORY")
"""Hypothesis would keep things in the current folder."""

PREFIX = "pp-compare-work-"
"""Then comes the number of the process."""


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
