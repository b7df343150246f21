"""Judgements of generalised models: right ones, faulty ones with their causes, no optimum."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pp_compare.certified.glmm.model import GlmmModel
from pp_compare.data.glmm_corpus import glmm_case
from pp_compare.identities.glmm import check_modes, check_score
from pp_compare.model import Fit
from pp_compare.model.answer import labelled
from pp_compare.verdict.glmm import Told, judge_glmm
from tests.glmm_models import PlainQuadrature, design_of, simulated
from tests.verdict.faulty_glmm_engines import FAULTS, Fault, changed, numbers, right


@pytest.fixture(scope="module")
def model() -> GlmmModel:
    return GlmmModel(glmm_case("cbpp").design())


def test_the_faultless_engine_is_right_by_either_truth(model: GlmmModel) -> None:
    for definition in model.definitions:
        judgement, lines = judge_glmm(model, right(model, definition))
        assert (judgement.standing, judgement.cause, judgement.news) == ("right", None, False)
        assert all(line.verdict == "pass" for line in lines)
        assert {line.kind for line in lines} == {"truth"}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_faulty_engine_is_caught_with_its_cause(fault: Fault, model: GlmmModel) -> None:
    judgement, _ = judge_glmm(model, fault.fit(model))
    assert judgement.cause == fault.cause
    assert judgement.bad or fault.cause == "definition"
    assert judgement.sentence.startswith("candidate ")


def test_an_engine_that_stops_a_little_short_is_harmless(model: GlmmModel) -> None:
    beta, se, cov, _ = numbers(model)
    fit = changed(model, beta=beta + 0.003 * se, cov=cov)
    fit = changed(model, fit, loglik=model.value("laplace", fit["beta"], fit.covariances).middle)
    judgement, _ = judge_glmm(model, fit)
    assert judgement.standing == "short of the optimum, harmless"
    assert judgement.cause == "optimiser"


def test_what_is_no_likelihood_is_told_its_distance_and_not_accused(model: GlmmModel) -> None:
    fit = changed(model, cov=0.3)
    quantities = {name: q for name, q in fit.quantities.items() if name != "loglik"}
    judgement, lines = judge_glmm(model, replace(fit, quantities=quantities, definition="pql"))
    assert (judgement.standing, judgement.cause, lines) == ("not judged", "definition", ())
    assert "variance of Intercept | herd 0.3 for 0.419" in judgement.sentence


def test_a_laplace_engine_is_told_how_far_the_exact_maximum_is() -> None:
    model = GlmmModel(simulated(3, sd=2.0))
    judgement, _ = judge_glmm(model, right(model))
    assert judgement.standing == "right"
    assert "From the maximum of the exact likelihood: " in judgement.sentence
    assert "variance of Intercept | g" in judgement.sentence


def test_where_there_is_no_maximum_nobody_is_accused() -> None:
    model = GlmmModel(glmm_case("glmm_separated").design())
    values = {
        "beta": np.array([-100.0, 200.0]), "beta_se": np.array([1e4, 1e4]),
        "random_cov[cluster]": np.eye(1), "loglik": np.array(-1e-9),
    }  # fmt: skip
    fit = Fit("candidate", "ok", labelled(model.design.design, values), definition="laplace")
    judgement, lines = judge_glmm(model, fit)
    assert (judgement.standing, judgement.cause) == ("not judged", None)
    # The criterion has a value there, and it is what the log-likelihood is held against.
    assert [(line.quantity, line.verdict) for line in lines] == [("loglik", "pass")]
    assert "the data are separated" in judgement.sentence
    assert "x at 200" in judgement.sentence


@pytest.mark.slow
def test_an_engine_in_doubles_is_right_on_counts_and_trials() -> None:
    for family in ("binomial", "poisson"):
        model = GlmmModel(simulated(29, family, groups=6, rows=3))
        fit = PlainQuadrature().fit(model.design)
        judgement, _ = judge_glmm(model, fit)
        assert judgement.standing == "right", judgement.sentence


def test_an_engine_at_the_worse_of_two_optima_is_told_so() -> None:
    """Two factors that differ in a few rows: either may take the variance, and one is better."""
    model = GlmmModel(two_optima())
    best = model.optimum("laplace")
    assert (best.claim, best.quantities["random_cov[b]"].values[0, 0]) == ("local", 0.0)
    judgement, _ = judge_glmm(model, other_optimum(model))
    assert (judgement.standing, judgement.cause) == ("wrong optimum", "wrong optimum")


def two_optima():
    y = [0, 0, 0, 0, 0, 3, 4, 3, 5, 2, 4, 5, 13, 9, 4, 4]
    a = np.repeat(np.arange(4), 4)
    b = a.copy()
    b[[3, 7, 11]] += 1
    return design_of(
        "poisson", "y ~ 1 + (1|a) + (1|b)", y=y, a=[f"a{k}" for k in a], b=[f"b{k}" for k in b]
    )


def other_optimum(model: GlmmModel) -> Fit:
    """The optimum of the model with the other term alone, which is stationary in both."""
    y = model.design.y
    codes = model.design.design.blocks[1].codes
    alone = GlmmModel(
        design_of("poisson", "y ~ 1 + (1|b)", y=y, b=[f"b{k}" for k in codes])
    ).optimum("laplace")
    values = {
        "beta": alone.quantities["beta"].values,
        "beta_se": alone.quantities["beta_se"].values,
        "random_cov[a]": np.zeros((1, 1)),
        "random_cov[b]": alone.quantities["random_cov[b]"].values,
        "loglik": alone.quantities["loglik"].values,
    }
    return Fit("candidate", "ok", labelled(model.design.design, values), definition="laplace")


def test_modes_that_solve_their_equations_pass_and_others_do_not(model: GlmmModel) -> None:
    inner = model.design.design
    beta, _, cov, _ = numbers(model)
    modes = np.zeros(15)
    for _ in range(50):
        eta = inner.X @ beta + modes[inner.blocks[0].codes]
        p = 1 / (1 + np.exp(-eta))
        n, y, codes = model.design.trials, model.design.y, inner.blocks[0].codes
        slope = np.bincount(codes, y - n * p) - modes / cov[0, 0]
        modes = modes + slope / (np.bincount(codes, n * p * (1 - p)) + 1 / cov[0, 0])
    good = changed(model, **{"blup[herd]": modes[:, None]})
    bad = changed(model, **{"blup[herd]": modes[:, None] + 0.01})
    assert check_modes(model.design, good).verdict == "pass"
    assert check_modes(model.design, bad).verdict == "fail"


def test_the_score_is_zero_at_the_optimum_alone(model: GlmmModel) -> None:
    beta, se, cov, _ = numbers(model)
    for shift, verdict in ((0.0, "pass"), (0.01, "fail")):
        near = model.near("laplace", beta + shift * se, {"herd": cov})
        assert check_score(right(model), near.score, 1.4e-3).verdict == verdict


def test_who_reports_the_value_of_its_own_criterion_does_not_report_the_maximum() -> None:
    """Short of the optimum by less than a log-likelihood is compared to: it evaluates rightly."""
    told = Told(
        "laplace", reported=-100.0, value=-100.0, best=-100.0 + 1.5e-6, counted_from=0.0,
        decrement=1e-6, rounding=1e-12, beta_se=np.ones(1),
    )  # fmt: skip
    assert told.evaluates
    assert not told.arrived
    assert not told.reports_the_best
    assert replace(told, reported=told.best).reports_the_best
