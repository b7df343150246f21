"""`pp-compare at`."""

from __future__ import annotations

import json as json_text
from dataclasses import asdict
from typing import Annotated

import typer

from pp_compare.audits.selection import GlmmSelection
from pp_compare.cli.app import app
from pp_compare.cli.console import print_lines
from pp_compare.cli.options import Data, FamilyName, Formula, Na, Types, Weights, na_policy, read_as
from pp_compare.data.corpus import case
from pp_compare.data.files import read_dataset
from pp_compare.data.glmm_corpus import glmm_cases
from pp_compare.errors import InputError, quoted
from pp_compare.inferences.at import Value, glmm_value, lmm_value
from pp_compare.model import Dataset
from pp_compare.model.design import Design, build_design
from pp_compare.model.formula import parse_formula
from pp_compare.model.glmm import GlmmDesign, parse_family
from pp_compare.report.plain import plain

LMM = ("reml", "ml")


@app.command("at")
def at_command(
    name: Annotated[str | None, typer.Argument(help="A named case, instead of --data.")] = None,
    criterion: Annotated[
        str,
        typer.Option(help="reml or ml of a linear model; exact, laplace or agq:k with --family."),
    ] = "",
    beta: Annotated[
        str | None, typer.Option(help="Fixed effects in the model's order, as in '-1.4,0.2'.")
    ] = None,
    sd: Annotated[
        list[str] | None,
        typer.Option("--sd", help="Random standard deviations of a group, as in herd=0.64."),
    ] = None,
    correlation: Annotated[
        list[str] | None,
        typer.Option("--correlation", help="Its correlations, row by row, as in Subject=0.07."),
    ] = None,
    sigma: Annotated[
        float | None, typer.Option(help="Residual standard deviation of a linear model.")
    ] = None,
    data: Data = None,
    formula: Formula = None,
    family: FamilyName = None,
    weights: Weights = None,
    types: Types = None,
    na: Na = "raise",
    best: Annotated[
        bool,
        typer.Option("--best/--no-best", help="Prove the maximum of a generalised model, too."),
    ] = True,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Evaluate any criterion at anybody's numbers, enclosed: what settles a dispute."""
    sds = _groups(sd, "--sd")
    correlations = _groups(correlation, "--correlation")
    fixed = None if beta is None else _numbers(beta, "--beta")
    dataset = read_dataset(data, read_as(types, None)) if data else None
    generalised = _generalised(name, dataset, formula, family, weights, na)
    if generalised is not None:
        if sigma is not None:
            raise InputError("a generalised model has no residual standard deviation: no --sigma")
        if fixed is None:
            raise InputError("--beta is needed: the fixed effects are not profiled out here")
        asked = criterion or "exact"
        value = glmm_value(generalised, asked, fixed, sds, correlations, against_best=best)
    else:
        if sigma is None:
            raise InputError("--sigma is needed: the residual standard deviation")
        design = _linear(name, dataset, formula, weights, na, criterion or "reml")
        value = lmm_value(design, sigma, sds, correlations, fixed)
    print_lines(_lines(value) if not json else [json_text.dumps(plain(asdict(value)), indent=1)])


def _lines(value: Value) -> list[str]:
    width = value.upper - value.lower
    found = [
        f"{value.definition}: log-likelihood {value.digits}",
        f"  between the doubles {value.lower!r} and {value.upper!r}, {width:.1g} apart",
    ]
    if value.best:
        found.append(f"  {value.below:.6g} below its certified maximum, {value.best}")
    return found


def _generalised(
    name: str | None,
    dataset: Dataset | None,
    formula: str | None,
    family: str | None,
    weights: str | None,
    na: str,
) -> GlmmDesign | None:
    known = {case.name: case for case in glmm_cases()}
    if name in known:
        if dataset is not None:
            raise InputError("give either a named case or --data, not both")
        return known[name].design()
    if family is None:
        return None
    if dataset is None or formula is None:
        raise InputError("--family needs --data and --formula, or a named generalised case")
    of, policy = parse_family(family), na_policy(na)
    return GlmmSelection(dataset.name, dataset, formula, of, weights, na=policy).design()


def _linear(
    name: str | None,
    dataset: Dataset | None,
    formula: str | None,
    weights: str | None,
    na: str,
    criterion: str,
) -> Design:
    if criterion not in LMM:
        raise InputError(
            f"--criterion of a linear model is {' or '.join(LMM)}, not {quoted(criterion)}; "
            "exact, laplace and agq:k belong to --family"
        )
    if name is not None:
        if dataset is not None:
            raise InputError("give either a named case or --data, not both")
        known = case(name)
        dataset, formula = known.dataset, known.formula
    if dataset is None or formula is None:
        raise InputError("--data and --formula belong together, or name a case")
    spec = parse_formula(formula, "REML" if criterion == "reml" else "ML", weights)
    return build_design(dataset, spec, na_policy(na))


def _groups(texts: list[str] | None, option: str) -> dict[str, list[float]]:
    found = {}
    for text in texts or ():
        group, equals, numbers = text.rpartition("=")
        if not equals or not group:
            raise InputError(f"{option} is GROUP=NUMBERS, as in herd=0.64, not {quoted(text)}")
        found[group] = _numbers(numbers, option)
    return found


def _numbers(text: str, option: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"{option} takes numbers with commas, not {quoted(text)}") from None
