"""`pp-compare audit`."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, cast, get_args

import pandas as pd
import typer

from pp_compare.audits.audit import DEFAULT_ENGINES, audit
from pp_compare.audits.glmm import audit_glmm
from pp_compare.audits.glmm_asked import are_generalised, generalised
from pp_compare.audits.selection import GlmmSelection
from pp_compare.cli.app import app
from pp_compare.cli.console import fits_bar, print_lines, print_paragraphs, stdout
from pp_compare.cli.options import (
    Data,
    Engines,
    FamilyName,
    Formula,
    Limit,
    Methods,
    Na,
    NaValues,
    Rank,
    Text,
    Types,
    Weights,
    asked_of,
    designs_of,
    na_policy,
    parse_methods,
    read_as,
    reading_of,
    select,
)
from pp_compare.errors import InputError, PPCompareError
from pp_compare.model.design import Design
from pp_compare.report.audit.json import to_json
from pp_compare.report.audit.terminal import print_report
from pp_compare.report.glmm.terminal import print_glmm_report
from pp_compare.report.record import CaseReport, FailOn, Report
from pp_compare.resources import require_folder, write_text
from pp_compare.verdict.deviations import load_deviations, load_glmm_deviations


@app.command("audit")
def audit_command(
    cases: Annotated[
        list[str] | None, typer.Argument(help="Named cases; all but the large ones by default.")
    ] = None,
    engine: Engines = None,
    tight: Annotated[
        bool, typer.Option("--tight", help="Beside each default the engine's closest settings.")
    ] = False,
    method: Methods = None,
    data: Data = None,
    formula: Formula = None,
    family: FamilyName = None,
    types: Types = None,
    na_value: NaValues = None,
    na: Na = "raise",
    rank: Rank = "raise",
    weights: Weights = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="Only cases with this tag; repeatable.")
    ] = None,
    large: Annotated[bool, typer.Option("--large", help="The large cases too.")] = False,
    limit: Limit = 60.0,
    fail_on: Annotated[
        str | None,
        typer.Option(
            "--fail-on",
            help="Exit 1 where an engine is wrong or does not answer (wrong: the default with "
            "--data), where something is in no registry (news: the default on named cases), for "
            "either or an early stop (any), or never (none).",
        ),
    ] = None,
    remedies: Annotated[
        bool | None,
        typer.Option(
            "--remedies/--no-remedies",
            help="Run an engine's other settings where its numbers cannot be used, until one "
            "arrives; on your own data by default.",
        ),
    ] = None,
    text: Text = False,
    inference: Annotated[
        bool,
        typer.Option(
            "--inference",
            help="Of each fixed effect df, p and interval by every definition, beside what each "
            "engine reports.",
        ),
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for the reports and the data.")] = None,
    json: Annotated[str | None, typer.Option(help="File for report.json; - for stdout.")] = None,
    bundle: Annotated[
        Path | None, typer.Option(help="Folder for one bundle a failing case, as by reproduce.")
    ] = None,
) -> None:
    """Fit every model with every engine, and say how well they agree, who is right, and why not."""
    require_folder(out)
    policy = na_policy(na)
    told = read_as(types, na_value)
    if family is not None or are_generalised(cases):
        if inference:
            raise InputError("--inference is of linear mixed models; this one is generalised")
        asked = generalised(cases, data, formula, family, weights, told, tag, policy, rank)
        raise typer.Exit(
            _audit_generalised(
                asked,
                engine,
                limit=limit,
                fail_on=_fail_on(fail_on, own_data=data is not None),
                remedies=remedies is not False,
                out=out,
                json=json,
            )
        )
    chosen = select(cases, parse_methods(method), data, formula, tag, large, told)
    selections = asked_of(chosen, weights, rank)
    with fits_bar("audit") as progress:
        report = audit(
            selections,
            _engines(engine, tight),
            na=policy,
            limit=limit,
            processes=os.cpu_count() or 1,
            fail_on=_fail_on(fail_on, own_data=data is not None),
            remedies=(data is not None) if remedies is None else remedies,
            command=shlex.join(["pp-compare", *sys.argv[1:]]),
            progress=progress,
        )
    designs = designs_of(selections, policy)
    if data is not None:
        print_lines(reading_of(selections[0], told), to_stderr=json == "-")
    _deliver(report, out, json, designs, paper=text)
    if inference:
        _infer(report, designs, out, quiet=json == "-")
    if bundle is not None:
        from pp_compare.audits.bundles.reproduce import write_bundle  # noqa: PLC0415 - as above

        for failing in (c for c in report.cases if c.failing):
            write_bundle(bundle / failing.file_name, designs(failing), failing)
    raise typer.Exit(report.exit_status)


def _infer(
    report: Report, designs: Callable[[CaseReport], Design], out: Path | None, *, quiet: bool
) -> None:
    """Print the inference of every model, and write inference.csv beside the report."""
    # Loaded where they are asked for: the start of every other audit need not wait for them.
    from pp_compare.inferences.r_inference import all_inference, first_factor  # noqa: PLC0415
    from pp_compare.inferences.table import table_frame  # noqa: PLC0415
    from pp_compare.report.explain.effects import print_effects  # noqa: PLC0415

    found = []
    for case in report.cases:
        engines = [engine.partition(":")[0] for engine in case.fits]
        design = designs(case)
        try:
            tables, remarks = all_inference(design, case.case, first_factor(design), engines)
        except PPCompareError as reason:
            print_lines([f"{case.title}: no inference: {reason}"], to_stderr=quiet)
            continue
        found.append(table_frame(tables).assign(case=case.case, method=case.method))
        if not quiet:
            print_effects(stdout(), case.title, tables, remarks)
    if out is not None and found:
        write_text(out / "inference.csv", pd.concat(found).to_csv(index=False))


def _fail_on(asked: str | None, *, own_data: bool) -> FailOn:
    """What the exit status asks about: whether the numbers are right, or whether it is news."""
    if asked is None:
        return "wrong" if own_data else "news"
    for known in get_args(FailOn):
        if asked == known:
            return cast(FailOn, known)
    raise InputError(f"--fail-on takes {', '.join(get_args(FailOn))}, not '{asked}'")


HAVE_TIGHT = frozenset({"lme4", "nlme", "statsmodels"})


def _engines(names: list[str] | None, tight: bool) -> tuple[str, ...]:
    """What was asked for, with ``tight`` each engine's closest setting behind its default."""
    chosen = tuple(names or DEFAULT_ENGINES)
    if not tight:
        return chosen
    pairs = [(e, f"{e}:tight") if e in HAVE_TIGHT else (e,) for e in chosen]
    return tuple(dict.fromkeys(engine for pair in pairs for engine in pair))


def _deliver(
    report: Report,
    out: Path | None,
    json: str | None,
    designs: Callable[[CaseReport], Design],
    *,
    paper: bool,
) -> None:
    text = to_json(report)
    if json == "-":
        sys.stdout.write(text)
    else:
        print_report(stdout(), report, load_deviations())
        if paper:
            print_paragraphs(stdout(), report)
    if json and json != "-":
        write_text(Path(json), text)
    if out is not None:
        # Figures need matplotlib, which takes half a second to load.
        from pp_compare.report.audit.folder import write_report  # noqa: PLC0415

        write_report(out, report, load_deviations(), designs)


def _audit_generalised(
    selections: list[GlmmSelection],
    engines: list[str] | None,
    *,
    limit: float,
    fail_on: FailOn,
    remedies: bool,
    out: Path | None,
    json: str | None,
) -> int:
    """Audit generalised models, print and write; the exit status."""
    with fits_bar("audit") as progress:
        report = audit_glmm(
            selections,
            engines,
            limit=limit,
            processes=os.cpu_count() or 1,
            fail_on=fail_on,
            remedies=remedies,
            command=shlex.join(["pp-compare", *sys.argv[1:]]),
            progress=progress,
        )
    text = to_json(report)
    if json == "-":
        sys.stdout.write(text)
    else:
        print_glmm_report(stdout(), report, load_glmm_deviations())
    if json and json != "-":
        write_text(Path(json), text)
    if out is not None:
        report.save(out)
    return report.exit_status
