"""`pp-compare reproduce`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from pp_compare.audits.audit import DEFAULT_ENGINES, audit
from pp_compare.audits.bundles.reproduce import write_bundle
from pp_compare.audits.bundles.stored import read_report, read_schema
from pp_compare.audits.handed import check
from pp_compare.cli import options
from pp_compare.cli.app import app
from pp_compare.cli.console import print_lines, stdout
from pp_compare.data.files import read_dataset
from pp_compare.data.types import ReadAs
from pp_compare.fitted.r_record import SCHEMA as FIT
from pp_compare.model.design import Design
from pp_compare.report.record import CaseReport
from pp_compare.report.verbatim import verbatim
from pp_compare.resources import require_folder


@app.command("reproduce")
def reproduce_command(
    cases: Annotated[
        list[str] | None,
        typer.Argument(
            help="Named cases; or a .json: a report that check or audit wrote, whose fits are then "
            "taken as they are, or a fit that R wrote."
        ),
    ] = None,
    engine: options.Engines = None,
    method: options.Methods = None,
    data: options.Data = None,
    formula: options.Formula = None,
    types: options.Types = None,
    na_value: options.NaValues = None,
    na: options.Na = "raise",
    rank: options.Rank = "raise",
    weights: options.Weights = None,
    limit: options.Limit = 60.0,
    out: Annotated[Path, typer.Option(help="Folder for the bundles.")] = Path("bundles"),
) -> None:
    """Write data, scripts and an issue with which anybody can see what the audit sees."""
    require_folder(out)
    told = options.read_as(types, na_value)
    if cases and len(cases) == 1 and cases[0].lower().endswith(".json"):
        found = _stored(Path(cases[0]), data, formula, told)
    else:
        methods = options.parse_methods(method)
        chosen = options.select(cases, methods, data, formula, None, bool(cases), told)
        selections = options.asked_of(chosen, weights, rank)
        if data is not None:
            print_lines(options.reading_of(selections[0], told))
        engines = (*(engine or DEFAULT_ENGINES), "certified")
        report = audit(selections, engines, na=options.na_policy(na), limit=limit)
        found = zip(report.designs, report.cases, strict=True)
    for design, case in found:
        paths = write_bundle(out / case.file_name, design, case)
        for path in paths:
            stdout().print(verbatim(str(path)), soft_wrap=True)
        if not any(path.name.startswith("ISSUE") for path in paths):
            print_lines([f"{case.title}: nothing differs, so there is no issue to file."])


def _stored(
    path: Path, data: Path | None, formula: str | None, told: ReadAs
) -> Iterator[tuple[Design, CaseReport]]:
    """The models of a file, with the fits that it holds."""
    schema, _ = read_schema(path)
    if schema != FIT:
        yield from ((s.design, s.case) for s in read_report(path, data, formula, told))
        return
    frame = read_dataset(data, told).frame if data else None
    report = check(path, frame, formula)
    yield from zip(report.designs, report.cases, strict=True)
