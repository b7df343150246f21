"""The exact likelihood, Laplace's and k-node criteria, and their optima, against other ways."""

from __future__ import annotations

import math

import numpy as np
import pytest
from flint import acb, arb, arb_mat, ctx

from pp_compare.certified.glmm.agq import AgqCriterion
from pp_compare.certified.glmm.exact import ExactCriterion
from pp_compare.certified.glmm.laplace import LaplaceCriterion
from pp_compare.certified.glmm.model import GlmmModel
from pp_compare.certified.glmm.optimum import glmm_optimum
from pp_compare.certified.glmm.search import glm
from pp_compare.certified.glmm.separation import separating_direction
from pp_compare.data.glmm_corpus import glmm_case
from pp_compare.model.glmm import GlmmDesign
from tests.glmm_models import PlainQuadrature, design_of, simulated

BITS = 128
FAMILIES = ("binomial", "poisson")


def column(values: list[float]) -> arb_mat:
    return arb_mat([[arb(v)] for v in values])


def integral(design: GlmmDesign, at: list[float], group: int) -> acb:
    """One group's likelihood by adaptive integration in complex balls, on a finite range."""
    beta, sigma = at[:-1], at[-1]
    rows = np.flatnonzero(design.design.blocks[0].codes == group)
    X, o = design.design.X, design.offset
    eta = [acb(o[i]) + (arb_mat([X[i].tolist()]) * column(beta))[0, 0] for i in rows]

    def f(b: acb, _: bool) -> acb:
        total = (-b * b / 2).exp() / (2 * acb.pi()).sqrt()
        for i, e in zip(rows, eta, strict=True):
            y, n, z = int(design.y[i]), int(design.trials[i]), e + acb(sigma) * b
            if design.family == "poisson":
                total *= (y * z - z.exp()).exp() / math.factorial(y)
            else:
                total *= math.comb(n, y) * (z * y).exp() / (1 + z.exp()) ** n
        return total

    # Beyond 16 the normal density has less than 1e-55 of its mass.
    return acb.integral(f, -16, 16, rel_tol=arb(2) ** -110)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_trapezoidal_rule_encloses_what_adaptive_integration_does(family: str) -> None:
    design = simulated(3, family, groups=3, rows=3)
    at = [0.4, -0.5, 1.3]
    with ctx.workprec(BITS):
        value = -ExactCriterion(GlmmModel(design).data).value(column(at))
        other = sum((integral(design, at, g).real.log() for g in range(3)), arb(0))
        assert value.overlaps(other)
        assert value.rad() < arb(10) ** -28
        assert other.rad() < arb(10) ** -25


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", [ExactCriterion, LaplaceCriterion, lambda d: AgqCriterion(d, 4)])
def test_gradient_and_hessian_are_those_of_the_value(family: str, kind) -> None:
    criterion = kind(GlmmModel(simulated(5, family, groups=4)).data)
    at = [0.2, -0.4, 0.8]
    h = 2.0**-30
    with ctx.workprec(BITS):
        _, gradient, hessian = criterion.everything(column(at))
        for j in range(3):
            up, down = ([a + s * h * (i == j) for i, a in enumerate(at)] for s in (1, -1))
            slope = (criterion.value(column(up)) - criterion.value(column(down))) / (2 * h)
            bend = criterion.derivatives(column(up))[0] - criterion.derivatives(column(down))[0]
            # The difference quotient's own error is h^2 times a third derivative, 1e-17.
            assert abs(slope - gradient[j, 0]) < 1e-14
            assert all(abs(bend[i, 0] / (2 * h) - hessian[i, j]) < 1e-13 for i in range(3))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", [ExactCriterion, LaplaceCriterion, lambda d: AgqCriterion(d, 3)])
def test_over_a_box_the_derivatives_hold_those_of_its_points(family: str, kind) -> None:
    criterion = kind(GlmmModel(simulated(7, family, groups=4)).data)
    middle, radius = np.array([0.2, -0.4, 0.9]), 2.0**-16
    draw = np.random.default_rng(1)
    with ctx.workprec(BITS):
        box = arb_mat([[arb(float(m), radius)] for m in middle])
        gradient, hessian = criterion.derivatives(box)
        for _ in range(4):
            at = middle + radius * draw.uniform(-1, 1, 3)
            g, h = criterion.derivatives(column(at.tolist()))
            assert all(gradient[i, 0].overlaps(g[i, 0]) for i in range(3))
            assert all(hessian[i, j].contains(h[i, j].mid()) for i in range(3) for j in range(3))


def test_laplace_is_what_a_plain_programme_in_doubles_finds() -> None:
    for family in FAMILIES:
        design = simulated(11, family)
        at = [0.1, -0.3, 1.1]
        data = GlmmModel(design).data
        for nodes, criterion in ((1, LaplaceCriterion(data)), (7, AgqCriterion(data, 7))):
            with ctx.workprec(BITS):
                value = -float(criterion.value(column(at)))
            plain = PlainQuadrature(nodes).loglik(design, np.array(at))
            assert value == pytest.approx(plain, rel=1e-11)  # 32 terms of a few 1e-16 each


def test_one_node_is_laplace_and_many_are_exact() -> None:
    data = GlmmModel(simulated(13)).data
    at = column([0.1, -0.3, 1.1])
    with ctx.workprec(BITS):
        laplace, one = LaplaceCriterion(data).value(at), AgqCriterion(data, 1).value(at)
        exact, many = ExactCriterion(data).value(at), AgqCriterion(data, 40).value(at)
        assert laplace.overlaps(one)
        assert abs(exact - many) < 1e-11
        assert abs(exact - laplace) > 1e-3


def test_correlated_effects_agree_with_difference_quotients() -> None:
    draw = np.random.default_rng(2)
    g = np.repeat([f"g{k}" for k in range(5)], 6)
    x = np.round(draw.normal(size=30), 1)
    design = design_of("binomial", "y ~ x + (1 + x|g)", y=draw.integers(0, 2, 30), x=x, g=g)
    criterion = LaplaceCriterion(GlmmModel(design).data)
    at, h = [0.1, 0.2, 0.9, -0.3, 0.5], 2.0**-30
    with ctx.workprec(BITS):
        _, gradient, hessian = criterion.everything(column(at))
        for j in range(5):
            up, down = ([a + s * h * (i == j) for i, a in enumerate(at)] for s in (1, -1))
            slope = (criterion.value(column(up)) - criterion.value(column(down))) / (2 * h)
            bend = criterion.derivatives(column(up))[0] - criterion.derivatives(column(down))[0]
            assert abs(slope - gradient[j, 0]) < 1e-14
            assert all(abs(bend[i, 0] / (2 * h) - hessian[i, j]) < 1e-13 for i in range(5))


@pytest.mark.parametrize(
    ("name", "loglik"),
    [
        ("cbpp", "-91.98336903731052399966876441012502"),
        ("respiratory", "-233.9731130274632281372619581897469"),
        pytest.param(
            "toenail_interaction", "-621.2014665499206211221773839735326", marks=pytest.mark.slow
        ),
    ],
)
def test_the_exact_optimum_of_a_published_trial_is_proved(name: str, loglik: str) -> None:
    answer = GlmmModel(glmm_case(name).design()).optimum("exact")
    assert (answer.claim, answer.digits["loglik"]) == ("local", loglik)


def test_the_laplace_optimum_is_that_of_a_tight_glmer() -> None:
    answer = GlmmModel(glmm_case("cbpp").design()).optimum("laplace")
    # lme4 1.1-31 with tolPwrss 1e-13: log-likelihood -92.0262819, sd 0.64226.
    assert float(answer.digits["loglik"]) == pytest.approx(-92.0262819, abs=2e-7)
    assert float(answer.digits["theta[1]"]) == pytest.approx(0.64226, abs=1e-5)
    assert answer.quantities["beta_se"].values == pytest.approx(
        [0.2324719, 0.3066422, 0.3266376, 0.4274360], rel=1e-5
    )


def test_a_standard_deviation_of_0_is_proved_to_be_the_optimum() -> None:
    model = GlmmModel(glmm_case("glmm_boundary").design())
    for definition in model.definitions:
        answer = model.optimum(definition)
        assert (answer.claim, answer.singular, answer.digits["theta[1]"]) == ("local", True, "0")
        # There the model is a logistic regression.
        assert answer.quantities["beta"].values == pytest.approx(glm(model.data), abs=1e-8)


def test_separated_data_have_no_optimum_and_a_direction_that_says_so() -> None:
    model = GlmmModel(glmm_case("glmm_separated").design())
    answer = model.optimum("exact")
    assert (answer.found, answer.claim) == (False, "none")
    signed = np.where(model.design.y == 1, 1, -1) * (model.data.X @ np.array(answer.direction))
    assert (signed >= 0).all()
    assert (signed > 0).any()
    assert separating_direction(GlmmModel(simulated(3)).data) is None


def test_counts_of_0_in_one_arm_have_no_optimum() -> None:
    x, y = [0, 0, 1, 1] * 3, [2, 1, 0, 0] * 3
    g = [f"g{k}" for k in range(3) for _ in range(4)]
    answer = GlmmModel(design_of("poisson", "y ~ x + (1|g)", y=y, x=x, g=g)).optimum("exact")
    assert answer.direction == (0.0, -1.0)


def test_the_optimum_is_where_the_search_of_another_programme_ends() -> None:
    for family, nodes, definition in (("binomial", 1, "laplace"), ("poisson", 30, "exact")):
        design = simulated(17, family, groups=6, rows=3, sd=1.2)
        answer = GlmmModel(design).optimum(definition)
        fit = PlainQuadrature(nodes, definition).fit(design)
        assert answer.claim == "local"
        assert fit["loglik"] == pytest.approx(float(answer.digits["loglik"]), abs=1e-8)
        assert fit["beta"] == pytest.approx(answer.quantities["beta"].values, abs=1e-5)


def test_recoding_moves_the_optimum_as_algebra_says() -> None:
    design = simulated(19)
    swapped = design_of(
        "binomial", "cbind(f, y) ~ x + (1|g)", y=design.y, f=design.trials - design.y,
        x=design.design.X[:, 1] * 2, g=[f"h{k}" for k in design.design.blocks[0].codes],
    )  # fmt: skip
    one, other = (glmm_optimum(ExactCriterion(GlmmModel(d).data)) for d in (design, swapped))
    with ctx.workprec(BITS):
        assert one.loglik.overlaps(other.loglik)
        assert one.at[0, 0].overlaps(-other.at[0, 0])
        assert one.at[1, 0].overlaps(-2 * other.at[1, 0])
        assert one.at[2, 0].overlaps(other.at[2, 0])


def test_trials_are_rows_of_0_and_1() -> None:
    """Rows written out have the likelihood of their trials, less the binomial constant."""
    design = simulated(23, groups=4)
    rows = np.repeat(np.arange(len(design.y)), design.trials)
    first = np.concatenate([np.arange(n) for n in design.trials])
    long = design_of(
        "binomial", "y ~ x + (1|g)", y=(first < design.y[rows]).astype(int),
        x=design.design.X[rows, 1], g=[f"g{k}" for k in design.design.blocks[0].codes[rows]],
    )  # fmt: skip
    at = column([0.1, -0.3, 1.1])
    with ctx.workprec(BITS):
        constant = GlmmModel(design).data.constant()
        for kind in (ExactCriterion, LaplaceCriterion):
            short, whole = (kind(GlmmModel(d).data).value(at) for d in (design, long))
            assert (short + constant).overlaps(whole)


def test_one_cluster_of_many_trials_needs_no_more_than_a_plan() -> None:
    design = design_of(
        "binomial", "cbind(y, f) ~ 1 + (1|g)",
        y=[40_000, 3, 1], f=[60_000, 4, 5], g=["a", "b", "c"],
    )  # fmt: skip
    with ctx.workprec(BITS):
        value = -ExactCriterion(GlmmModel(design).data).value(column([-0.4, 0.7]))
        at = [-0.4, 0.7]
        other = sum((integral(design, at, g).real.log() for g in (1, 2)), arb(0))
        # The large group alone, by difference: its posterior is 100 times narrower than the prior.
        assert value.rad() < arb(10) ** -20
        assert float(value - other) == pytest.approx(
            PlainQuadrature(30).loglik(design, np.array(at)) - float(other), abs=1e-6
        )


def test_symmetrical_data_whose_slope_at_the_top_is_a_ball_about_0_are_proved() -> None:
    design = design_of(
        "binomial", "y ~ 1 + (1|g)", y=[1, 0, 0, 0, 1, 1], g=["a", "a", "b", "b", "c", "c"]
    )
    answer = GlmmModel(design).optimum("exact")
    assert answer.claim == "local"
    # Turned round the data are the same.
    assert abs(float(answer.digits["beta[Intercept]"])) < 1e-30
