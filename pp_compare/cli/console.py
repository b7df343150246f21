"""What the commands print: results to stdout, progress to stderr."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


def stdout() -> Console:
    """A terminal has its own width; a file or a pipe gets lines of 120."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def progress_bar() -> Progress:
    """A bar on stderr; nothing where stderr is not a terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[title]}"),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


def escape(text: str) -> str:
    """Square brackets are rich's markup."""
    return text.replace("[", r"\[")
