"""`pp-compare doctor`."""

from __future__ import annotations

import typer

from pp_compare.audits.doctor import Finding, diagnose
from pp_compare.cli.app import app
from pp_compare.cli.console import escape, stdout
from pp_compare.cli.failures import UNAVAILABLE


@app.command("doctor")
def doctor_command() -> None:
    """Say which engines run here, in which versions, and what to do about the others."""
    console = stdout()
    findings = diagnose()
    for finding in findings:
        mark = _mark(finding)
        console.print(f"{mark} {escape(finding.subject)}: {escape(finding.text)}")
    missing = any(finding.needed and not finding.ok for finding in findings)
    raise typer.Exit(UNAVAILABLE if missing else 0)


def _mark(finding: Finding) -> str:
    if finding.ok:
        return "[green]ok[/]      "
    return "[red]missing[/] " if finding.needed else "[dim]optional[/]"
