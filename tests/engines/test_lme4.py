"""lmer() through rpy2: its numbers, its labels, its words, and what it must not run."""

from __future__ import annotations

import importlib
import importlib.util
import math
import os
import shutil
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pp_compare.engines import Engine, _rpy2, make_engine
from pp_compare.engines._r import REngine, Request
from pp_compare.engines.alignment import design_error
from pp_compare.engines.lme4 import SETTINGS, Lme4
from pp_compare.errors import EngineError, InputError, UnavailableError
from pp_compare.model import Method
from pp_compare.model.design import Design
from pp_compare.model.matrices import ColumnFactor
from pp_compare.resources import resource
from tests.engines.likelihood import gls_covariance, linear_predictor, log_likelihood
from tests.examples import clusters, corpus_design, design

pytestmark = pytest.mark.needs_r

# Every form of the grammar: intercept, slopes with and without correlation, crossed, nested,
# a group made of two columns, interactions of factors, indicators without intercept, several terms.
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
# Rounding of sums of some hundred products, and of solving with V of condition up to about 1e5.
ROUNDING = 1e-9


@pytest.fixture(scope="module")
def lme4() -> Engine:
    return make_engine("lme4")


@pytest.mark.parametrize(
    ("case", "printed"),
    [
        ("seed_case1", ("0.961612", "2.347169")),
        ("seed_case2", ("-1.324661", "6.964759")),
        ("seed_case3", ("-0.5923722", "1.2277100")),
    ],
)
def test_the_seed_has_the_published_coefficients(
    lme4: Engine, case: str, printed: tuple[str, str]
) -> None:
    beta = lme4.fit(corpus_design(case))["beta"]
    digits = [len(number.partition(".")[2]) for number in printed]
    assert [f"{b:.{d}f}" for b, d in zip(beta, digits, strict=True)] == list(printed)


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("case", MODELS)
def test_every_number_of_a_model_is_where_its_label_says(
    lme4: Engine, case: str, method: Method
) -> None:
    this = corpus_design(case, method)
    fit = lme4.fit(this)
    assert fit.status == "ok", fit.messages
    assert fit.design_error == 0.0
    scale = np.abs(this.y).max()
    assert np.abs(linear_predictor(this, fit) - fit["fitted"]).max() <= ROUNDING * scale
    assert log_likelihood(this, fit) == pytest.approx(float(fit["loglik"]), rel=ROUNDING)
    assert fit["beta_cov"] == pytest.approx(gls_covariance(this, fit), rel=1e-6, abs=ROUNDING)
    assert np.array_equal(fit["beta_se"], np.sqrt(np.diag(fit["beta_cov"])))


def test_a_singular_fit_says_so_in_lmers_words(lme4: Engine) -> None:
    fit = lme4.fit(corpus_design("Dyestuff2"))
    assert fit.singular is True
    assert any("boundary (singular) fit" in message for message in fit.messages)
    assert lme4.fit(corpus_design("Dyestuff")).singular is False


def test_a_stopped_optimiser_is_not_called_converged(lme4: Engine) -> None:
    this = corpus_design("sleepstudy")
    assert lme4.fit(this).converged is True
    stopped = Lme4(({"optimizer": "bobyqa", "optCtrl": {"maxfun": 10.0}},))
    fit = REngine("lme4:stopped", stopped, _rpy2.session("lme4")).fit(this)
    assert fit.converged is False
    assert any("maximum number of function evaluations" in message for message in fit.messages)


def test_an_r_error_comes_with_rs_words(lme4: Engine) -> None:
    this = design(clusters(1, [2, 2, 2]), "y ~ x + (x|g)")
    fit = lme4.fit(this)
    assert fit.status == "error"
    assert "number of observations (=6) <= number of random effects (=6)" in fit.messages[0]
    assert lme4.fit(corpus_design("seed_case1")).status == "ok"


def test_an_error_outside_the_fit_is_an_engine_error() -> None:
    with pytest.raises(EngineError, match=r"Error in if \(intercept\)"):
        _rpy2.session("lme4").call("pp_sum", {"intercept": "no", "terms": []})


@pytest.mark.parametrize("name", ['system("touch {}")', "`; system('touch {}')", "x y", "if"])
def test_a_column_name_is_never_run(lme4: Engine, tmp_path: Path, name: str) -> None:
    touched = tmp_path / "touched"
    column = name.format(touched)
    frame = clusters(2, [5, 4, 6, 5]).rename(columns={"x": column})
    engine = REngine("lme4", Direct(column), _rpy2.session("lme4"))
    this = design(frame.rename(columns={column: "x"}), "y ~ x + (1|g)")
    fit = engine.fit(this)
    assert fit.status in {"ok", "error"}
    assert not touched.exists()
    if "`" not in column:
        expected = lme4.fit(this)["beta"]
        quoted = lme4.fit(design(frame, f"y ~ `{column}` + (1|g)"))
        assert np.array_equal(quoted["beta"], expected)
        assert not touched.exists()


class Direct(Lme4):
    """Sends a column under its raw name, past the aliases that usually stand for it."""

    def __init__(self, column: str) -> None:
        super().__init__(({},))
        object.__setattr__(self, "column", column)

    def request(self, design: Design) -> Request:
        """As `Lme4.request`, with the column's own name."""
        request = super().request(design)
        request["data"][self.column] = request["data"].pop("x")
        return request | {"fixed": [[self.column]]}


def test_labels_come_back_whatever_they_sort_like(lme4: Engine) -> None:
    frame = clusters(3, [4, 5, 6, 3, 4, 5, 6, 7])
    labels = ["b", "B", "_a", "é", "10", "9", "<script>", "a:b"]
    frame["g"] = np.array(labels)[pd.factorize(frame["g"])[0]]
    this = design(frame, "y ~ x + (1|g)")
    fit = lme4.fit(this)
    assert set(fit.quantities["blup[g]"].rows) == set(labels)
    assert np.abs(linear_predictor(this, fit) - fit["fitted"]).max() < ROUNDING * 10


def test_names_that_r_cannot_tell_apart_are_refused(lme4: Engine) -> None:
    frame = clusters(4, [4, 5, 6]).assign(x1=np.arange(15.0) ** 2)
    frame["x"] = np.where(frame["x"] > 0, "1", "0")
    fit = lme4.fit(design(frame, "y ~ x + x1 + (1|g)"))
    assert fit.status == "error"
    assert "two columns or two levels 'x1'" in fit.messages[0]


def test_another_design_matrix_is_seen(lme4: Engine) -> None:
    this = corpus_design("sleepstudy")
    X = this.X.copy()
    X[17, 1] += 2.0**-20
    assert lme4.fit(this).design_error == 0.0
    assert lme4.fit(replace(this, X=X)).design_error == 2.0**-20
    assert lme4.fit(replace(this, y=this.y + 2.0**-10)).design_error == 2.0**-10


def test_a_column_that_r_does_not_have_is_seen(lme4: Engine) -> None:
    this = corpus_design("seed_case1")
    wrong = ColumnFactor("predictor", "control", reduced=True)
    columns = (this.columns[0], replace(this.columns[1], factors=(wrong,)))
    fit = lme4.fit(replace(this, columns=columns))
    assert fit.status == "error"
    assert "'predictorcontrol'" in fit.messages[0]


def test_a_dropped_column_is_seen(lme4: Engine) -> None:
    """lmer() drops a column that depends on others; the Fit says so instead of shifting numbers."""
    frame = clusters(5, [4, 5, 6]).assign(z=lambda f: f["w"])
    this = design(frame, "y ~ x + w + (1|g)")
    extra = design(frame.assign(z=np.arange(15.0)), "y ~ x + w + z + (1|g)")
    doubled = {**extra.variables, "z": replace(extra.variables["z"], values=this.X[:, 2])}
    fit = lme4.fit(replace(extra, variables=doubled))
    assert fit.status == "error"
    assert "'z'" in fit.messages[0]
    assert any("rank deficient" in message for message in fit.messages)


def test_a_users_contrasts_change_nothing(lme4: Engine) -> None:
    this = corpus_design("seed_case1")
    before = lme4.fit(this)["beta"]
    r = _rpy2.session("lme4")._r
    r.evalr('options(contrasts = c("contr.sum", "contr.poly"))')
    try:
        assert np.array_equal(lme4.fit(this)["beta"], before)
        assert r.evalr('getOption("contrasts")[[1]]')[0] == "contr.sum"
    finally:
        r.evalr('options(contrasts = c("contr.treatment", "contr.poly"))')


def test_r_stops_at_the_time_limit(lme4: Engine) -> None:
    """R looks at the clock once in 50 ms at most (R_CheckTimeLimits), so a short fit may escape."""
    assert isinstance(lme4, REngine)
    long = design(clusters(1, [10] * 2000), "y ~ x + (x|g)")
    fit = replace(lme4, seconds=1e-3).fit(long)
    assert fit.status == "error"
    assert "elapsed time limit" in fit.messages[0]
    assert lme4.fit(corpus_design("seed_case1")).status == "ok"


def test_a_fit_in_another_thread_gives_the_same_bits(lme4: Engine) -> None:
    this, found = corpus_design("seed_case1"), []
    thread = threading.Thread(target=lambda: found.append(lme4.fit(this)))
    thread.start()
    thread.join()
    assert np.array_equal(found[0]["beta"], lme4.fit(this)["beta"])


@pytest.mark.parametrize("setting", sorted(SETTINGS))
def test_every_setting_fits_and_says_what_it_asked(lme4: Engine, setting: str) -> None:
    this = corpus_design("sleepstudy")
    fit, default = make_engine(f"lme4:{setting}").fit(this), lme4.fit(this)
    assert fit.status == "ok"
    assert fit.engine == f"lme4:{setting}"
    assert "optimizer=" in fit.settings["control"]
    assert default.settings == {}
    # 2 ftol_abs of the default optimiser, which looks at the deviance.
    assert float(fit["loglik"]) == pytest.approx(float(default["loglik"]), abs=2e-8)


def test_tight_comes_closer_to_the_certified_optimum(lme4: Engine) -> None:
    """BodyWeight is where lmer()'s default stops early, by 2e-5 (1.1-31) or 3e-7 (2.1-0)."""
    this = corpus_design("BodyWeight")
    best = float(make_engine("certified").fit(this)["loglik"])
    default, tight = lme4.fit(this), make_engine("lme4:tight").fit(this)
    assert best - float(default["loglik"]) > 1e-8
    # What one can tell from function values: eps times the deviance, 1e3, times some hundred terms.
    assert abs(best - float(tight["loglik"])) < 1e-10


def test_an_unknown_setting_is_named() -> None:
    with pytest.raises(InputError, match=r"lme4 has no setting 'bogus'.*tight"):
        make_engine("lme4:bogus")


def test_the_cheap_covariance_has_the_bits_of_vcov() -> None:
    code = """
    source(commandArgs(TRUE)[1]); library(lme4, quietly = TRUE)
    models <- list(
      lmer(Reaction ~ Days + (Days | Subject), sleepstudy),
      lmer(angle ~ recipe * temp + (1 | recipe:replicate), cake, REML = FALSE),
      suppressMessages(lmer(Yield ~ 1 + (1 | Batch), Dyestuff2)),
      lmer(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin))
    for (m in models) {
      cheap <- pp_lmer_vcov(m)
      cat(identical(cheap, unname(as.matrix(vcov(m)))), identical(2 * cheap, cheap), "\\n")
    }
    """
    assert _rscript(code).split("\n") == ["TRUE FALSE "] * 4 + [""]


def _rscript(code: str) -> str:
    command = ["Rscript", "--no-init-file", "-e", code, str(resource("r", "fit.R"))]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_live_simulation_has_the_bits_of_the_recorded_data() -> None:
    cases = {
        "seed_case1": ("824523", "2,10,10,10,2,10,10,10", "3", "5"),
        "seed_case2": ("1324523", "2,10,10,10,2,10,10,100", "3", "5"),
        "seed_case3": ("1324523", "2,10,10,10,2,10,10,10", "1", "1"),
    }
    for name, arguments in cases.items():
        command = ["Rscript", str(resource("r", "simulate.R")), *arguments]
        live = subprocess.run(command, capture_output=True, check=True).stdout
        assert live == resource("fixtures", "data", f"{name}.csv").read_bytes()
    other = [*command[:2], "824524", *command[3:]]
    assert subprocess.run(other, capture_output=True, check=True).stdout != live


def test_without_rpy2_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UnavailableError, match="rpy2 is not installed"):
        _rpy2._interface()


def test_without_r_it_says_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("R_HOME", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UnavailableError, match=r"R is not installed.*pp-compare doctor"):
        _rpy2._interface()


def test_an_rpy2_that_does_not_fit_this_r_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> None:
        raise AttributeError("function/symbol 'R_getVar' not found in library 'libR.so'")

    monkeypatch.setattr(importlib, "import_module", load)
    with pytest.raises(UnavailableError, match=r"R_getVar.*rpy2-rinterface==3\.6\.5"):
        _rpy2._interface()


def test_a_missing_package_is_named_in_rs_words() -> None:
    with pytest.raises(UnavailableError, match=r"there is no package called .nonesuch."):
        _rpy2.session("nonesuch")


def test_a_label_mismatch_has_no_size(lme4: Engine) -> None:
    """`design_error` of the engine's own labels against a design that has others is nan."""
    this = corpus_design("seed_case1")
    assert math.isnan(design_error(this, ["Intercept", "other"], this.X, this.y))


def test_programs_started_beside_r_have_their_own_libraries(lme4: Engine) -> None:
    """R puts its folders into LD_LIBRARY_PATH, where a Python finds another libpython."""
    assert lme4
    assert "/R/" not in os.environ.get("LD_LIBRARY_PATH", "")
