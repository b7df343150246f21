"""`pp-compare explain`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from pp_compare.audits.glmm_asked import are_generalised, generalised
from pp_compare.audits.selection import Selection
from pp_compare.cli import options
from pp_compare.cli.app import app
from pp_compare.cli.console import print_lines, stdout
from pp_compare.errors import InputError
from pp_compare.inferences.explain import Explanation, ModelExplanation, explain
from pp_compare.inferences.explain_glmm import GlmmExplanation, explain_glmm
from pp_compare.inferences.r_inference import all_inference, first_factor
from pp_compare.inferences.table import InferenceTable
from pp_compare.model.variables import NaPolicy
from pp_compare.report.explain.terminal import print_explanation, print_inference
from pp_compare.resources import require_folder


@app.command("explain")
def explain_command(
    name: Annotated[str | None, typer.Argument(help="A named case.")] = None,
    data: options.Data = None,
    formula: Annotated[str | None, typer.Option(help="As in lme4: 'y ~ x + (x|g)'.")] = None,
    method: options.Methods = None,
    family: options.FamilyName = None,
    weights: options.Weights = None,
    engine: Annotated[str, typer.Option(help="Whose estimates to explain.")] = "certified",
    types: options.Types = None,
    na_value: options.NaValues = None,
    na: options.Na = "raise",
    inference: Annotated[
        bool, typer.Option("--inference", help="Tests and intervals too, by their definitions.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for explain.html and figures; of two methods one in it for each."
        ),
    ] = None,
) -> None:
    """Show the steps of partial pooling with a model's own numbers, and why its line lies there."""
    if (name is None) == (data is None):
        raise InputError("give either a named case or --data with --formula")
    require_folder(out)
    told, methods = options.read_as(types, na_value), options.parse_methods(method)
    if family or are_generalised([name] if name else None):
        if methods or inference:
            raise InputError("--method and --inference are a linear model's")
        policy, names = options.na_policy(na), [name] if name else None
        of = (family, weights, told, None, policy, "raise")
        (chosen,) = generalised(names, data, formula, *of)
        _show(explain_glmm(chosen.design(), engine, chosen.case), out)
        return
    if weights:
        raise InputError("weights are the trials of a binomial response: --family is needed")
    selections = options.select([name] if name else None, methods, data, formula, None, True, told)
    asked = selections[: len(methods or ("REML",))]
    if data is not None:
        print_lines(options.reading_of(asked[0], told))
    for selection in asked:
        folder = out / selection.method if out and len(asked) > 1 else out
        _explain(selection, engine, options.na_policy(na), inference, folder)


def _explain(
    selection: Selection, engine: str, na: NaPolicy, inference: bool, out: Path | None
) -> None:
    design = options.design_of(selection, na)
    explanation = explain(design, engine, selection.case)
    tables, remarks = (
        all_inference(design, selection.case, first_factor(design)) if inference else ([], [])
    )
    _show(explanation, out, tables, remarks)


def _show(
    explanation: Explanation | ModelExplanation | GlmmExplanation,
    out: Path | None,
    tables: Sequence[InferenceTable] = (),
    remarks: Sequence[str] = (),
) -> None:
    print_explanation(stdout(), explanation)
    if tables or remarks:
        print_inference(stdout(), tables, remarks)
    if out is not None:
        from pp_compare.report.explain.folder import write_explanation  # noqa: PLC0415  # as in _deliver

        write_explanation(out, explanation, tables, remarks)
