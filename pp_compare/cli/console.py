"""What the commands print: results to stdout, progress to stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from pp_compare.report.paragraph import paragraphs
from pp_compare.report.record import Report
from pp_compare.report.verbatim import verbatim

LOG_SECONDS = 10.0
"""Between two lines of a log."""

Show = Callable[[str, int, int | None], None]
"""Takes a line, and how many are done of how many; None where nobody knows."""


def stdout() -> Console:
    """A terminal has its own width; a file or a pipe gets lines of 120."""
    return _console(width=None if sys.stdout.isatty() else 120)


def print_paragraphs(console: Console, report: Report) -> None:
    """A paragraph for the paper for each model, without line breaks of its own."""
    for text in paragraphs(report):
        console.print()
        console.print(verbatim(text))


def print_lines(lines: Sequence[str], *, to_stderr: bool = False) -> None:
    """Lines of plain text, whole ones even where the terminal is narrow; none of it is markup."""
    console = Console(stderr=True, highlight=False) if to_stderr else stdout()
    for line in lines:
        console.print(Text(line), soft_wrap=True)


def progress_bar() -> Progress:
    """A bar on stderr; nothing where stderr is not a terminal."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[title]}", markup=False),
        console=_console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


@contextmanager
def fits_bar(description: str) -> Iterator[Callable[[str, int, int], None]]:
    """A bar that counts fits, for ``progress`` of `pp_compare.audits.audit.audit`."""
    with progress_bar() as bar:
        task = bar.add_task(f"{description}: fits", total=None, title="")
        yield lambda title, done, of: bar.update(task, completed=done, total=of, title=title)


@contextmanager
def follow(first: str, *, keep: bool = False) -> Iterator[Show]:
    """Show a line on stderr that changes: under a bar on a terminal, now and then in a log.

    Parameters
    ----------
    first : str
        Shown on a terminal until there is another.
    keep : bool
        Whether the last line stays on a terminal.
    """
    if not sys.stderr.isatty():
        yield _log()
        return
    columns = BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False)
    with Progress(*columns, console=_console(stderr=True), transient=not keep) as bar:
        task = bar.add_task(first, total=None)
        yield lambda line, done, of: bar.update(task, completed=done, total=of, description=line)


def _log() -> Show:
    """A line in so many seconds; always the last one, and those on what may take any time."""
    last = -LOG_SECONDS

    def show(line: str, done: int, of: int | None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= LOG_SECONDS or of in (done, None):
            last = now
            sys.stderr.write(f"{line}\n")

    return show


def _console(width: int | None = None, *, stderr: bool = False) -> Console:
    """A console to which text is text: no style, picture or colour is read out of it."""
    return Console(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)
