"""A check of releases in a terminal."""

from __future__ import annotations

from rich.console import Console, JustifyMethod
from rich.table import Table as RichTable
from rich.text import Text

from pp_compare.report.release import tables
from pp_compare.report.release.document import beside, by_kind, noise
from pp_compare.report.release.record import KINDS, Change, Difference, ReleaseReport
from pp_compare.report.table import Table
from pp_compare.report.verbatim import verbatim

STYLES = {"worse": "bold red", "better": "green", "changed": "yellow"}
MOST_LINES = 12
"""Of one kind of change; the other reports have more."""

NAME_WIDTH = 24
"""Names wrap beyond this where there is little room."""


def print_releases(console: Console, report: ReleaseReport) -> None:
    """Print the matrix, what changed, and the verdict last, where it is read first."""
    _print_table(console, "Can its numbers be used? Models by judgement", tables.worth(report))
    for sentence in tables.judged(report):
        console.print(verbatim(f"  {sentence}"))
    _print_table(console, "Against the certified optimum, in models", tables.matrix(report))
    _print_table(console, "Digits right: median / least over the models", tables.digits(report))
    unexpected = tables.unexpected(report)
    if unexpected:
        _print_table(
            console, "In no registry: models of each candidate, in their order", unexpected
        )
    _print_probes(console, report)
    if report.noise:
        _print_table(console, noise(report), tables.noise(report))
    for difference in report.differences:
        _print_difference(console, difference)
    console.print()
    for sentence in tables.verdict(report):
        console.print(verbatim(sentence, "bold"), soft_wrap=True)


def _print_probes(console: Console, report: ReleaseReport) -> None:
    """Only what some candidate does not do; the other reports have all that was asked."""
    table = tables.probed(report)
    if table is None:
        return
    rows = tuple(row for row in table.rows if any(cell.startswith("no") for cell in row[1:]))
    if rows:
        shown = Table(table.columns, rows, labels=len(table.columns))
        _print_table(console, "Asked beside the fits; where a candidate says no", shown)


def _print_difference(console: Console, difference: Difference) -> None:
    console.print()
    console.print(verbatim(f"From {difference.before} to {difference.after}", "bold underline"))
    for sentence in beside(difference):
        console.print(verbatim(f"  {sentence}"), soft_wrap=True)
    if not difference.changes:
        console.print(f"  no change in {difference.models} models")
    for kind, changes in by_kind(difference.changes):
        console.print(Text(f" {KINDS[kind]}", style="italic"))
        for change in changes[:MOST_LINES]:
            console.print(_line(change), soft_wrap=True)
        if len(changes) > MOST_LINES:
            console.print(f"  and {len(changes) - MOST_LINES} more")


def _line(change: Change) -> Text:
    text = Text("  ")
    text.append(f"{change.direction:<8}", style=STYLES[change.direction])
    text.append_text(verbatim(change.subject, "bold"))
    text.append_text(verbatim(f": {change.before} -> {change.after}"))
    where = tables.where(change)
    if where:
        text.append_text(verbatim(f" [{where}]", "dim"))
    return text


def _print_table(console: Console, title: str, table: Table) -> None:
    if not table.rows:
        return
    console.print()
    console.print(verbatim(title, "bold"))
    shown = RichTable(box=None, pad_edge=False, header_style="bold")
    for k, name in enumerate(table.columns):
        side: JustifyMethod = "left" if k < table.labels else "right"
        room = _room(table, k)
        shown.add_column(verbatim(name), justify=side, min_width=room, overflow="fold")
    for row in table.rows:
        shown.add_row(*map(verbatim, row))
    console.print(shown)


def _room(table: Table, k: int) -> int:
    """Width that a column keeps: names and headings wrap where there is little, no number does."""
    cells = [row[k] for row in table.rows]
    if k < table.labels:
        return min(max(map(len, cells)), NAME_WIDTH) if k == 0 else 0
    return max(map(len, [*table.columns[k].split(), *cells]))
