"""Partial pooling of generalised models: modes, own effects, averages, and sentences that hold."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize
from typer.testing import CliRunner

import pp_compare
from pp_compare.cli.app import app
from pp_compare.cli.entry import explained as told_of
from pp_compare.data.glmm_corpus import glmm_case
from pp_compare.errors import InputError
from pp_compare.identities.conditional_modes import conditional_modes, cumulant
from pp_compare.identities.glmm import check_modes
from pp_compare.inferences.explain_glmm import (
    GlmmExplanation,
    explain_glmm,
    glmm_explanation_of,
)
from pp_compare.model import Fit
from pp_compare.model.answer import labelled
from pp_compare.model.glmm import GlmmDesign
from pp_compare.report.explain.glmm_story import glmm_answer, glmm_steps, glmm_why
from tests.glmm_models import design_of, simulated

ONE_INTERCEPT = ("cbpp", "respiratory", "glmm_exposure", "glmm_one_large", "glmm_rare")


@cache
def explained(name: str) -> GlmmExplanation:
    return explain_glmm(glmm_case(name).design(), title=name)


def slopes(family: str = "binomial") -> tuple[GlmmDesign, Fit]:
    """Correlated slopes beside a crossed intercept, at numbers that nobody fitted."""
    draw = np.random.default_rng(5)
    g, h = np.repeat(np.arange(6), 5), np.tile(np.arange(5), 6)
    x = np.round(draw.normal(size=30), 1)
    y = draw.integers(0, 5, 30)
    names = {"x": x, "g": [f"g{k}" for k in g], "h": [f"h{k}" for k in h]}
    if family == "poisson":
        design = design_of("poisson", "y ~ x + (x|g) + (1|h)", y=y, **names)
    else:
        design = design_of("binomial", "cbind(y, f) ~ x + (x|g) + (1|h)", y=y, f=5 - y, **names)
    cov = np.array([[0.8, 0.3], [0.3, 0.5]])
    values = {
        "beta": np.array([0.2, -0.4]),
        "random_cov[g]": cov,
        "random_cov[h]": np.array([[0.6]]),
    }
    return design, Fit("candidate", "ok", labelled(design.design, values))


def dense(design: GlmmDesign, fit: Fit) -> tuple[np.ndarray, np.ndarray]:
    """Z and G of all terms, written out level by level."""
    Z, G = [], []
    parts = design.design.by_block(fit.covariances)
    for block, part in zip(design.design.blocks, parts, strict=True):
        for level in range(len(block.levels)):
            Z.append(block.Z * (block.codes == level)[:, None])
            G.append(part)
    whole = np.zeros((sum(len(g) for g in G),) * 2)
    at = 0
    for g in G:
        whole[at : at + len(g), at : at + len(g)] = g
        at += len(g)
    return np.hstack(Z), whole


@pytest.mark.parametrize("family", ["binomial", "poisson"])
def test_the_modes_are_the_maximum_of_the_exponent(family: str) -> None:
    design, fit = slopes(family)
    Z, G = dense(design, fit)
    precision = np.linalg.inv(G)
    fixed = design.offset + design.design.X @ fit["beta"]

    def loss(b: np.ndarray) -> float:
        eta = fixed + Z @ b
        height = design.y @ eta - design.trials @ cumulant(design.family, eta)
        return float(b @ precision @ b / 2 - height)

    best = minimize(loss, np.zeros(len(G)), method="BFGS", options={"gtol": 1e-8}).x
    found = conditional_modes(design, fit["beta"], fit.covariances)
    ours = np.concatenate([part.ravel() for part in found.effects])
    # BFGS with numeric gradients ends some 1e-6 from the top.
    assert np.abs(ours - best).max() < 1e-5
    mean = np.exp(found.predictor) if family == "poisson" else 5 / (1 + np.exp(-found.predictor))
    assert np.abs(Z.T @ (design.y - mean) - precision @ ours).max() < 1e-10


def test_the_weights_are_those_of_dense_matrices() -> None:
    design, fit = slopes()
    Z, G = dense(design, fit)
    found = conditional_modes(design, fit["beta"], fit.covariances)
    p = 1 / (1 + np.exp(-found.predictor))
    V = np.diag(1 / (design.trials * p * (1 - p))) + Z @ G @ Z.T
    weight = np.diag(G @ Z.T @ np.linalg.inv(V) @ Z)
    ours = np.concatenate([part.ravel() for part in found.weight])
    assert np.abs(ours - weight).max() < 1e-10


def test_a_singular_covariance_has_its_modes_in_its_own_direction() -> None:
    design, fit = slopes()
    covariances = {**fit.covariances, "g": np.array([[1.0, 0.5], [0.5, 0.25]])}
    b = conditional_modes(design, fit["beta"], covariances).effects[0]
    assert np.abs(b[:, 1] - b[:, 0] / 2).max() < 1e-12
    assert np.abs(b).max() > 0.1


@pytest.mark.parametrize("name", ONE_INTERCEPT)
def test_the_modes_solve_their_equations(name: str) -> None:
    e = explained(name)
    (x,) = e.effects
    fit = Fit(
        "candidate",
        "ok",
        {**e.fit.quantities, **labelled(e.design.design, {f"blup[{x.group}]": x.mode[:, None]})},
        definition="exact",
    )
    check = check_modes(e.design, fit)
    assert check is not None
    assert check.error < 1e-9


@pytest.mark.parametrize("name", ONE_INTERCEPT)
def test_a_mode_lies_between_the_own_effect_and_0(name: str) -> None:
    (x,) = explained(name).effects
    assert (np.sign(x.mode) == np.sign(x.own)).all()
    assert (np.abs(x.mode) < np.abs(x.own)).all()
    assert ((x.weight > 0) & (x.weight < 1)).all()


@pytest.mark.parametrize("name", ONE_INTERCEPT)
def test_own_effects_are_infinite_where_a_level_has_one_outcome_alone(name: str) -> None:
    e = explained(name)
    (x,) = e.effects
    alone = (x.seen == 0) | ((x.seen == x.trials) & (e.design.family == "binomial"))
    assert (np.isinf(x.own) == alone).all()
    said = [sentence for sentence in glmm_why(e) if "infinite" in sentence]
    assert len(said) == int(alone.any())
    if said:
        assert f"Of {len(alone)} levels of {x.group} {alone.sum()} ha" in said[0]


def test_a_finite_own_effect_makes_the_rows_expect_what_was_seen() -> None:
    e = explained("cbpp")
    (x,) = e.effects
    inner = e.design.design
    eta = inner.X @ e.fit["beta"] + x.own[inner.blocks[0].codes]
    expected = np.bincount(inner.blocks[0].codes, e.design.trials / (1 + np.exp(-eta)))
    # The last step of scoring gained less than 1e-10, and so left less than its square root.
    assert np.abs(expected - x.seen).max() < 1e-6


@pytest.mark.parametrize("name", ["cbpp", "respiratory", "glmm_exposure"])
def test_the_means_are_those_of_adaptive_quadrature(name: str) -> None:
    e = explained(name)
    (x,) = e.effects
    inner, sd = e.design.design, e.deviations[0]
    assert x.mean is not None
    for j in range(0, len(x.levels), 11):
        rows = inner.blocks[0].codes == j
        fixed = e.design.offset[rows] + inner.X[rows] @ e.fit["beta"]

        def density(b: float, rows=rows, fixed=fixed, top=x.mode[j]) -> float:
            def height(effect: float) -> float:
                eta = fixed + effect
                below = e.design.trials[rows] @ cumulant(e.design.family, eta)
                return float(e.design.y[rows] @ eta - below - (effect / sd) ** 2 / 2)

            return float(np.exp(height(b) - height(top)))

        span = (x.mode[j] - 10 * sd, x.mode[j] + 10 * sd)
        mass = quad(density, *span, points=[x.mode[j]], limit=400)[0]
        first = quad(lambda b: b * density(b), *span, points=[x.mode[j]], limit=400)[0]
        assert abs(x.mean[j] - first / mass) < 1e-7 * sd


def test_the_average_over_levels_is_that_of_adaptive_quadrature() -> None:
    e = explained("respiratory")
    eta, sd = e.design.design.X @ e.fit["beta"], e.deviations[0]
    for i in (0, 100, 443):
        value = quad(
            lambda z, at=eta[i]: np.exp(-(z**2) / 2) / (1 + np.exp(-at - sd * z)),
            -40,
            40,
            limit=400,
        )[0]
        assert abs(e.marginal[i] - value / np.sqrt(2 * np.pi)) < 1e-9


def test_averaging_counts_moves_the_intercept_alone() -> None:
    e = explained("glmm_exposure")
    assert e.averaging == pytest.approx([e.deviations[0] ** 2 / 2, 0.0], abs=1e-8)
    assert any("moves the intercept by 0.21752, and no other" in s for s in glmm_why(e))


@pytest.mark.parametrize("name", [*ONE_INTERCEPT, "glmm_overdispersed"])
def test_the_parts_of_a_difference_add_up(name: str) -> None:
    e = explained(name)
    whole = e.lines["glm"] - e.lines["mixed model"]
    assert np.abs(e.averaging + e.weighing - whole).max() < 1e-12


def test_where_the_model_is_true_what_is_left_is_small() -> None:
    """Of many rows drawn from the model itself, weighing moves less than averaging by far."""
    draw = np.random.default_rng(1)
    g = np.repeat(np.arange(4000), 4)
    x = draw.normal(size=len(g))
    p = 1 / (1 + np.exp(-0.3 - x - draw.normal(0, 2, 4000)[g]))
    design = design_of("binomial", "y ~ x + (1|g)", y=draw.binomial(1, p), x=x, g=g.astype(str))
    values = {"beta": np.array([0.3, 1.0]), "random_cov[g]": np.array([[4.0]])}
    e = glmm_explanation_of(design, Fit("truth", "ok", labelled(design.design, values)))
    assert e.averaging[1] == pytest.approx(-0.38, abs=0.02)
    assert abs(e.weighing[1]) < 0.05


def test_the_answer_names_the_effect_and_both_parts() -> None:
    said = glmm_answer(explained("respiratory"))
    assert said == (
        "treat[T.A] is 1.6281 in the mixed model and 0.8128 in glm: glm's is 0.815 lower, -0.823 "
        "because it speaks of the average over center:id, and +0.00814 because it weighs the rows "
        "as if they were independent."
    )
    # Of cbpp weighing is the larger part, and comes first.
    assert re.search(
        r"lower, -0\.231 because it weighs .* \+0\.0512 because", glmm_answer(explained("cbpp"))
    )


def test_at_an_engine_s_numbers_what_is_left_is_left_to_them_too() -> None:
    e = pp_compare.explain("glmm_rare", engine="tests.glmm_models:Rounded")
    assert "as if they were independent, and for what rounded is off" in glmm_answer(e)
    assert "is off" not in glmm_answer(explained("glmm_rare"))


def test_without_variance_nothing_is_told_of_levels() -> None:
    e = explained("glmm_boundary")
    assert glmm_answer(e).endswith("are glm's: its random effects have variance 0.")
    assert glmm_why(e) == ("Every level's own effect is left aside: the modes are 0.",)
    assert not e.effects[0].mode.any()
    assert np.abs(e.lines["mixed model"] - e.lines["glm"]).max() < 1e-8


def test_what_is_not_defined_is_said() -> None:
    for name in ("cbpp", "glmm_overdispersed"):
        said = glmm_steps(explained(name))[-1].text
        assert "no weights of levels in the fixed effects" in said
        assert ("sd^2 / (sd^2 + pi^2/3) = 0.11304" in said) == (name == "cbpp")
        assert ("no formula" in said) == (name == "glmm_overdispersed")


def test_every_level_stands_in_the_table() -> None:
    e = explained("respiratory")
    table = glmm_steps(e)[2].table
    assert table is not None
    assert len(table.rows) == 111
    assert table.columns == (
        "center:id", "rows", "trials", "successes", "own", "weight", "mode", "mean",
    )  # fmt: skip
    assert table.rows[0][4] == "-inf"


def test_rows_that_do_not_determine_an_own_effect_leave_it_out() -> None:
    design = design_of(
        "poisson", "y ~ x + (x|g)", y=[1, 2, 4, 3, 2, 5], x=[0, 1, 0, 1, 0, 0],
        g=["a", "a", "b", "b", "c", "c"],
    )  # fmt: skip
    values = {"beta": np.array([0.5, 0.1]), "random_cov[g]": np.diag([0.5, 0.2])}
    e = glmm_explanation_of(design, Fit("candidate", "ok", labelled(design.design, values)))
    assert np.isnan(e.effects[0].own).tolist() == [False, False, True]


def test_where_there_is_no_maximum_there_is_nothing_to_explain() -> None:
    with pytest.raises(InputError, match="the data are separated"):
        explain_glmm(glmm_case("glmm_separated").design())


def test_an_engine_s_own_numbers_are_explained() -> None:
    e = pp_compare.explain("glmm_rare", engine="tests.glmm_models:Rounded")
    assert isinstance(e, GlmmExplanation)
    assert (e.fit.engine, e.fit.definition) == ("rounded", "laplace")
    laplace = pp_compare.explain("glmm_rare", engine="certified:laplace")
    assert np.abs(e.effects[0].mode - laplace.effects[0].mode).max() < 1e-12
    assert laplace.fit["loglik"] != explained("glmm_rare").fit["loglik"]


def test_a_table_of_one_s_own_is_explained() -> None:
    frame = simulated(3, groups=6, rows=3).design.dataset.frame
    e = pp_compare.explain(frame, "cbind(y, f) ~ x + (1|g)", family="binomial")
    assert [x.group for x in e.effects] == ["g"]


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(words))
    if isinstance(done.exception, SystemExit) or done.exception is None:
        return done.exit_code, done.output
    sentence, status = told_of(done.exception)
    return status, sentence


def test_the_command_prints_the_steps_and_writes_the_page(tmp_path: Path) -> None:
    status, said = run("explain", "glmm_rare", "--out", str(tmp_path))
    assert status == 0, said
    assert "From own to mode: Intercept by cluster" in said
    assert {path.name for path in tmp_path.iterdir()} == {
        "explain.html", "modes_1.svg", "average.svg",
    }  # fmt: skip
    page = (tmp_path / "explain.html").read_text(encoding="utf-8")
    assert "What is not defined here" in page
    assert page.count("<figure") == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("cbpp", "--method", "ml"), "--method and --inference are a linear model's"),
        (("cbpp", "--inference"), "--method and --inference are a linear model's"),
        (("glmm_separated",), "the data are separated"),
        (("cbpp", "--engine", "nlme"), "no engine 'nlme' of generalised models"),
        (("cbpp", "--engine", "certified:agq:0"), "agq takes a number of nodes"),
        (("grouseticks", "--engine", "certified:exact"), "one random intercept"),
        (("sleepstudy", "--weights", "w"), "--family is needed"),
    ],
)
def test_bad_input_ends_with_a_sentence(words: tuple[str, ...], says: str) -> None:
    status, said = run("explain", *words)
    assert (status, says in said) == (2, True), said
