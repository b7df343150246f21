"""Engines of generalised models: what they are asked, and what they answer."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from pp_compare.engines.glmm.r import definition_of, glmm_fits
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


@pytest.mark.needs_r
@pytest.mark.parametrize("engine", ["lme4:tight", "lme4:agq:10", "glmmpql"])
def test_an_rscript_fits_what_rpy2_does(engine: str) -> None:
    """Its functions are among those that a request may name, and the numbers are the same."""
    design = simulated(3)
    here = fitted(engine, design)
    (there,) = glmm_fits(["Rscript"], [(engine, design)])
    assert (there.status, there.definition) == ("ok", here.definition), there.messages
    for name in here.quantities:
        assert there[name] == pytest.approx(here[name], rel=1e-6, abs=1e-9), name


@pytest.mark.needs_r
def test_what_cannot_be_fitted_keeps_its_place() -> None:
    crossed = design_of(
        "poisson", "y ~ 1 + (1|g) + (1|h)", y=[1, 2, 0, 3, 1, 4], g=list("aabbcc"), h=list("xyxyxy")
    )
    tasks = [("lme4:agq:5", crossed), ("lme4", simulated(3))]
    status = [fit.status for fit in glmm_fits(["Rscript"], tasks)]
    assert status == ["unsupported", "ok"]


def test_a_command_that_is_no_r_is_unavailable() -> None:
    with pytest.raises(UnavailableError, match="no-such-program"):
        list(glmm_fits(["no-such-program"], [("lme4", simulated(3))]))


@pytest.mark.parametrize(
    ("name", "definition"),
    [("lme4", "laplace"), ("lme4:tight:agq:9", "agq:9"), ("glmmpql", "pql")],
)
def test_the_definition_of_an_engine_in_r_needs_no_r(name: str, definition: str) -> None:
    assert definition_of(name) == definition


@pytest.mark.parametrize("name", ["nlme", "glmmpql:tight", "lme4:agq:1", "statsmodels:vb"])
def test_what_is_no_engine_in_r_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"no engine|has no setting"):
        definition_of(name)


MODULE = """
class Plain:
    name = "plain"
    definition = "laplace"
    fit = unsupported = lambda self, design: None


class Unnamed:
    name = "unnamed"
    fit = unsupported = lambda self, design: None


class Chosen(Plain):
    def __init__(self, setting):
        self.name = f"chosen:{setting}"


def broken():
    raise RuntimeError("no licence")
"""


@pytest.mark.parametrize(
    ("engine_id", "name"),
    [("glmm_engines_of_mine:Plain", "plain"), ("glmm_engines_of_mine:Chosen:x", "chosen:x")],
)
def test_an_engine_by_its_path_may_have_a_setting(
    engine_id: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "glmm_engines_of_mine.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    assert make_glmm_engine(engine_id).name == name


@pytest.mark.parametrize(
    ("code", "path", "words"),
    [
        (MODULE, "Plain:tight", "has no settings, so no setting 'tight'"),
        (MODULE, "Nothing", "no engine factory"),
        (MODULE, "Unnamed", "gives a Unnamed without definition"),
        (MODULE, "broken", "makes no engine: 'RuntimeError: no licence'"),
        ("import nothing_of_that_name", "Plain", "cannot be imported, because ModuleNotFound"),
        ("raise RuntimeError('no licence')", "Plain", "cannot be imported, because RuntimeError"),
    ],
)
def test_a_path_that_gives_no_engine_is_bad_input(
    code: str, path: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "glmm_broken_of_mine.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("glmm_broken_of_mine", None)
    with pytest.raises(InputError, match=words):
        make_glmm_engine(f"glmm_broken_of_mine:{path}")
