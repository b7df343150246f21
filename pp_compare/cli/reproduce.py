"""`pp-compare reproduce`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pp_compare.audits.audit import DEFAULT_ENGINES, audit
from pp_compare.audits.reproduce import write_bundle
from pp_compare.cli.app import app
from pp_compare.cli.console import print_lines, stdout
from pp_compare.cli.options import (
    Engines,
    Formula,
    Methods,
    Na,
    NaValues,
    Types,
    design_of,
    na_policy,
    parse_methods,
    read_as,
    reading_of,
    select,
)
from pp_compare.report.verbatim import verbatim
from pp_compare.resources import require_folder


@app.command("reproduce")
def reproduce_command(
    subject: Annotated[str, typer.Argument(help="A named case, or a CSV file with --formula.")],
    formula: Formula = None,
    engine: Engines = None,
    method: Methods = None,
    types: Types = None,
    na_value: NaValues = None,
    na: Na = "raise",
    out: Annotated[Path, typer.Option(help="Folder for the bundles.")] = Path("bundles"),
) -> None:
    """Write data, scripts and an issue with which anybody can see what the audit sees."""
    require_folder(out)
    told, methods = read_as(types, na_value), parse_methods(method)
    if formula is None:
        selections = select([subject], methods, None, None, None, True, told)
    else:
        selections = select(None, methods, Path(subject), formula, None, True, told)
        print_lines(reading_of(selections[0], told))
    policy = na_policy(na)
    report = audit(selections, (*(engine or DEFAULT_ENGINES), "certified"), na=policy)
    for selection, judged in zip(selections, report.cases, strict=True):
        folder = out / judged.file_name
        for path in write_bundle(folder, design_of(selection, policy), judged):
            stdout().print(verbatim(str(path)), soft_wrap=True)
