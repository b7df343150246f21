"""Judging a printout: whether one fit at the optimum can have shown all of its numbers."""

from __future__ import annotations

import time
from dataclasses import replace

import pandas as pd

from pp_compare.audits.judging import case_report
from pp_compare.audits.provenance import collect_provenance
from pp_compare.audits.selection import Selection
from pp_compare.certified.models import CertifiedModel, DegenerateModelError, certified_model
from pp_compare.engines import make_engine
from pp_compare.errors import DataError, InputError
from pp_compare.fitted.printed import Printout
from pp_compare.model import Dataset, Fit, Method
from pp_compare.model.design import Design, build_design
from pp_compare.model.formula import parse_formula
from pp_compare.report.record import FailOn, Report
from pp_compare.verdict.agreement import Comparison
from pp_compare.verdict.judgement import Judgement
from pp_compare.verdict.shown import ShownResult, compare_shown
from pp_compare.verdict.tolerance import derive_tolerances

TOLD = 3
"""Numbers that the sentence names."""


def judged_printout(
    printout: Printout,
    data: pd.DataFrame | None,
    formula: str | None,
    method: Method | None,
    fail_on: FailOn,
) -> Report:
    """The Report of a printout; its comparisons are its numbers, one line each.

    Raises
    ------
    InputError
        Without the data, or where neither the printout nor `formula` says the model.
    """
    started = time.perf_counter()
    if data is None:
        raise InputError(f"a printout of {printout.program} has no data in it: pass data=")
    text = formula or printout.formula
    if text is None:
        raise InputError(
            f"the printout of {printout.program} does not say its model: pass formula=, in lme4's "
            "grammar, as in 'y ~ x + (1|g)'"
        )
    if method is not None and method != printout.method:
        raise InputError(f"the printout is of {printout.method}, not {method}")
    spec = parse_formula(text, printout.method)
    design = build_design(Dataset("printout", data), spec, "drop")
    why = f"The printout of {printout.program}, as it was handed over."
    selection = Selection("printout", design.dataset, text, printout.method, why)
    certified = make_engine("certified").fit(design)
    fits = {"certified": certified} if certified.status == "ok" else {}
    lines, judgement = _judged(printout, design)
    case = replace(case_report(selection, design, fits), comparisons=lines, judgements=(judgement,))
    provenance = collect_provenance(fits.values(), {}, "pp_compare.check")
    return Report(provenance, (case,), time.perf_counter() - started, fail_on, (design,))


def _judged(printout: Printout, design: Design) -> tuple[tuple[Comparison, ...], Judgement]:
    name = printout.program
    try:
        model = certified_model(design)
    except (DegenerateModelError, DataError) as reason:
        return (), Judgement(name, "not judged", f"the printout is not judged: {reason}")
    result = held_printout(printout, design, model)
    return result.lines, judgement_of(printout, result)


def held_printout(printout: Printout, design: Design, model: CertifiedModel) -> ShownResult:
    """Every number of a printout against the certified optimum."""
    truth = Fit("certified", "ok", model.optimum.quantities)
    tolerances = derive_tolerances(design, model)
    return compare_shown(design, model, tolerances, printout.numbers, truth, printout.program)


def judgement_of(printout: Printout, result: ShownResult) -> Judgement:
    """What the numbers of a printout are worth."""
    lines, name = result.lines, printout.program
    off = [line for line in lines if line.verdict == "fail"]
    said = () if printout.converged is None else (f"says: converged: {printout.converged}",)
    if all(line.verdict == "skip" for line in lines):
        sentence = "the printout is not judged: double precision cannot tell"
        return Judgement(name, "not judged", sentence, engine_says=said)
    whole = f"all {len(lines)} numbers of the printout of {name}"
    if not off:
        other = result.definition.statement
        sentence = f"{whole} are what one fit at the optimum shows"
        if not other:
            return Judgement(name, "right", sentence, engine_says=said)
        sentence += f"; its standard errors are another documented quantity, the {other}"
        return Judgement(
            name, "right, other definition", sentence, cause="definition", engine_says=said
        )
    return Judgement(name, "wrong", _wrong(printout, off), engine_says=said, news=True)


def _wrong(printout: Printout, off: list[Comparison]) -> str:
    told = "; ".join(
        f"{line.quantity} {line.candidate_value:.10g} for {line.reference_value:.7g}"
        for line in off[:TOLD]
    )
    rest = f"; and {len(off) - TOLD} more" if len(off) > TOLD else ""
    return (
        f"{len(off)} of {len(printout.numbers)} numbers of the printout of {printout.program} "
        f"cannot stand beside the others: {told}{rest}"
    )
