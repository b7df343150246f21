"""The audit of a generalised mixed model in a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from pp_compare.report.audit.findings import worst_first
from pp_compare.report.audit.outcome import outcome
from pp_compare.report.audit.terminal import heading, print_judgement, print_rest, sources_line
from pp_compare.report.audit.terminal_tables import Column, in_parts
from pp_compare.report.glmm.tables import estimates_table, identities_lines, truths
from pp_compare.report.record import CaseReport, Report
from pp_compare.report.table import Table
from pp_compare.report.verbatim import verbatim
from pp_compare.verdict.deviations import Deviation


def print_glmm_report(console: Console, report: Report, registry: Iterable[Deviation]) -> None:
    """Print the whole report: judgements, estimates beside both truths, what is proved."""
    live = report.provenance.r_source == "live"
    if not live:
        console.print(verbatim(sources_line(report)))
        console.print()
    for i, case in enumerate(report.cases):
        if i:
            console.print()
        _print_case(console, case)
    print_rest(console, report, registry)
    console.print()
    if live:
        console.print(verbatim(sources_line(report), "dim"))
    found = outcome(report)
    console.print(verbatim(f"{found.word}: {found.sentence}", "bold"))


def _print_case(console: Console, case: CaseReport) -> None:
    console.print(heading(case))
    for judgement in worst_first(case):
        print_judgement(console, judgement)
    console.print()
    for table in _parts(estimates_table(case), console.width):
        console.print(table)
        console.print()
    for line in truths(case):
        console.print(verbatim(line, "dim"), soft_wrap=True)
    for line in identities_lines(case):
        console.print(verbatim(line, "dim"), soft_wrap=True)


def _parts(table: Table, width: int) -> list[RichTable]:
    labels = [verbatim(row[0]) for row in table.rows]
    columns = [
        # Broken between the words, and not within one.
        Column(
            verbatim(name.replace("certified:", "certified ")),
            [Text(row[i + 1]) for row in table.rows],
        )
        for i, name in enumerate(table.columns[1:])
    ]
    return in_parts(width, labels, columns)
