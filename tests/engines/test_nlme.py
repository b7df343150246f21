"""lme() through rpy2: its numbers, its labels, and the models that it can be made to fit."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pp_compare.engines import Engine, make_engine
from pp_compare.engines._r import REngine
from pp_compare.engines._rpy2 import session
from pp_compare.engines.nlme import SETTINGS, Nlme, chain
from pp_compare.errors import InputError
from pp_compare.model import Method
from pp_compare.model.design import Design
from pp_compare.resources import resource
from tests.engines.likelihood import gls_covariance, linear_predictor, log_likelihood
from tests.examples import clusters, corpus_design, design

pytestmark = pytest.mark.needs_r

# As for lme4, with every form in which random effects are written for lme(): pdLogChol, pdDiag,
# pdBlocked of blocks of two, nested levels, and crossed factors as pdIdent blocks of one group.
MODELS = [
    "seed_case1",
    "Dyestuff2",
    "sleepstudy",
    "sleepstudy_uncorrelated",
    "Penicillin",
    "Pastes",
    "Pastes_sample",
    "cake",
    "Machines_by_worker",
    "Pixel",
    "Wafer",
    "Assay",
]
ROUNDING = 1e-9  # as in test_lme4


@pytest.fixture(scope="module")
def nlme() -> Engine:
    return make_engine("nlme")


def assert_every_number_is_where_its_label_says(engine: Engine, this: Design) -> None:
    fit = engine.fit(this)
    assert fit.status == "ok", fit.messages
    assert fit.design_error == 0.0
    scale = np.abs(this.y).max()
    assert np.abs(linear_predictor(this, fit) - fit["fitted"]).max() <= ROUNDING * scale
    assert log_likelihood(this, fit) == pytest.approx(float(fit["loglik"]), rel=ROUNDING)
    assert fit["beta_cov"] == pytest.approx(gls_covariance(this, fit), rel=1e-6, abs=ROUNDING)


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("case", MODELS)
def test_every_number_of_a_model_is_where_its_label_says(
    nlme: Engine, case: str, method: Method
) -> None:
    assert_every_number_is_where_its_label_says(nlme, corpus_design(case, method))


def crossed_frame() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    a, b = np.repeat(np.arange(6), 10), np.tile(np.arange(5), 12)
    x = rng.normal(size=60)
    y = rng.normal(size=6)[a] + (rng.normal(size=5)[b]) * x + x + rng.normal(size=60)
    return pd.DataFrame({"y": y, "x": x, "a": a, "b": b, "c": rng.integers(0, 4, 60)})


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ x + (1|a) + (0 + x|b)",
        "y ~ x + (1|a) + (x||b) + (1|c)",
        "y ~ x + (1|a) + (1|a:b) + (1|b)",
    ],
)
def test_crossed_factors_with_single_effects_are_fitted(nlme: Engine, formula: str) -> None:
    this = design(crossed_frame(), formula)
    assert chain(this) is None
    assert_every_number_is_where_its_label_says(nlme, this)


def test_two_correlated_blocks_of_one_group_are_independent(nlme: Engine) -> None:
    frame = clusters(12, [9, 8, 10, 7, 9, 11, 10, 12], slope=1.0)
    rng = np.random.default_rng(13)
    frame = frame.assign(z=rng.normal(size=len(frame)), t=rng.normal(size=len(frame)))
    sizes = frame.groupby("g").size()
    for slope in ("z", "t"):
        frame["y"] += np.repeat(2 * rng.normal(size=8), sizes) * frame[slope]
    this = design(frame, "y ~ x + (x|g) + (0 + z + t|g)")
    assert_every_number_is_where_its_label_says(nlme, this)
    matrix = nlme.fit(this)["random_cov[g]"]
    assert np.all(matrix[:2, 2:] == 0.0)
    assert np.all(matrix[:2, :2] != 0.0)


def test_crossed_factors_with_correlated_effects_are_unsupported(nlme: Engine) -> None:
    this = design(crossed_frame(), "y ~ x + (x|a) + (1|b)")
    fit = nlme.fit(this)
    assert fit.status == "unsupported"
    assert fit.messages == (nlme.unsupported(this),)
    assert "correlated effects of 'a'" in fit.messages[0]
    assert nlme.unsupported(design(crossed_frame(), "y ~ x + (x|a)")) is None


def test_nested_labels_that_lme_would_join_are_refused(nlme: Engine) -> None:
    """Levels "p" in "q/r" and "r/p" in "q" are both "q/r/p" to lme()."""
    rng = np.random.default_rng(14)
    outer = np.repeat(["q/r", "q", "s"], 8)
    inner = np.concatenate(
        [np.repeat(["p", "k"], 4), np.repeat(["r/p", "l"], 4), ["m"] * 4, ["n"] * 4]
    )
    frame = pd.DataFrame({"y": rng.normal(size=24), "a": outer, "b": inner})
    fit = nlme.fit(design(frame, "y ~ 1 + (1|a) + (1|b)"))
    assert fit.status == "error"
    assert "two levels of 'b' for one" in fit.messages[0]
    frame["b"] = frame["b"].str.replace("/", "-")
    assert nlme.fit(design(frame, "y ~ 1 + (1|a) + (1|b)")).status == "ok"


def test_the_standard_errors_are_those_that_summary_prints(nlme: Engine) -> None:
    for method, inflation in (("REML", 1.0), ("ML", np.sqrt(180 / 178))):
        fit = nlme.fit(corpus_design("sleepstudy", method))
        ratio = fit["beta_se"] / np.sqrt(np.diag(fit["beta_cov"]))
        # Two square roots and a product are each within half a unit in the last place.
        assert ratio == pytest.approx(inflation, rel=4 * np.finfo(float).eps)


def test_the_standard_errors_have_the_bits_of_summary() -> None:
    code = """
    source(commandArgs(TRUE)[1]); library(nlme)
    for (method in c("REML", "ML")) {
      for (m in list(
        lme(distance ~ age + Sex, Orthodont, ~ 1 | Subject, method = method),
        lme(yield ~ nitro * Variety, Oats, ~ 1 | Block / Variety, method = method)))
      cat(identical(pp_lme_se(m), unname(summary(m)$tTable[, "Std.Error"])), "\\n")
    }
    """
    command = ["Rscript", "--no-init-file", "-e", code, str(resource("r", "fit.R"))]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert found.split() == ["TRUE"] * 4


def test_an_r_error_comes_with_rs_words(nlme: Engine) -> None:
    fit = nlme.fit(corpus_design("nist_SmLs07"))
    assert fit.status == "error"
    assert "nlminb problem, convergence error code = 1" in fit.messages[0]


def test_what_r_prints_becomes_a_message() -> None:
    talkative = REngine("nlme:talkative", Nlme({"msVerbose": True}), session("nlme"))
    this = corpus_design("sleepstudy")
    fit = talkative.fit(this)
    assert fit.status == "ok"
    assert any(message.strip().startswith("0:") for message in fit.messages)
    assert make_engine("nlme").fit(this).messages == ()


def test_another_design_matrix_is_seen(nlme: Engine) -> None:
    this = corpus_design("Penicillin")
    assert nlme.fit(this).design_error == 0.0
    assert nlme.fit(replace(this, X=this.X + 2.0**-30)).design_error == 2.0**-30


@pytest.mark.parametrize("setting", sorted(SETTINGS))
def test_every_setting_fits_and_says_what_it_asked(nlme: Engine, setting: str) -> None:
    this = corpus_design("sleepstudy")
    fit, default = make_engine(f"nlme:{setting}").fit(this), nlme.fit(this)
    assert fit.status == "ok"
    assert fit.engine == f"nlme:{setting}"
    assert fit.settings
    assert default.settings == {}
    # optim()'s reltol (msTol) is 1e-7 of the criterion.
    assert float(fit["loglik"]) == pytest.approx(float(default["loglik"]), rel=1e-7)


def test_tight_finds_all_digits_where_em_converges(nlme: Engine) -> None:
    """EM is not held up by the rounding of the criterion: its fixed point is the optimum itself."""
    this = corpus_design("Orthodont_sex")
    best = make_engine("certified").fit(this)["random_cov[Subject]"][0, 0]
    errors = [
        abs(engine.fit(this)["random_cov[Subject]"][0, 0] / best - 1)
        for engine in (nlme, make_engine("nlme:tight"))
    ]
    # sqrt(eps) is what function values can give; 1e-12 leaves rounding of 108 rows in EM.
    assert errors[0] > 1e-11
    assert errors[1] < 1e-12


def test_an_unknown_setting_is_named() -> None:
    with pytest.raises(InputError, match=r"nlme has no setting 'bogus'.*tight"):
        make_engine("nlme:bogus")
