"""A criterion about an engine's own conditional modes: which half of an error they explain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pp_compare.certified.glmm.model import GlmmModel
from pp_compare.data.glmm_corpus import glmm_case
from pp_compare.engines.glmm.registry import fit_glmm
from pp_compare.identities.glmm_modes import criterion_at_modes, one_step
from pp_compare.model import Fit, Quantity

CASES = [
    *((case, "") for case in ("cbpp", "glmm_exposure", "glmm_overdispersed", "grouseticks")),
    ("cbpp", ":agq:10"),
    ("glmm_exposure", ":agq:10"),
]


def at_estimates(case: str, fit: Fit) -> float:
    model = GlmmModel(glmm_case(case).design())
    return model.value(fit.definition, fit["beta"], fit.covariances).middle


@pytest.mark.parametrize(("case", "setting"), CASES)
def test_about_good_modes_it_is_the_criterion(case: str, setting: str) -> None:
    """Modes of a tight inner iteration: counts and trials, crossed, offset, quadrature."""
    design = glmm_case(case).design()
    fit = fit_glmm(f"recorded:sid/lme4:tight{setting}", design)
    # Some 1e-16 of each of 400 terms, and of the logarithms of a determinant.
    assert criterion_at_modes(design, fit) == pytest.approx(at_estimates(case, fit), abs=1e-10)


def moved(fit: Fit, by: float) -> Fit:
    modes = fit.quantities["blup[herd]"]
    other = Quantity(modes.name, modes.values + by, modes.rows, modes.columns)
    return replace(fit, quantities={**fit.quantities, modes.name: other})


def test_other_modes_lower_it_by_the_height_that_they_lose() -> None:
    design = glmm_case("cbpp").design()
    fit = fit_glmm("recorded:sid/lme4:tight", design)
    best = criterion_at_modes(design, fit)
    near, far = (best - criterion_at_modes(design, moved(fit, by)) for by in (1e-3, 1e-2))
    assert 0 < abs(near) < abs(far)
    assert abs(far) > 1e-5


@pytest.mark.parametrize("stack", ["bookworm", "trixie"])
def test_glmer_before_2_1_errs_beside_its_modes_and_later_by_them_alone(stack: str) -> None:
    """Its determinant is that of the iterate before: lme4 2.1-0 has mended it."""
    design = glmm_case("cbpp").design()
    old, new = (fit_glmm(f"recorded:{s}/lme4", design) for s in (stack, "sid"))
    error = [float(fit["loglik"]) - at_estimates("cbpp", fit) for fit in (old, new)]
    of_modes = [criterion_at_modes(design, fit) - at_estimates("cbpp", fit) for fit in (old, new)]
    assert error[0] < -2e-4
    assert abs(of_modes[0]) < 1e-4 * abs(error[0])
    assert error[1] == pytest.approx(of_modes[1], abs=1e-12)


def test_where_there_are_no_modes_or_no_such_definition_there_is_no_number() -> None:
    design = glmm_case("cbpp").design()
    fit = fit_glmm("recorded:sid/lme4", design)
    without = {name: q for name, q in fit.quantities.items() if not name.startswith("blup")}
    boundary = Quantity("random_cov[herd]", np.zeros((1, 1)), ("Intercept",), ("Intercept",))
    for other in (
        replace(fit, definition="pql"),
        replace(fit, quantities=without),
        replace(fit, quantities={**fit.quantities, boundary.name: boundary}),
    ):
        assert np.isnan(criterion_at_modes(design, other))


def test_one_step_bounds_what_a_determinant_can_be_behind() -> None:
    """Against the determinant itself, at the modes of an inner iteration and one step before."""
    design = glmm_case("glmm_one_large").design()
    fit = fit_glmm("recorded:sid/lme4:tight", design)
    sd, modes = float(fit["random_cov[cluster]"][0, 0]) ** 0.5, fit["blup[cluster]"][:, 0]
    block = design.design.blocks[0]

    def precision(b: np.ndarray) -> np.ndarray:
        eta = design.design.X @ fit["beta"] + b[block.codes]
        p = 1 / (1 + np.exp(-eta))
        return sd**-2 + np.bincount(block.codes, p * (1 - p))

    curvature = precision(modes)
    draw = np.random.default_rng(0)
    for _ in range(20):
        # A step by which the penalised deviance, 269.6 here, falls by 1e-7 of itself.
        step = draw.normal(size=len(modes))
        bound = one_step(design, fit, 1e-7)
        step *= np.sqrt(1e-7 * 269 / (curvature @ step**2))
        moved_by = np.log(precision(modes - step) / curvature).sum() / 2
        assert abs(moved_by) < bound
    assert bound == pytest.approx(one_step(design, fit, 4e-7) / 2, rel=1e-12)


def test_one_step_takes_counts_and_several_terms() -> None:
    design = glmm_case("glmm_overdispersed").design()
    old = fit_glmm("recorded:bookworm/lme4", design)
    error = abs(float(old["loglik"]) - at_estimates("glmm_overdispersed", old))
    assert 0.1 < error / one_step(design, old, 1e-7) < 1
    without = {name: q for name, q in old.quantities.items() if not name.startswith("blup")}
    assert np.isnan(one_step(design, replace(old, quantities=without), 1e-7))
