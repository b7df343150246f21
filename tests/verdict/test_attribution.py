"""Each cause, produced on purpose: the certified fit with one thing wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pp_compare.audits.judging import judge
from pp_compare.audits.selection import Selection
from pp_compare.certified.models import certified_model
from pp_compare.data.corpus import case
from pp_compare.engines import make_engine
from pp_compare.model import Fit, Quantity
from pp_compare.model.design import Design
from pp_compare.verdict.agreement import Comparison
from pp_compare.verdict.definitions import joint_hessian_cov
from tests.broken_engines import altered
from tests.examples import corpus_design


def at_variances(design: Design, sigma: float, covariances: dict[str, np.ndarray]) -> Fit:
    """A faultless fit of an engine that stopped at these variances."""
    model = certified_model(design)
    quantities = model.implied(sigma, covariances)
    loglik = Quantity("loglik", np.array(-model.deviance(sigma, covariances) / 2))
    return Fit("candidate", "ok", {**quantities, "loglik": loglik}, design_error=0.0)


def candidate(design: Design) -> Fit:
    return replace(make_engine("certified").fit(design), engine="candidate", design_error=0.0)


def truth(design: Design, fit: Fit) -> list[Comparison]:
    selection = Selection("x", design.dataset, design.spec.formula, design.spec.method)
    report = judge(selection, design, {"candidate": fit}, ())
    return [line for line in report.comparisons if line.kind == "truth"]


def roots(lines: list[Comparison]) -> dict[str, str | None]:
    """Cause by quantity, of the differences that follow from no other."""
    return {x.quantity: x.cause for x in lines if x.verdict == "fail" and x.follows is None}


@pytest.mark.parametrize("name", ["seed_case1", "sleepstudy"])
def test_a_faultless_engine_has_no_cause(name: str) -> None:
    design = corpus_design(name)
    lines = truth(design, candidate(design))
    assert {line.verdict for line in lines} == {"pass"}
    assert {line.cause for line in lines} == {None}


@pytest.mark.parametrize("name", ["seed_case1", "sleepstudy"])
def test_an_early_stop_is_the_optimisers_and_everything_follows_from_it(name: str) -> None:
    design = corpus_design(name)
    best = candidate(design)
    covariances = {g: 0.98 * best[f"random_cov[{g}]"] for g in design.group_levels}
    lines = truth(design, at_variances(design, float(best["sigma"]), covariances))
    assert roots(lines) == {"criterion": "optimiser"}
    assert sum(line.follows == "criterion" for line in lines) > 20


def test_the_other_optimum_is_the_wrong_optimum() -> None:
    design = corpus_design("two_optima_ml", "ML")
    lme4s = {"cluster": np.array([[5.317221536]])}
    lines = truth(design, at_variances(design, 1.93987374, lme4s))
    assert roots(lines) == {"criterion": "wrong optimum"}


def test_a_constant_in_the_likelihood_is_the_objective() -> None:
    design = corpus_design("seed_case1")
    fit = altered(candidate(design), "loglik", lambda x: x - np.log(2 * np.pi))
    assert roots(truth(design, fit)) == {"loglik": "objective"}


@pytest.mark.parametrize(
    ("share", "cause"), [(1e-4, None), (0.5, "objective"), (np.inf, "objective")]
)
def test_a_likelihood_that_lost_digits_is_no_cause_of_what_the_stop_costs(
    share: float, cause: str | None
) -> None:
    design = corpus_design("seed_case1")
    best = candidate(design)
    covariances = {g: 0.98 * best[f"random_cov[{g}]"] for g in design.group_levels}
    stopped = at_variances(design, float(best["sigma"]), covariances)
    cost = float(best["loglik"]) - float(stopped["loglik"])
    lines = truth(design, altered(stopped, "loglik", lambda x: x + share * cost))
    assert roots(lines).get("loglik") == cause


def test_shrinking_twice_is_post_processing() -> None:
    design = corpus_design("seed_case1")
    fit = altered(candidate(design), "blup[cluster]", lambda u: 0.9 * u)
    assert roots(truth(design, fit)) == {"blup[cluster]": "post-processing"}


def test_predictions_follow_from_fixed_effects_that_are_wrong() -> None:
    design = corpus_design("seed_case1")
    fit = altered(candidate(design), "beta", lambda b: b + 0.1)
    fit = altered(fit, "fitted", lambda x: x + 0.1)
    lines = truth(design, fit)
    assert roots(lines) == {"beta": "post-processing"}
    assert {x.follows for x in lines if x.quantity == "fitted"} == {"beta"}


def test_a_variance_reported_for_a_standard_deviation_shows_in_the_criterion() -> None:
    design = corpus_design("seed_case1")
    fit = altered(candidate(design), "sigma", lambda s: s**2)
    found = roots(truth(design, fit))
    assert found["criterion"] == "optimiser"


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_standard_errors_from_the_joint_information_are_another_definition(method) -> None:
    design = corpus_design("seed_case3", method)
    right = candidate(design)
    cov = joint_hessian_cov(design, right, right["beta_cov"])
    fit = altered(right, "beta_se", lambda _: np.sqrt(np.diag(cov)))
    assert roots(truth(design, altered(fit, "beta_se", lambda s: s * 1.01))) == {
        "beta_se": "post-processing"
    }
    assert roots(truth(design, fit)) == {"beta_se": "definition"}


def test_statsmodels_standard_errors_are_that_definition() -> None:
    design = corpus_design("seed_case3", "ML")
    fit = replace(make_engine("statsmodels").fit(design), engine="candidate")
    assert roots(truth(design, fit))["beta_se"] == "definition"


def test_another_design_explains_everything() -> None:
    design = corpus_design("seed_case1")
    fit = replace(altered(candidate(design), "beta", lambda b: b + 1), design_error=0.5)
    assert roots(truth(design, fit)) == {"beta": "specification"}


@pytest.mark.parametrize("sigma", [np.nan, 0.0, -1.0, np.inf])
def test_variances_without_a_likelihood_are_a_failure(sigma: float) -> None:
    design = corpus_design("seed_case1")
    found = roots(truth(design, altered(candidate(design), "sigma", lambda _: np.array(sigma))))
    assert found["sigma"] == "failure"


def test_a_covariance_with_a_negative_variance_is_a_failure() -> None:
    design = corpus_design("sleepstudy")
    fit = altered(candidate(design), "random_cov[Subject]", lambda c: c - 500 * np.eye(2))
    assert roots(truth(design, fit))["random_cov[Subject]"] == "failure"


def test_a_fit_that_raised_is_a_failure_and_one_that_cannot_is_left_out() -> None:
    known = case("seed_case1")
    design = corpus_design("seed_case1")
    selection = Selection("x", known.dataset, known.formula, "REML")
    fits = {"a": Fit.failed("a", "boom"), "b": Fit.unsupported("b", "crossed")}
    first, second = judge(selection, design, fits, ()).comparisons
    assert (first.verdict, first.cause, first.reason) == ("fail", "failure", "boom")
    assert (second.verdict, second.reason) == ("skip", "crossed")
