"""`pp-compare reproduce`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pp_compare.audits.audit import DEFAULT_ENGINES, audit
from pp_compare.audits.reproduce import write_bundle
from pp_compare.cli import options
from pp_compare.cli.app import app
from pp_compare.cli.console import print_lines, stdout
from pp_compare.report.verbatim import verbatim
from pp_compare.resources import require_folder


@app.command("reproduce")
def reproduce_command(
    subject: Annotated[str, typer.Argument(help="A named case, or a CSV file with --formula.")],
    formula: options.Formula = None,
    engine: options.Engines = None,
    method: options.Methods = None,
    types: options.Types = None,
    na_value: options.NaValues = None,
    na: options.Na = "raise",
    out: Annotated[Path, typer.Option(help="Folder for the bundles.")] = Path("bundles"),
) -> None:
    """Write data, scripts and an issue with which anybody can see what the audit sees."""
    require_folder(out)
    told, methods = options.read_as(types, na_value), options.parse_methods(method)
    if formula is None:
        selections = options.select([subject], methods, None, None, None, True, told)
    else:
        selections = options.select(None, methods, Path(subject), formula, None, True, told)
        print_lines(options.reading_of(selections[0], told))
    policy = options.na_policy(na)
    report = audit(selections, (*(engine or DEFAULT_ENGINES), "certified"), na=policy)
    for selection, judged in zip(selections, report.cases, strict=True):
        folder = out / judged.file_name
        for path in write_bundle(folder, options.design_of(selection, policy), judged):
            stdout().print(verbatim(str(path)), soft_wrap=True)
