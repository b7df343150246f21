"""`pp-compare compare`."""

from __future__ import annotations

import json as json_module
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from pp_compare.certified.models import DegenerateModelError
from pp_compare.cli.app import app
from pp_compare.cli.console import stdout
from pp_compare.cli.options import (
    Data,
    Formula,
    Methods,
    Na,
    design_of,
    na_policy,
    parse_methods,
    select,
)
from pp_compare.conformance.parity import held_numbers
from pp_compare.errors import DataError, InputError
from pp_compare.fitted.printed import Printout
from pp_compare.fitted.printout import MOST_CHARACTERS, from_printout
from pp_compare.model import Method
from pp_compare.report.rich_table import rich_table
from pp_compare.report.table import Table
from pp_compare.report.verbatim import verbatim
from pp_compare.verdict.shown import ShownResult


@app.command("compare")
def compare_command(
    numbers: Annotated[
        str,
        typer.Argument(
            help="A printout of summary() of lmer, lme or MixedLM, or JSON of numbers by name, as "
            '{"(Intercept)": "0.9616", "REMLcrit": "197.6"}; - for stdin.'
        ),
    ],
    case: Annotated[str | None, typer.Option(help="A named case, for --data.")] = None,
    data: Data = None,
    formula: Formula = None,
    method: Methods = None,
    reference: Annotated[
        str, typer.Option(help="Engine id: certified is the truth, another is parity.")
    ] = "certified",
    na: Na = "raise",
) -> None:
    """Hold numbers from paper against a reference, each to the digits that it shows."""
    given = _read(numbers)
    said = given.formula if isinstance(given, Printout) and case is None else None
    asked = parse_methods(method) or _method(given)
    design = design_of(_selection(case, data, formula or said, asked), na_policy(na))
    try:
        result = held_numbers(given, reference, design, "shown")
    except DegenerateModelError as reason:
        raise DataError(str(reason)) from None
    _print(result)
    raise typer.Exit(int(any(line.verdict != "pass" for line in result.lines)))


def _method(given: Printout | dict[str, Any]) -> tuple[Method, ...]:
    return (given.method,) if isinstance(given, Printout) else ("REML",)


def _selection(
    case: str | None, data: Path | None, formula: str | None, methods: tuple[Method, ...]
) -> Any:
    if (case is None) == (data is None):
        raise InputError(
            "give either --case NAME or --data FILE, with --formula where the text does not say it"
        )
    if data is not None and formula is None:
        raise InputError("the numbers do not say their model: give --formula, in lme4's grammar")
    return select([case] if case else None, methods, data, formula if data else None, None, True)[0]


def _read(name: str) -> Printout | dict[str, Any]:
    """A printout, or numbers by name; numbers in JSON keep the digits they are written with."""
    if name != "-" and not Path(name).is_file():
        raise InputError(f"no file '{name}'")
    try:
        text = sys.stdin.read(MOST_CHARACTERS + 1) if name == "-" else Path(name).read_text("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"'{name}' is no text in UTF-8: {error}") from None
    if not text.lstrip().startswith("{"):
        return from_printout(text)
    try:
        found = json_module.loads(text, parse_float=str, parse_int=str)
    except (ValueError, RecursionError) as error:
        raise InputError(f"'{name}' is no JSON: {error}") from None
    return dict(found)


def _print(result: ShownResult) -> None:
    console = stdout()
    lines = sorted(result.lines, key=lambda line: line.verdict != "fail")  # a long table is cut
    rows = tuple(
        (
            line.quantity,
            f"{line.candidate_value:.10g}",
            f"{line.reference_value:.10g}",
            {"pass": "right", "fail": "cannot be"}.get(line.verdict, "not judged"),
        )
        for line in lines
    )
    console.print(rich_table(Table(("number", "shown", result.lines[0].reference, ""), rows)))
    if result.definition.statement:
        console.print(
            verbatim(f"standard errors are another quantity: {result.definition.statement}")
        )
    console.print(verbatim(_told(result)))


def _told(result: ShownResult) -> str:
    whole = f"{len(result.lines)} numbers"
    off = sum(line.verdict == "fail" for line in result.lines)
    if off:
        return f"{off} of {whole} cannot be what a sound fit shows beside the others"
    if any(line.verdict != "pass" for line in result.lines):
        return f"nothing is said of the {whole}: double precision cannot tell in this model"
    return f"all {whole} are what one sound fit can show, each to the digits it has"
