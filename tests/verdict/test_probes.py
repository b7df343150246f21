"""Each probe tells a sound answer from another, and an entry about it ends when it passes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pp_compare.audits.judging import judge
from pp_compare.audits.selection import Selection
from pp_compare.engines import make_engine
from pp_compare.errors import InputError
from pp_compare.model import Fit
from pp_compare.model.design import Design
from pp_compare.releases.candidate import Effort
from pp_compare.releases.platform import Platform
from pp_compare.releases.probes import probe
from pp_compare.report.record import CaseReport
from pp_compare.verdict import probes
from pp_compare.verdict.deviations import load_deviations
from pp_compare.verdict.outcome import Outcome
from pp_compare.verdict.probes import (
    PROBES,
    QUESTIONS,
    STOPPING,
    Call,
    Question,
    ask,
    measure,
    repeated,
)
from tests.broken_engines import altered
from tests.examples import corpus_design
from tests.faulty_engines import certified

NEGATIVE = "score where the factor is negative"
UNIT = "standard error of a variance in another unit"
CRITERIA = "information criteria under REML"
MORE_ROWS = "distance from the optimum with more rows"
ZERO = "variance of exactly 0"


@pytest.fixture(scope="module")
def design() -> Design:
    return corpus_design("Dyestuff")


def read(name: str, design: Design, *answers: Any) -> Outcome:
    return QUESTIONS[name](design).read(*answers)


@pytest.mark.parametrize(
    ("name", "sound", "unsound"),
    [
        (NEGATIVE, [(-2.0, -2.0)], [(2.0, -2.0)]),
        (NEGATIVE, [(-2.0, -2.0)], [(-1.0, -2.0)]),
        (NEGATIVE, [(-2.0, -2.0)], [(float("nan"), -2.0)]),
        (UNIT, [3.0, 3.0 * 256], [3.0, 3.0 * 16]),
        (UNIT, [3.0, 3.0 * 256], [float("nan"), 3.0]),
        (CRITERIA, [(325.0, 329.0)], [(float("nan"), float("nan"))]),
    ],
)
def test_an_unsound_answer_is_told(
    design: Design, name: str, sound: list[Any], unsound: list[Any]
) -> None:
    assert read(name, design, *sound).ok
    assert not read(name, design, *unsound).ok


def answered(**changes: Any) -> dict[str, Any]:
    numbers = {name: np.array([1.0]) for name in ("fe_params", "cov_re", "scale", "llf")}
    return {"status": "ok", "problem": "", "warnings": [], **numbers, **changes}


def test_a_keyword_is_honoured_where_it_changes_a_number(design: Design) -> None:
    name = "keyword pgtol of lbfgs"
    assert read(name, design, answered(), answered(scale=np.array([1.5]))).ok
    without = read(name, design, answered(), answered(warnings=["FutureWarning: dropped"]))
    assert without == Outcome(False, "no effect; warns: FutureWarning")
    raised = answered(status="error", problem="TypeError: unexpected")
    assert read(name, design, answered(), raised) == Outcome(False, "raises TypeError")


def stopped(at: Design, off: float) -> dict[str, Any]:
    """What MixedLM would answer where it stops with its variance so far off, relatively."""
    fit = certified(at)
    group = at.spec.groups[0]
    variance = fit[f"random_cov[{group}]"] * (1 + off)
    return {
        "status": "ok", "problem": "", "warnings": [], "converged": True, "seconds": 0.0,
        "exog_names": ["Intercept"], "exog": at.X, "endog": at.y, "exog_re_names": ["group_0"],
        "fe_params": fit["beta"], "cov_params": fit["beta_cov"], "bse_fe": fit["beta_se"],
        "scale": float(fit["sigma"] ** 2), "llf": float(fit["loglik"]), "cov_re": variance,
        "vcomp": np.zeros(0),
    }  # fmt: skip


def test_a_stop_as_near_with_more_rows_is_sound_and_a_wider_one_is_not(
    design: Design, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes.native, "_random_order", lambda *_: [0])
    many = repeated(design, probes.COPIES)
    once = stopped(design, 1e-6)
    assert read(MORE_ROWS, design, once, stopped(many, 1e-6)).ok
    # Off by 2 %: the deviance between clusters rises by (J / 2) 0.02^2 / 2 = 6e-4.
    found = read(MORE_ROWS, design, once, stopped(many, 0.02))
    assert not found.ok
    assert "with every row 1000 times" in found.text
    assert not read(MORE_ROWS, design, once, {**once, "status": "error"}).ok


def test_a_variance_of_exactly_0_is_asked_for_where_the_optimum_has_one() -> None:
    zero = corpus_design("no_between_variance")
    exact = certified(zero)
    assert measure(ZERO, zero, exact).ok
    off = altered(exact, f"random_cov[{zero.spec.groups[0]}]", lambda c: c + 1e-12)
    assert not measure(ZERO, zero, off).ok
    inside = corpus_design("Dyestuff")
    assert measure(ZERO, inside, certified(inside)).ok
    assert measure(ZERO, zero, Fit.failed("nlme", "no convergence")) == Outcome(False, "no answer")


def test_what_the_engine_raises_is_its_answer(
    design: Design, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raises(call: Call) -> Any:
        raise np.linalg.LinAlgError(f"Singular matrix in {call.function}")

    monkeypatch.setattr(Call, "answer", raises)
    found = ask(QUESTIONS[CRITERIA](design))
    assert found == Outcome(False, "raises LinAlgError: Singular matrix in information_criteria")


def test_every_probe_of_the_registry_is_there_and_about_its_engine() -> None:
    entries = [entry for entry in load_deviations() if entry.probes]
    assert entries
    for entry in entries:
        assert set(entry.probes) <= set(PROBES), entry.id
        assert entry.engine == "statsmodels" or not set(entry.probes) & set(QUESTIONS), entry.id


def report(design: Design, fit: Fit) -> CaseReport:
    about = [entry for entry in load_deviations() if entry.probes]
    selection = Selection("Dyestuff", design.dataset, design.spec.formula, design.spec.method)
    return judge(selection, design, {fit.engine: fit}, about)


def test_an_entry_ends_when_its_probe_passes(
    design: Design, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is, and as if the sign were repaired."""
    fit = make_engine("statsmodels").fit(design)
    known = report(design, fit)
    assert known.stale == ()
    assert {check.verdict for check in known.probes} == {"known"}
    repaired = Question((), lambda: Outcome(True, "the slope"))
    monkeypatch.setitem(probes.QUESTIONS, NEGATIVE, lambda _: repaired)  # type: ignore[arg-type]  # a mapping for readers, a dict here
    after = report(design, fit)
    assert after.stale == ("statsmodels-score-sign",)
    assert after.failing
    # An entry is about the engine's own default; another setting or engine is not asked.
    assert report(design, replace(fit, engine="statsmodels:tight")).probes == ()


ENTRY = """
engine = "{engine}"
quantities = [{quantities}]
summary = "s"
seen = "a"
true = "b"
upstream = "not reported"
checked = "2026-01-01"
examples = [{{ case = "Dyestuff", method = "REML" }}]
"""


@pytest.mark.parametrize(
    ("engine", "quantities", "words"),
    [
        ("statsmodels", '"probe:colour"', "no probe 'colour'; there are: keyword gtol of bfgs"),
        ("lme4", f'"probe:{NEGATIVE}"', "is a question to statsmodels, not to lme4"),
        ("statsmodels", f'"probe:{NEGATIVE}", "beta"', "want an entry each"),
        ("statsmodels", '"beta"', "field 'causes' is missing"),
    ],
)
def test_an_entry_that_cannot_be_asked_is_bad_input(
    design: Design, tmp_path: Path, engine: str, quantities: str, words: str
) -> None:
    (tmp_path / "entry.toml").write_text(ENTRY.format(engine=engine, quantities=quantities))
    fit = replace(certified(design), engine=engine, versions={engine: "1.0"})
    selection = Selection("Dyestuff", design.dataset, design.spec.formula, design.spec.method)
    with pytest.raises(InputError, match=words):
        judge(selection, design, {engine: fit}, load_deviations(tmp_path))


class Here:
    """A candidate that is what is installed here; it counts what it is asked."""

    asked: list[str]

    def calls(self, requests: Any, *_: Any) -> list[Any]:
        from pp_compare.engines import mixedlm

        self.asked = [function for function, _ in requests]
        return [getattr(mixedlm, function)(*arguments) for function, arguments in requests]


def test_a_candidate_is_asked_each_different_call_once() -> None:
    names = [name for name in QUESTIONS if name.endswith(("of lbfgs", "is negative"))]
    here = Here()
    found = probe(here, Platform(), Effort(60.0, 1), {name: QUESTIONS[name] for name in names})  # type: ignore[arg-type]  # it needs calls alone
    assert list(found) == names
    assert here.asked.count("fit") == len(STOPPING["lbfgs"]) + 1  # and one without a keyword
    assert not found[NEGATIVE].ok
