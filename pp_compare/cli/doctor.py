"""`pp-compare doctor`."""

from __future__ import annotations

import typer

from pp_compare.cli.app import UNAVAILABLE, app
from pp_compare.cli.console import escape, stdout
from pp_compare.doctor import diagnose


@app.command("doctor")
def doctor_command() -> None:
    """Say which engines run here, in which versions, and what to do about the others."""
    console = stdout()
    findings = diagnose()
    for finding in findings:
        mark = "[green]ok[/]     " if finding.ok else "[red]missing[/]"
        console.print(f"{mark} {escape(finding.subject)}: {escape(finding.text)}")
    raise typer.Exit(0 if all(finding.ok for finding in findings) else UNAVAILABLE)
