"""Engines of generalised models: what they are asked, and what they answer."""

from __future__ import annotations

import numpy as np
import pytest

from pp_compare.engines.glmm.registry import fit_glmm, make_glmm_engine
from pp_compare.errors import InputError, UnavailableError
from pp_compare.model import Fit
from pp_compare.model.glmm import GlmmDesign
from tests.glmm_models import design_of, simulated


def fitted(engine: str, design: GlmmDesign) -> Fit:
    try:
        return fit_glmm(engine, design)
    except UnavailableError as missing:
        pytest.skip(str(missing))


@pytest.mark.needs_r
def test_glmer_says_which_criterion_it_solves() -> None:
    design = simulated(3)
    one, ten = (fitted(f"lme4:tight{rest}", design) for rest in ("", ":agq:10"))
    assert (one.status, one.definition, ten.definition) == ("ok", "laplace", "agq:10")
    assert one.quantities["beta"].rows == ("Intercept", "x")
    assert one["blup[g]"].shape == (8, 1)
    assert "sigma" not in one.quantities
    assert abs(one["beta"] - ten["beta"]).max() > 1e-4


@pytest.mark.needs_r
def test_glmer_takes_counts_with_an_exposure_and_0_and_1() -> None:
    counts = fitted("lme4", simulated(5, "poisson"))
    draw = np.random.default_rng(4)
    g = [f"g{k}" for k in range(10) for _ in range(4)]
    binary = design_of("binomial", "y ~ 1 + (1|g)", y=draw.integers(0, 2, 40), g=g)
    assert (counts.status, fitted("lme4", binary).status) == ("ok", "ok")


@pytest.mark.needs_r
def test_penalised_quasi_likelihood_has_no_likelihood() -> None:
    fit = fitted("glmmpql", simulated(3))
    assert (fit.status, fit.definition) == ("ok", "pql")
    assert "loglik" not in fit.quantities


@pytest.mark.needs_r
@pytest.mark.slow
def test_glmmtmb_agrees_with_glmer() -> None:
    design = simulated(3)
    one, other = fitted("glmmtmb", design), fitted("lme4:tight", design)
    assert one["beta"] == pytest.approx(other["beta"], abs=1e-3)


def test_statsmodels_gives_posteriors_of_0_and_1_and_says_what_it_does_not_take() -> None:
    draw = np.random.default_rng(4)
    g = [f"g{k}" for k in range(6) for _ in range(5)]
    binary = design_of("binomial", "y ~ 1 + (1|g)", y=draw.integers(0, 2, 30), g=g)
    fit = fit_glmm("statsmodels:vb", binary)
    assert (fit.status, fit.definition) == ("ok", "vb")
    again = fit_glmm("statsmodels:vb", binary)
    assert np.array_equal(fit["beta"], again["beta"])  # its start is drawn with a seed
    assert "a row for each trial" in fit_glmm("statsmodels:vb", simulated(3)).messages[0]
    assert "no offset" in fit_glmm("statsmodels:vb", simulated(5, "poisson")).messages[0]


@pytest.mark.parametrize("name", ["nlme", "statsmodels", "statsmodels:bfgs", "lme4:agq:1"])
def test_an_engine_or_a_setting_that_there_is_not_is_refused(name: str) -> None:
    with pytest.raises((InputError, UnavailableError), match=r"there are|R"):
        make_glmm_engine(name)


def test_an_engine_of_one_s_own_goes_by_its_path() -> None:
    engine = make_glmm_engine("tests.glmm_models:PlainQuadrature")
    assert (engine.name, engine.definition) == ("plain", "laplace")
