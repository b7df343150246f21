"""`pp-compare check`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pp_compare.audits.handed import check
from pp_compare.cli.app import app
from pp_compare.cli.console import print_paragraphs, stdout
from pp_compare.cli.options import (
    Data,
    Engines,
    Formula,
    Limit,
    Methods,
    NaValues,
    Text,
    Types,
    parse_methods,
    read_as,
)
from pp_compare.data.files import read_dataset
from pp_compare.errors import InputError
from pp_compare.report.audit.json import to_json
from pp_compare.report.audit.terminal import print_report
from pp_compare.report.record import Report
from pp_compare.resources import resource, write_text
from pp_compare.verdict.deviations import load_deviations

MOST = 1_000_000
"""Characters of a printout that are read."""


def _print_r(asked: bool) -> None:
    if asked:
        sys.stdout.write(resource("r", "write_fit.R").read_text(encoding="utf-8"))
        raise typer.Exit


@app.command("check")
def check_command(
    fitted: Annotated[
        str,
        typer.Argument(
            help="A .json that pp_write_fit() wrote in R (see --r-function), or a printout of "
            "summary(); - for stdin."
        ),
    ],
    data: Data = None,
    formula: Formula = None,
    method: Methods = None,
    engine: Engines = None,
    limit: Limit = 60.0,
    text: Text = False,
    out: Annotated[Path | None, typer.Option(help="Folder for the reports and the data.")] = None,
    json: Annotated[str | None, typer.Option(help="File for report.json; - for stdout.")] = None,
    types: Types = None,
    na_value: NaValues = None,
    r_function: Annotated[
        bool,
        typer.Option(
            "--r-function",
            help="Print the R code of pp_write_fit(fit, file), to be sourced in R.",
            is_eager=True,
            callback=_print_r,
        ),
    ] = False,
) -> None:
    """Judge a fit that was made, from R's file or its printout, and fit nothing again."""
    told = read_as(types, na_value)
    if (told.kinds or told.missing) and data is None:
        raise InputError("--type and --na-value are about --data")
    frame = read_dataset(data, told).frame if data else None
    methods = parse_methods(method) or (None,)
    report = check(
        _handed(fitted),
        frame,
        formula,
        engines=tuple(engine or ("certified",)),
        method=methods[0],
        limit=limit,
    )
    _deliver(report, out, json, text)
    raise typer.Exit(report.exit_status)


def _handed(name: str) -> str | Path:
    """A path of JSON, or the text of a printout."""
    if name != "-" and name.lower().endswith(".json"):
        return Path(name)
    if name != "-" and not Path(name).is_file():
        raise InputError(f"no file '{name}'")
    try:
        text = sys.stdin.read(MOST) if name == "-" else Path(name).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"'{name}' is no text in UTF-8: {error}") from None
    return f"{text}\n\n"  # so that it is read as a printout, however short


def _deliver(report: Report, out: Path | None, json: str | None, text: bool) -> None:
    if json == "-":
        sys.stdout.write(to_json(report))
    else:
        console = stdout()
        print_report(console, report, load_deviations())
        if text:
            print_paragraphs(console, report)
    if json and json != "-":
        write_text(Path(json), to_json(report))
    if out is not None:
        report.save(out)
