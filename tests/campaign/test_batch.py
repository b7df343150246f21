"""The short way to the engines gives the same bits as the long one."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pp_compare.campaign import mixedlm_batch
from pp_compare.campaign.batch import fit_batch
from pp_compare.campaign.generate import generate
from pp_compare.campaign.plan import from_document
from pp_compare.engines import make_engine, mixedlm
from pp_compare.engines._rpy2 import Rpy2Session
from pp_compare.model import Fit
from pp_compare.model.design import Design
from pp_compare.resources import resource

pytestmark = pytest.mark.needs_r
CALL, MIXEDLM = Rpy2Session.call, mixedlm.fit


def designs(count: int = 4, **other: Any) -> list[Design]:
    grid = {"clusters": 6, "rows": 5.0, "imbalance": 1.0, "predictors": "both", **other}
    design = grid.pop("design", "fresh")
    plan = from_document({"seed": 2, "replications": count, "design": design, "grid": grid})
    return [generate(plan, index).design for index in range(plan.size)]


def assert_same(short: Fit, long: Fit) -> None:
    assert (short.status, short.converged, short.singular) == (
        long.status, long.converged, long.singular,
    )  # fmt: skip
    assert short.messages == long.messages
    assert short.versions == long.versions
    for name, quantity in short.quantities.items():
        assert quantity.rows == long.quantities[name].rows
        assert np.array_equal(short[name], long[name], equal_nan=True), name


@pytest.mark.parametrize("engine", ["lme4", "nlme", "statsmodels"])
def test_a_batch_gives_the_bits_of_single_fits(engine: str) -> None:
    made = make_engine(engine)
    for given in ({"icc": [0.0, 0.5]}, {"method": "ML"}, {"model": "slope", "clusters": 10}):
        batch = designs(3, **given)
        for short, design in zip(fit_batch(made, batch), batch, strict=True):
            assert_same(short, made.fit(design))


@pytest.mark.parametrize("engine", ["lme4", "nlme"])
def test_clusters_in_other_numbers_go_in_one_call(engine: str, monkeypatch) -> None:
    made = make_engine(engine)
    batch = designs(1, clusters=[4, 5, 12], icc=[0.0, 0.6])
    calls = []
    monkeypatch.setattr(
        type(made.session),
        "call",
        lambda self, *asked: calls.append(asked) or CALL(self, *asked),
    )
    fits = fit_batch(made, batch)
    assert len(calls) == 1
    for short, design in zip(fits, batch, strict=True):
        assert_same(short, made.fit(design))


def test_models_of_several_kinds_come_back_in_their_order() -> None:
    made = make_engine("lme4")
    first, other = designs(2, clusters=4), designs(2, clusters=9, predictors="none", method="ML")
    batch = [first[0], other[0], first[1], other[1]]
    for short, design in zip(fit_batch(made, batch), batch, strict=True):
        assert_same(short, made.fit(design))


def test_matrices_that_answer_otherwise_are_not_trusted(monkeypatch) -> None:
    made, batch = make_engine("statsmodels"), designs(2)
    right = mixedlm_batch._matrices
    monkeypatch.setattr(mixedlm_batch, "_trusted", {})
    monkeypatch.setattr(
        mixedlm_batch,
        "_matrices",
        lambda design: right(design) | {"endog": design.y * (1 + 2**-50)},
    )
    for short, design in zip(fit_batch(made, batch), batch, strict=True):
        assert_same(short, made.fit(design))
    assert list(mixedlm_batch._trusted.values()) == [None]


def test_the_formula_of_mixedlm_is_read_once(monkeypatch) -> None:
    made, batch, asked = make_engine("statsmodels"), designs(3), []
    monkeypatch.setattr(mixedlm_batch, "_trusted", {})
    monkeypatch.setattr(
        mixedlm_batch.mixedlm, "fit", lambda request: asked.append(request) or MIXEDLM(request)
    )
    fit_batch(made, batch)
    assert ["matrices" in request for request in asked] == [False, True, True, True]


@pytest.mark.slow
@pytest.mark.parametrize("model", ["slopes", "nested", "crossed"])
def test_other_models_too(model: str) -> None:
    for engine in ("lme4", "nlme", "statsmodels"):
        made, batch = make_engine(engine), designs(2, model=model, rows=8)
        for short, design in zip(fit_batch(made, batch), batch, strict=True):
            assert_same(short, made.fit(design))


@pytest.mark.parametrize("count", [25, pytest.param(500, marks=pytest.mark.slow)])
def test_lme_without_its_last_step_fails_where_lme_fails(count: int) -> None:
    """A few rows, with next to nothing between clusters or much: where that step may go wrong."""
    made = make_engine("nlme")
    batch = designs(count, clusters=3, rows=2.5, icc=[0.0, 0.999], noise=[1e-3, 1.0])
    fits = fit_batch(made, batch)
    for short, design in zip(fits, batch, strict=True):
        assert_same(short, made.fit(design))
    variances = [
        float(fit["random_cov[g]"][0, 0] / fit["sigma"] ** 2) for fit in fits if fit.quantities
    ]
    assert min(variances) < 1e-4 < max(variances)


def test_lme_leaves_its_last_step_out_where_variances_are_away_from_zero() -> None:
    found = run_r(
        DATA.replace('list(group = "g", intercept = TRUE, terms = list())', NLME_TERM)
        + """
  asked <- c(); whole <- pp_lme
  pp_lme <- function(fixed, data, random, method, control) {
    asked <<- c(asked, control$apVar); whole(fixed, data, random, method, control) }
  request$control <- list()
  request$data$y <- request$data$y + 3 * rnorm(18)[interaction(request$data$g, rep(1:3, each = 30))]
  invisible(pp_batch_nlme(request)); cat(asked, ""); asked <- c()
  request$data$y <- rep(rnorm(5), 18)
  invisible(pp_batch_nlme(request)); cat(asked)
  """
    )
    assert found == "FALSE FALSE FALSE FALSE TRUE TRUE TRUE"


def test_a_fixed_design_gives_the_bits_of_lmer() -> None:
    made = make_engine("lme4")
    batch = designs(8, design="fixed", icc=[0.0, 0.4])
    fits = fit_batch(made, batch, fixed_design=True)
    for short, design in zip(fits, batch, strict=True):
        assert_same(short, made.fit(design))
    assert any(fit.singular for fit in fits)
    assert any(not fit.singular for fit in fits)


def test_a_fit_that_fails_leaves_its_neighbours_alone() -> None:
    made, batch = make_engine("lme4"), designs(4)
    broken = batch[1].y.copy()
    broken[:] = np.nan
    variables = dict(batch[1].variables)
    variables["y"] = replace(variables["y"], values=broken)
    batch[1] = replace(batch[1], y=broken, variables=variables)
    fits = fit_batch(made, batch)
    assert [fit.status for fit in fits] == ["ok", "error", "ok", "ok"]
    assert "missing values" in fits[1].messages[0]
    assert_same(fits[2], made.fit(batch[2]))


def run_r(code: str) -> str:
    files = [str(resource("r", name)) for name in ("fit.R", "batch.R")]
    source = "".join(f"source({file!r}); " for file in files)
    command = [shutil.which("Rscript") or "Rscript", "-e", source + code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


DATA = """
  set.seed(1); g <- rep(1:6, each = 5)
  y <- c(replicate(3, rnorm(30) + rnorm(6)[g]))
  request <- list(data = list(y = y, g = rep(g, 3)), levels = list(g = as.character(1:6)),
    rows = c(30, 30, 30), response = "y", intercept = TRUE, fixed = list(), REML = TRUE,
    random = list(list(group = "g", intercept = TRUE, terms = list())), limit = Inf,
    control = list(list()));
"""


NLME_TERM = """list(group = "g", blocks = list(
  list(class = "pdLogChol", intercept = TRUE, terms = list())))"""


def test_a_fast_reading_that_is_off_by_a_bit_is_not_believed() -> None:
    found = run_r(
        DATA
        + """
  sound <- pp_batch_lme4(request)
  pp_beliefs$all <- list()
  right <- pp_lmer_numbers
  pp_lmer_numbers <- function(fit) right(fit) * (1 + 2^-52)
  wrong <- pp_batch_lme4(request)
  seconds <- cumsum(rep(length(sound$numbers) / 3, 3))
  cat(length(sound$shapes), length(wrong$shapes),
    identical(sound$numbers[-seconds], wrong$numbers[-seconds]))
  """
    )
    assert found == "2 3 TRUE"


def test_parts_of_lmer_that_answer_otherwise_are_not_used() -> None:
    found = run_r(
        DATA
        + """
  count <- 0
  whole <- pp_lmer; pp_lmer <- function(...) { count <<- count + 1; whole(...) }
  request$fixed_design <- TRUE
  invisible(pp_batch_lme4(request)); cat(count, "")
  parts <- pp_lmer_from_parts
  pp_lmer_from_parts <- function(parts_, frame, control) {
    frame$y <- frame$y * 1.5; parts(parts_, frame, control) }
  count <- 0; invisible(pp_batch_lme4(request)); cat(count)
  """
    )
    assert found == "1 3"


@pytest.mark.slow
def test_refit_starts_elsewhere_and_so_gives_other_bits() -> None:
    """Why a fixed design does not go by lme4::refit()."""
    found = run_r(
        """
  suppressMessages({
    set.seed(3); g <- factor(rep(1:6, each = 5)); first <- lme4::lmer(rnorm(30) + rnorm(6)[g] ~ 1 + (1 | g))
    same <- replicate(20, {
      y <- rnorm(30) + rnorm(6)[g]
      identical(lme4::refit(first, y)@theta, lme4::lmer(y ~ 1 + (1 | g))@theta)
    })
  })
  cat(mean(same) < 0.9)
  """  # noqa: E501
    )
    assert found == "TRUE"
