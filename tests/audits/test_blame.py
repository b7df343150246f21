"""A difference between two engines is laid to the side that is further from the truth."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pp_compare.audits.judging import judge
from pp_compare.audits.selection import Selection
from pp_compare.data.corpus import all_cases
from pp_compare.engines import make_engine
from pp_compare.model.design import Design, build_design
from pp_compare.releases.generated import generated
from pp_compare.report.record import CaseReport
from pp_compare.verdict.deviations import load_deviations

ENGINES = ("lme4", "nlme", "statsmodels")
pytestmark = pytest.mark.needs_r


def judged(design: Design) -> CaseReport:
    spec = design.spec
    selection = Selection(design.dataset.name, design.dataset, spec.formula, spec.method)
    fits = {name: make_engine(name).fit(design) for name in ENGINES}
    return judge(selection, design, fits, load_deviations())


def wrongly_blamed(report: CaseReport) -> Iterator[str]:
    """Parity lines laid to an engine whose own numbers are within their tolerances."""
    off = {
        (line.candidate, line.quantity)
        for line in report.comparisons
        if line.kind == "truth" and line.verdict in ("fail", "known")
    }
    entries = {entry.id: entry.engine for entry in load_deviations()}
    for line in (x for x in report.comparisons if x.kind == "parity"):
        here = f"{report.title}: {line.candidate}, {line.reference}, {line.quantity} {line.label}"
        if line.blamed and (line.blamed, line.quantity) not in off:
            yield f"{here}: laid to {line.blamed}, which is right"
        if line.deviation and entries[line.deviation] != str(line.blamed).partition(":")[0]:
            yield f"{here}: {line.deviation} excuses {line.blamed}"
        if line.verdict == "fail" and line.blamed is None:
            yield f"{here}: differs, and both are right"
    for judgement in report.judgements:
        told = judgement.bad and judgement.standing != "no answer"
        if told and not any(candidate == judgement.engine for candidate, _ in off):
            yield f"{report.title}: {judgement.sentence}"


def blamed_in(designs: Iterator[Design]) -> tuple[int, list[str]]:
    reports = [judged(design) for design in designs]
    laid = sum(line.blamed is not None for report in reports for line in report.comparisons)
    return laid, [wrong for report in reports for wrong in wrongly_blamed(report)]


@pytest.mark.parametrize("count", [12, pytest.param(500, marks=pytest.mark.slow)])
def test_nobody_is_blamed_on_generated_models_who_is_right(count: int) -> None:
    laid, wrong = blamed_in(subject.design for subject in generated(count, seed=1))
    assert laid
    assert wrong == []


@pytest.mark.slow
def test_nor_on_the_named_cases() -> None:
    designs = (build_design(c.dataset, c.spec(m)) for c in all_cases() for m in c.methods)
    laid, wrong = blamed_in(designs)
    assert laid
    assert wrong == []
