from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pp_compare.audits.judging import judge
from pp_compare.audits.selection import Selection
from pp_compare.campaign.generate import generate
from pp_compare.campaign.judge import judge_fit, truth_of
from pp_compare.campaign.plan import from_document
from pp_compare.engines import make_engine
from pp_compare.engines.certified import CertifiedEngine
from pp_compare.model import Dataset, Fit, Quantity
from pp_compare.model.design import Design, build_design
from pp_compare.model.formula import parse_formula
from pp_compare.verdict.attribution import stop_of
from tests.campaign.engines import Short

PLAN = from_document({"seed": 5, "replications": 10, "grid": {"clusters": 6, "icc": 0.5}})


def two_optima() -> Design:
    """The lower optimum is at tau2 = 0; the engines return the other one."""
    clusters = [[-2, 1, 2, -2, 0, 2], [4], [-4]]
    y = np.concatenate(clusters).astype(float)
    g = np.repeat(np.arange(3), [len(c) for c in clusters])
    return build_design(
        Dataset("two", pd.DataFrame({"y": y, "g": g})), parse_formula("y ~ 1 + (1|g)", "ML")
    )


def at(design: Design, tau2: float) -> Fit:
    """What a sound engine reports that stops at a variance."""
    truth = truth_of(design)
    assert not isinstance(truth, str)
    best = dict(truth.model.optimum.quantities)
    implied = truth.model.implied(float(best["sigma"].values), {"g": np.array([[tau2]])})
    cov = replace(best["random_cov[g]"], values=np.array([[tau2]]))
    return Fit("stops", "ok", {**best, **implied, "random_cov[g]": cov})


def test_the_certified_optimum_is_right() -> None:
    design = generate(PLAN, 0).design
    found = judge_fit(design, CertifiedEngine().fit(design), truth_of(design))
    assert found.outcome == "right"
    assert abs(found.above) <= found.tolerance
    assert found.digits_beta == found.digits_variances == 15
    assert found.beta_error < 1e-12
    assert found.se_error < 1e-12


def test_a_fit_off_the_optimum_is_an_early_stop_as_in_the_audit() -> None:
    design = generate(PLAN, 1).design
    fit = Short().fit(design)
    found = judge_fit(design, fit, truth_of(design))
    selection = Selection("case", design.dataset, design.spec.formula, "REML")
    lines = judge(selection, design, {"short": fit}, ()).comparisons
    (line,) = (line for line in lines if line.quantity == "criterion")
    assert (found.outcome, line.cause) == ("early stop", "optimiser")
    assert found.above == line.candidate_value - line.reference_value
    assert found.tolerance == pytest.approx(line.tolerance, rel=1e-12)


@pytest.mark.needs_r
def test_the_other_of_two_optima_is_a_wrong_optimum() -> None:
    design = two_optima()
    fit = make_engine("lme4").fit(design)
    found = judge_fit(design, fit, truth_of(design))
    assert found.outcome == "wrong optimum"
    assert found.above == pytest.approx(37.3156770264 - 37.1816123443, abs=1e-6)


def test_between_two_optima_is_an_early_stop() -> None:
    design = two_optima()
    assert judge_fit(design, at(design, 0.0), truth_of(design)).outcome == "right"
    assert judge_fit(design, at(design, 40.0), truth_of(design)).outcome == "early stop"


@pytest.mark.parametrize(
    ("quantity", "value"), [("sigma", np.nan), ("sigma", -1.0), ("beta", np.full(2, np.nan))]
)
def test_numbers_that_are_none_are_a_failure(quantity: str, value: object) -> None:
    design = generate(PLAN, 0).design
    fit = CertifiedEngine().fit(design)
    broken = replace(fit.quantities[quantity], values=np.array(value))
    found = judge_fit(
        design, replace(fit, quantities={**fit.quantities, quantity: broken}), truth_of(design)
    )
    assert found.outcome == "failure"


def test_no_answer_and_no_truth_are_told_apart() -> None:
    design = generate(PLAN, 0).design
    fit = CertifiedEngine().fit(design)
    truth = truth_of(design)
    assert judge_fit(design, Fit.failed("e", "raised"), truth).outcome == "failure"
    assert judge_fit(design, Fit.unsupported("e", "cannot"), truth).outcome == "unsupported"
    assert judge_fit(design, fit, "no optimum").outcome == "unjudged"


def test_what_is_made_of_the_variances_is_judged_apart() -> None:
    design = generate(PLAN, 2).design
    fit = CertifiedEngine().fit(design)
    stop = stop_of(design, fit, truth_of(design).model)  # type: ignore[union-attr]
    assert not isinstance(stop, str)
    se = fit["beta_se"]
    changed = {
        "beta": Quantity("beta", fit["beta"] + [0.0, 0.1 * se[1]], design.labels),
        "beta_se": Quantity("beta_se", 1.2 * se, design.labels),
        "loglik": Quantity("loglik", fit["loglik"] + 0.5),
    }
    found = judge_fit(
        design, replace(fit, quantities={**fit.quantities, **changed}), truth_of(design)
    )
    assert found.outcome == "right"
    assert found.beta_error == pytest.approx(0.1, rel=1e-9)
    assert found.se_error == pytest.approx(0.2, rel=1e-9)
    assert found.loglik_error == pytest.approx(0.5, rel=1e-9)
