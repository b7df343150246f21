"""`pp-compare reproduce`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pp_compare.audits.audit import DEFAULT_ENGINES, audit
from pp_compare.audits.reproduce import write_bundle
from pp_compare.cli import options
from pp_compare.cli.app import app
from pp_compare.cli.console import stdout
from pp_compare.report.verbatim import verbatim


@app.command("reproduce")
def reproduce_command(
    subject: Annotated[str, typer.Argument(help="A named case, or a CSV file with --formula.")],
    formula: options.Formula = None,
    engine: options.Engines = None,
    method: options.Methods = None,
    na: options.Na = "raise",
    out: Annotated[Path, typer.Option(help="Folder for the bundles.")] = Path("bundles"),
) -> None:
    """Write data, scripts and an issue with which anybody can see what the audit sees."""
    names, data = ([subject], None) if formula is None else (None, Path(subject))
    methods = options.parse_methods(method)
    selections = options.select(names, methods, data, formula, None, True)
    policy = options.na_policy(na)
    report = audit(selections, (*(engine or DEFAULT_ENGINES), "certified"), na=policy)
    for selection, judged in zip(selections, report.cases, strict=True):
        folder = out / judged.file_name
        for path in write_bundle(folder, options.design_of(selection, policy), judged):
            stdout().print(verbatim(str(path)), soft_wrap=True)
