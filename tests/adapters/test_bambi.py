"""Bambi's density against the certified likelihood; and draws against the posterior that it is."""

from __future__ import annotations

import numpy as np
import pytest

from pp_compare.adapters.bambi import Density, build
from pp_compare.certified.models import CertifiedModel, certified_model
from tests.adapters.packages import engine_or_skip
from tests.examples import corpus_design

POINTS = [(3.0, 0.9), (0.5, 2.0), (10.0, 0.3)]


def certified(model: CertifiedModel, tau: float, sigma: float) -> float:
    return -model.deviance(sigma, {"cluster": np.array([[tau**2]])}) / 2


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_the_integrated_density_is_the_certified_likelihood_everywhere(method) -> None:
    engine_or_skip("bambi")
    this = corpus_design("seed_case1", method)
    density, model = Density(build(this), this), certified_model(this, [])
    for tau, sigma in POINTS:
        value = density.at(np.log([tau, sigma])).value
        assert value == pytest.approx(certified(model, tau, sigma), rel=1e-11)
        # A thousandth of a standard deviation further on it is another number.
        assert value != pytest.approx(certified(model, tau * 1.001, sigma * 1.001), rel=1e-8)


@pytest.mark.slow
def test_draws_are_those_of_the_posterior_that_the_certified_likelihood_gives() -> None:
    """Flat priors on both standard deviations: their posterior is the restricted likelihood."""
    engine_or_skip("bambi")
    import arviz
    import pymc

    this = corpus_design("seed_case1", "REML")
    draws = pymc.sample(
        draws=2000, chains=2, cores=1, random_seed=1, progressbar=False, model=build(this),
        target_accept=0.95,
    ).posterior  # fmt: skip
    expected = _posterior_means(certified_model(this, []))
    for name, mean in zip(["1|group_0_sigma", "sigma"], expected, strict=True):
        logs = np.log(draws[name])
        error = float(arviz.mcse(logs)[name])
        # Of two numbers, a sound sampler is 4 standard errors off once in 8,000 runs.
        assert abs(float(logs.mean()) - mean) < 4 * error, name


def _posterior_means(model: CertifiedModel) -> list[float]:
    """Means of log tau and log sigma by the trapezoidal rule; the grid is wide and fine enough
    for four digits, where a Monte Carlo error leaves two."""
    grid = [np.linspace(-0.6, 3.6, 61), np.linspace(-0.5, 0.5, 41)]
    # dtau dsigma = tau sigma dlog(tau) dlog(sigma)
    rows = [[certified(model, np.exp(t), np.exp(s)) + t + s for s in grid[1]] for t in grid[0]]
    log = np.array(rows)
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    return [float((weight.sum(axis=1 - k) * grid[k]).sum()) for k in (0, 1)]
