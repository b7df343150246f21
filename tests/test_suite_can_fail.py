"""Every fault is caught, by the check that should catch it, and a faultless engine by none."""

from __future__ import annotations

import pytest

from pp_compare.audits.judging import judge
from pp_compare.audits.selection import Selection
from pp_compare.model import Fit
from pp_compare.model.design import Design
from tests.examples import corpus_design
from tests.faulty_engines import FAULTS, Fault, certified
from tests.plain_engine import Plain

CASES = sorted({(fault.case, fault.method) for fault in FAULTS})


def caught(design: Design, fit: Fit) -> set[str]:
    """Everything that fails, as the faults name it; no deviation is known here."""
    selection = Selection("x", design.dataset, design.spec.formula, design.spec.method)
    report = judge(selection, design, {"candidate": fit}, ())
    checks = {f"identity:{c.identity}" for c in report.identities if c.verdict != "pass"}
    lines = {f"truth:{x.quantity}:{x.cause}" for x in report.comparisons if x.verdict == "fail"}
    return checks | lines


def test_there_are_forty_faults_and_each_check_catches_one() -> None:
    from pp_compare.identities import IDENTITIES

    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 40
    used = {fault.caught_by for fault in FAULTS}
    assert {f"identity:{identity.id}" for identity in IDENTITIES} <= used


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_fault_is_caught(fault: Fault) -> None:
    design = corpus_design(fault.case, fault.method)
    assert fault.caught_by in caught(design, fault.fit(design))


@pytest.mark.parametrize(("case", "method"), CASES)
def test_the_faultless_engine_is_not(case: str, method: str) -> None:
    design = corpus_design(case, method)
    assert caught(design, certified(design)) == set()


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("case", ["seed_case1", "seed_case2", "seed_case3"])
def test_nor_is_a_plain_implementation_without_a_fault(case: str, method: str) -> None:
    design = corpus_design(case, method)
    assert caught(design, Plain()(design)) == set()
