"""`pp-compare doctor`."""

from __future__ import annotations

import typer
from rich.text import Text

from pp_compare.audits.doctor import Finding, diagnose
from pp_compare.cli.app import app
from pp_compare.cli.console import stdout
from pp_compare.cli.failures import UNAVAILABLE
from pp_compare.report.verbatim import verbatim


@app.command("doctor")
def doctor_command() -> None:
    """Say which engines run here, in which versions, and what to do about the others."""
    console = stdout()
    findings = diagnose()
    for finding in findings:
        first, *commands = finding.text.split("\n")
        console.print(_mark(finding) + verbatim(f" {finding.subject}: {first}"))
        for command in commands:  # to be copied, so whole
            console.print(verbatim(command), soft_wrap=True)
    missing = any(finding.needed and not finding.ok for finding in findings)
    raise typer.Exit(UNAVAILABLE if missing else 0)


def _mark(finding: Finding) -> Text:
    if finding.ok:
        return Text("ok      ", "green")
    return Text("missing ", "red") if finding.needed else Text("optional", "dim")
