"""The classic data sets of lme4 and nlme, certified and held against a live lmer().

lmer stops where its optimiser sees no further gain in the deviance, a double of about 1e3: half of
its sixteen digits remain for theta and what depends on it, all of them for the deviance.
"""

import csv
import subprocess

import numpy as np
import pytest
from flint import ctx

from pp_compare.certified.components.blocks import RandomBlock
from pp_compare.certified.general.estimates import deviance_at
from pp_compare.certified.general.optimum import general_optimum

pytestmark = pytest.mark.needs_r

FORMULAS = {
    "sleepstudy": ("sleepstudy", "Reaction ~ Days + (Days | Subject)"),
    "sleepstudy-uncorrelated": ("sleepstudy", "Reaction ~ Days + (Days || Subject)"),
    "Penicillin": ("Penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)"),
    "Pastes": ("Pastes", "strength ~ 1 + (1 | batch / cask)"),
    "Machines": ("Machines", "score ~ Machine + (Machine | Worker)"),
    "Machines-nested": ("Machines", "score ~ Machine + (1 | Worker / Machine)"),
}

SCRIPT = """
suppressMessages(library(lme4))
data(Machines, package = "nlme")
Machines <- as.data.frame(Machines)
contrasts(Machines$Machine) <- "contr.treatment"
put <- function(name, x) {
  if (is.matrix(x)) x <- apply(x, 2, function(column) sprintf("%.17g", column))
  else x <- matrix(sprintf("%.17g", x))
  write.table(x, file.path(where, name), sep = ",", row.names = FALSE, col.names = FALSE,
              quote = FALSE)
}
cases <- matrix(commandArgs(TRUE), nrow = 4)
for (k in seq_len(ncol(cases))) {
  where <- cases[1, k]
  model <- lmer(as.formula(cases[4, k]), get(cases[3, k]), REML = cases[2, k] == "REML")
  put("y", getME(model, "y"))
  put("X", getME(model, "X"))
  put("theta", getME(model, "theta"))
  put("beta", fixef(model))
  put("sigma", sigma(model))
  flist <- getME(model, "flist")
  put("loglik", as.numeric(logLik(model)))
  put("fitted", fitted(model))
  put("vcov", as.matrix(vcov(model)))
  for (i in seq_along(getME(model, "mmList"))) {
    put(paste0("Z", i), unname(getME(model, "mmList")[[i]]))
    put(paste0("group", i), as.integer(flist[[attr(flist, "assign")[i]]]))
  }
}
"""


def read(path):
    with path.open() as file:
        return np.array([[float(cell) for cell in row] for row in csv.reader(file)])


CASES = [*((name, "REML") for name in FORMULAS), ("sleepstudy", "ML"), ("Pastes", "ML")]


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def case(request):
    """Name and method."""
    return request.param


@pytest.fixture(scope="module")
def reml(case):
    return case[1] == "REML"


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """A folder a case, all from one R: loading lme4 takes longer than these fits."""
    root = tmp_path_factory.mktemp("lmer")
    (root / "fit.R").write_text(SCRIPT)
    arguments = []
    for name, method in CASES:
        folder = root / f"{name}-{method}"
        folder.mkdir()
        arguments += [folder, method, *FORMULAS[name]]
    subprocess.run(["Rscript", root / "fit.R", *arguments], check=True, capture_output=True)
    return root


@pytest.fixture(scope="module")
def lmer(case, answers):
    """What lmer answered, and the matrices that it used."""
    return {path.name: read(path) for path in (answers / "-".join(case)).iterdir()}


@pytest.fixture(scope="module")
def data(lmer):
    """Response, fixed design and random terms, as the core takes them."""
    terms = sorted(name.removeprefix("Z") for name in lmer if name.startswith("Z"))
    blocks = [RandomBlock(lmer[f"group{i}"][:, 0].astype(int) - 1, lmer[f"Z{i}"]) for i in terms]
    return lmer["y"][:, 0], lmer["X"], blocks


@pytest.fixture(scope="module")
def found(lmer, data, reml):
    """The certified optimum of the same data."""
    return general_optimum(*data, reml=reml, starts=[lmer["theta"][:, 0]])


def values(balls):
    return np.array([float(v) for v in balls.entries()]).reshape(balls.nrows(), balls.ncols())


def test_a_local_optimum_is_proved(found):
    assert found.claim == "local", found.reason


def test_loglik(lmer, found):
    # lmer stops at ftol_rel 1e-8; above the optimum there is only the rounding of its own sum
    size = abs(float(found.loglik))
    gap = float(found.loglik) - lmer["loglik"][0, 0]
    assert -1e-13 * size < gap < 1e-8 * size


def test_theta_is_as_far_off_as_the_deviance_there_says(lmer, data, found, reml):
    """The certified deviance at lmer's theta exceeds the minimum by d'H d / 2."""
    with ctx.workprec(256):
        gap = float(deviance_at(*data, lmer["theta"][:, 0], reml=reml) - found.deviance)
        pairs = zip(lmer["theta"][:, 0], found.theta.entries(), strict=True)
        step = np.array([float(t - v) for t, v in pairs])
    assert 0 <= gap < 1e-8 * abs(float(found.deviance))
    # third-order terms: a step of 1e-3 of the curvature scale changes the Hessian by about 1e-3
    assert step @ found.hessian @ step / 2 == pytest.approx(gap, rel=1e-2)


def test_estimates(lmer, found):
    """Theta is off by at most sqrt(1e-8 * 1e3) = 3e-3 of its curvature scale, the rest follows."""
    estimates, off = found.estimates, 3e-3
    assert float(estimates.sigma) == pytest.approx(lmer["sigma"][0, 0], rel=off)
    se = np.sqrt(np.diag(lmer["vcov"]))[:, None]
    assert (np.abs(values(estimates.beta) - lmer["beta"]) / se).max() < off
    assert (np.abs(values(estimates.beta_cov) - lmer["vcov"]) / (se * se.T)).max() < off
    moved = np.abs(values(estimates.fitted) - lmer["fitted"])
    assert moved.max() < off * lmer["sigma"][0, 0]
