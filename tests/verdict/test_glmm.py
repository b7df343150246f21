"""Judgements of generalised models: right ones, faulty ones with their causes, no optimum."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pp_compare.certified.glmm.model import GlmmModel
from pp_compare.data.glmm_corpus import glmm_case
from pp_compare.identities.conditional_modes import conditional_modes
from pp_compare.identities.glmm import check_modes, check_score
from pp_compare.model import Fit
from pp_compare.model.answer import labelled
from pp_compare.verdict.glmm import Told, judge_glmm
from pp_compare.verdict.glmm_tolerance import (
    FOURTH,
    glmm_tolerances,
    standard_error_tolerance,
)
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
    for shift, verdict in ((0.0, "pass"), (0.0003, "pass"), (0.01, "fail")):
        near = model.near("laplace", beta + shift * se, {"herd": cov})
        assert check_score(right(model), near.decrement, 2e-6).verdict == verdict


def test_the_score_allows_what_the_deviance_allows_in_every_direction(model: GlmmModel) -> None:
    """Collinear fixed effects must not make a stop within the tolerance a fault."""
    information = model.found("laplace").information
    assert information is not None
    values, vectors = np.linalg.eigh(information)
    beta, _, cov, _ = numbers(model)
    for allowed, verdict in ((0.9 * 2e-6, "pass"), (1.2 * 2e-6, "fail")):
        for value, vector in zip(values, vectors.T, strict=True):
            move = vector * np.sqrt(allowed / value)
            sd = np.sqrt(cov) + move[-1]
            near = model.near("laplace", beta + move[:-1], {"herd": sd**2})
            assert check_score(right(model), near.decrement, 2e-6).verdict == verdict


def test_where_the_criterion_is_not_concave_the_score_fails(model: GlmmModel) -> None:
    beta, se, cov, _ = numbers(model)
    near = model.near("laplace", beta + 30 * se, {"herd": 100 * cov})
    assert np.isnan(near.decrement)
    assert check_score(right(model), near.decrement, 2e-6).verdict == "fail"


# ---- the tolerances -----------------------------------------------------------------------------

CASES = ("cbpp", "glmm_boundary", "glmm_one_large", "glmm_exposure", "glmm_overdispersed")


@pytest.mark.parametrize("name", CASES)
def test_a_stop_within_the_deviance_that_is_let_pass_moves_nothing_beyond_its_tolerance(
    name: str,
) -> None:
    model = GlmmModel(glmm_case(name).design())
    found, tolerances = model.found("laplace"), glmm_tolerances(model, "laplace", 0.0)
    assert found.at is not None
    at = np.array([float(x.mid()) for x in found.at.entries()])
    p = len(model.design.design.labels)
    draw = np.random.default_rng(2)
    axes = np.linalg.cholesky(np.linalg.inv(found.information))
    most = dict.fromkeys(tolerances, 0.0)
    for _ in range(200):
        z = draw.normal(size=len(at))
        move = axes @ (z / np.linalg.norm(z)) * np.sqrt(2e-6)
        moved = {"beta": at[:p] + move[:p], **model.covariances(at[p:] + move[p:])}
        best = {"beta": at[:p], **model.covariances(at[p:])}
        for key, value in moved.items():
            share = np.abs(value - best[key]) / tolerances[key].values
            most[key] = max(most[key], float(np.nanmax(share)))
    del most["beta_se"]
    # 1e-6 is rounding, and what the square of a move adds to its first order.
    assert all(0.5 < share < 1 + 1e-6 for share in most.values()), most


def test_the_fourth_derivative_is_that_of_the_criterion() -> None:
    """One row a group and one intercept, at a standard deviation of 0: binomial log-likelihood."""
    y, f = np.array([7, 7, 7, 7]), np.array([3, 3, 3, 3])
    design = design_of("binomial", "cbind(y, f) ~ 1 + (1|g)", y=y, f=f, g=["a", "b", "c", "d"])
    model, v = GlmmModel(design), 0.7 * 0.3
    assert model.optimum("laplace").singular
    along_beta = abs(1 - 6 * v) / (40 * v)
    assert model.fourth_derivative("laplace") >= along_beta * (1 - 1e-3)


def test_second_differences_of_a_criterion_that_passes_stay_within_the_tolerance() -> None:
    """Entries with independent errors: the tolerance is one standard deviation of them, at most."""
    draw = np.random.default_rng(3)
    root = draw.normal(size=(3, 3)) + 2
    H, k = root @ root.T, 6.0
    C = np.linalg.inv(H)
    true = np.sqrt(np.diag(C))[:2]
    tolerance = standard_error_tolerance(H, true, k)
    errors = []
    for _ in range(4000):
        off = draw.normal(size=(3, 3))
        off = (np.triu(off) + np.triu(off, 1).T) * np.sqrt(np.outer(np.diag(H), np.diag(H)))
        # To first order, which is what is claimed.
        off *= np.sqrt(4e-6 * k / 3)
        errors.append(np.diag(C @ off @ C)[:2] / (2 * true))
    spread = np.std(errors, axis=0) / tolerance
    assert ((spread > 0.5) & (spread < 1.03)).all(), spread


def test_where_the_criterion_is_far_from_quadratic_an_engine_in_doubles_is_not_accused() -> None:
    """Three groups of 0/1 rows, at a standard deviation of 84: of no interest, and no fault."""
    y = [1, 1, 0, 0, 1, 1, 1, 1]
    x = [-0.4, -1.1, 0.7, -1.1, 2.0, 0.9, -0.4, 0.6]
    g = ["a", "a", "b", "b", "b", "c", "c", "c"]
    design = design_of("binomial", "y ~ x + (1|g)", y=y, x=x, g=g)
    model = GlmmModel(design)
    assert model.fourth_derivative("laplace") > 10 * FOURTH
    judgement, _ = judge_glmm(model, PlainQuadrature().fit(design))
    assert judgement.standing == "right", judgement.sentence


@pytest.mark.parametrize(("factor", "verdict"), [(1.001, "pass"), (1.003, "fail")])
def test_a_standard_error_is_held_to_second_differences(
    factor: float, verdict: str, model: GlmmModel
) -> None:
    judgement, lines = judge_glmm(model, changed(model, beta_se=numbers(model)[1] * factor))
    assert {line.verdict for line in lines if line.quantity == "beta_se"} == {verdict}
    assert judgement.standing == "right"
    assert judgement.cause == (None if verdict == "pass" else "post-processing")


def test_who_reports_the_value_of_its_own_criterion_does_not_report_the_maximum() -> None:
    """Short of the optimum by less than a log-likelihood is compared to: it evaluates rightly."""
    told = Told(
        "laplace", reported=-100.0, value=-100.0, best=-100.0 + 1.5e-6, counted_from=0.0,
        decrement=1e-6, rounding=1e-12, beta_se=np.ones(1), known_se=np.ones(1),
    )  # fmt: skip
    assert told.evaluates
    assert not told.arrived
    assert not told.reports_the_best
    assert replace(told, reported=told.best).reports_the_best


# ---- standard errors of another definition ------------------------------------------------------


def test_standard_errors_of_another_definition_are_named_and_no_fault(model: GlmmModel) -> None:
    beta, se, cov, _ = numbers(model)
    near = model.near("laplace", beta, {"herd": cov})
    modes = conditional_modes(model.design, beta, {"herd": cov})
    penalised = np.sqrt(np.diag(np.linalg.inv(modes.information)))
    for other, words in (
        (near.known_se, "by the second derivatives in the fixed effects alone"),
        (penalised, "by the penalised least squares at the modes"),
    ):
        assert np.abs(other / se - 1).max() > 0.01
        judgement, lines = judge_glmm(model, changed(model, beta_se=other))
        assert (judgement.standing, judgement.cause) == ("right, other definition", "definition")
        assert f"; its standard errors are {words}, as if " in judgement.sentence
        failed = {(line.quantity, line.cause) for line in lines if line.verdict == "fail"}
        assert failed == {("beta_se", "definition")}


def test_standard_errors_near_another_definition_are_a_fault(model: GlmmModel) -> None:
    beta, _, cov, _ = numbers(model)
    known = model.near("laplace", beta, {"herd": cov}).known_se
    judgement, _ = judge_glmm(model, changed(model, beta_se=1.003 * known))
    assert (judgement.standing, judgement.cause) == ("wrong", "post-processing")
    assert "its standard errors are" not in judgement.sentence


def test_another_definition_excuses_nothing_else(model: GlmmModel) -> None:
    beta, se, cov, _ = numbers(model)
    fit = changed(model, beta=beta + 0.3 * se, cov=cov)
    near = model.near("laplace", fit["beta"], fit.covariances)
    fit = changed(model, fit, loglik=near.value.middle, beta_se=near.known_se)
    judgement, lines = judge_glmm(model, fit)
    assert (judgement.standing, judgement.cause) == ("wrong", "optimiser")
    causes = {line.quantity: line.cause for line in lines if line.verdict == "fail"}
    assert (causes["beta"], causes["beta_se"]) == ("optimiser", "definition")


def test_fixed_effects_of_the_penalised_likelihood_are_named(model: GlmmModel) -> None:
    """As of glmer with nAGQ = 0, and of packages that call it Laplace's."""
    beta, se, cov, _ = numbers(model)
    inner, design = model.design.design, model.design
    for _ in range(30):
        modes = conditional_modes(design, beta, {"herd": cov})
        mean = design.trials / (1 + np.exp(-modes.predictor))
        beta = beta + np.linalg.solve(modes.information, inner.X.T @ (design.y - mean))
    value = model.value("laplace", beta, {"herd": cov}).middle
    said = judge_glmm(model, changed(model, beta=beta, loglik=value, cov=cov))[0]
    assert (said.standing, said.cause) == ("wrong", "optimiser")
    assert "maximise the penalised likelihood together with the modes" in said.sentence
    moved = judge_glmm(model, changed(model, beta=beta + 0.01 * se, loglik=value, cov=cov))[0]
    assert "penalised likelihood" not in moved.sentence
    assert "penalised likelihood" not in judge_glmm(model, right(model))[0].sentence
