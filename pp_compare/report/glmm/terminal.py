"""The audit of a generalised mixed model in a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from pp_compare.report.audit.findings import worst_first
from pp_compare.report.audit.terminal import heading, print_judgement
from pp_compare.report.audit.terminal_tables import Column, in_parts
from pp_compare.report.glmm.tables import estimates_table, truths
from pp_compare.report.record import CaseReport, Report
from pp_compare.report.table import Table
from pp_compare.report.verbatim import verbatim
from pp_compare.verdict.judgement import Standing


def print_glmm_report(console: Console, report: Report) -> None:
    """Print the whole report: judgements, estimates beside both truths, what is proved."""
    for i, case in enumerate(report.cases):
        if i:
            console.print()
        _print_case(console, case)
    console.print()
    console.print(verbatim(outcome_line(report), "bold"))


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
    for check in case.identities:
        if check.verdict == "fail":
            said = f"{check.engine}: {check.identity}: {check.error:.2g}, {check.tolerance:.2g}"
            console.print(Padding(verbatim(f"{said} would pass, as {check.reason}"), (0, 0, 0, 2)))


def _parts(table: Table, width: int) -> list[RichTable]:
    labels = [verbatim(row[0]) for row in table.rows]
    columns = [
        Column(verbatim(name), [Text(row[i + 1]) for row in table.rows])
        for i, name in enumerate(table.columns[1:])
    ]
    return in_parts(width, labels, columns)


def outcome_line(report: Report) -> str:
    """How many engines stand where, and the exit status."""
    counts: dict[Standing, int] = {}
    for judgement in report.judgements:
        counts[judgement.standing] = counts.get(judgement.standing, 0) + 1
    said = ", ".join(f"{n} {standing}" for standing, n in counts.items()) or "nothing judged"
    return f"{said}; exit status {report.exit_status} (--fail-on {report.fail_on})"
