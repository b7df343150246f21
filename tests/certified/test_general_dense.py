"""The general certified core against dense mpmath: deviance, optimality and all estimates."""

import mpmath as mp
import numpy as np
import pytest

from pp_compare.certified.general.estimates import (
    deviance_at,
    deviance_at_variances,
    gls_at,
    profiled_float,
)
from pp_compare.certified.general.optimum import general_optimum
from tests.certified.general_models import (
    DPS,
    crossed,
    dense,
    deviance_of_theta,
    entries,
    factor_matrices,
    gradient,
    hessian,
    marginal,
    nested,
    slope_and_crossed,
    slopes,
    to_mp,
)

MODELS = [
    slopes(0),
    slopes(1),
    slopes(2, correlated=False),
    slopes(3, correlated=False),
    crossed(1),
    crossed(2),
    nested(4),
    nested(5),
    slope_and_crossed(6),
]
BOTH = pytest.mark.parametrize("reml", [False, True], ids=["ML", "REML"])
EACH = pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)

CLOSE = mp.mpf(10) ** -28
"""Digits asked are 30; dense mpmath holds 60 less the condition of V, and differences 1e-30."""


@pytest.fixture(autouse=True)
def _precision():
    with mp.workdps(DPS):
        yield


def theta_of(model, seed=0):
    """An arbitrary theta of the model's length."""
    size = sum(b.size * (b.size + 1) // 2 for b in model.blocks)
    return np.random.default_rng(seed).uniform(0.1, 1.5, size)


@EACH
@BOTH
def test_deviance_at_any_theta(model, reml):
    theta = theta_of(model)
    ball = deviance_at(*model.data, theta, reml=reml)
    expected = deviance_of_theta(model, reml)(*[mp.mpf(v) for v in theta])
    assert abs(to_mp(ball) - expected) < mp.mpf(10) ** -45
    assert float(ball.rad()) < 1e-45


@EACH
@BOTH
def test_float_derivatives(model, reml):
    theta = theta_of(model, 1)
    value, slope, curvature = profiled_float(*model.data, theta, reml=reml)
    function, x = deviance_of_theta(model, reml), [mp.mpf(v) for v in theta]
    expected = np.array([float(v) for v in hessian(function, x)]).reshape(curvature.shape)
    # float64 sums of some hundred terms: 1e-13, times the condition of V, at most 1e3 here.
    scale = 1 + np.abs(expected).max()
    assert abs(value - float(function(*x))) < 1e-10 * abs(value)
    assert np.abs(slope - [float(v) for v in gradient(function, x)]).max() < 1e-10 * scale
    assert np.abs(curvature - expected).max() < 1e-10 * scale


@EACH
@BOTH
def test_certified_optimum_is_stationary_and_convex(model, reml):
    found = general_optimum(*model.data, reml=reml)
    assert found.claim == "local", found.reason
    x, function = entries(found.theta), deviance_of_theta(model, reml)
    assert abs(function(*x) - to_mp(found.deviance)) < CLOSE
    curvature = hessian(function, x)
    scale = 1 + max(abs(v) for v in curvature)
    assert max(abs(v) for v in gradient(function, x)) < CLOSE * scale
    if not found.singular:
        assert min(mp.eigsy(curvature, eigvals_only=True)) > 0
        assert np.allclose(
            found.hessian.ravel(), [float(v) for v in curvature], rtol=0, atol=1e-9 * float(scale)
        )


@EACH
@BOTH
def test_estimates_at_the_optimum(model, reml):
    found = general_optimum(*model.data, reml=reml)
    factors = factor_matrices(model, entries(found.theta))
    relative = [t * t.T for t in factors]
    y, X, _ = dense(model)
    V = marginal(model, relative)
    expected = dense_estimates(model, V, relative)
    df = X.rows - (X.cols if reml else 0)
    residual = y - X * expected["beta"]
    sigma2 = (residual.T * V**-1 * residual)[0] / df
    estimates = found.estimates
    assert agree(estimates.beta, expected["beta"])
    assert agree(estimates.beta_cov, expected["XVX"] ** -1 * sigma2)
    assert abs(to_mp(estimates.sigma) - mp.sqrt(sigma2)) < CLOSE * mp.sqrt(sigma2)
    assert agree(estimates.fitted, expected["fitted"])
    for b, G in enumerate(relative):
        assert agree(estimates.random_cov[b], G * sigma2)
        assert agree(estimates.blup[b], expected["blup"][b])


@EACH
@BOTH
def test_likelihood_at_other_variances(model, reml):
    sigma2 = 0.7
    covariances = [np.eye(b.size) * 0.5 + 0.25 for b in model.blocks]
    y, X, _ = dense(model)
    relative = [mp.matrix(c.tolist()) / mp.mpf(sigma2) for c in covariances]
    V = marginal(model, relative)
    expected = dense_estimates(model, V, relative)
    residual = y - X * expected["beta"]
    value = mp.log(mp.det(V)) + (residual.T * V**-1 * residual)[0] / mp.mpf(sigma2)
    value += (mp.log(mp.det(expected["XVX"]))) if reml else 0
    value += (X.rows - (X.cols if reml else 0)) * mp.log(2 * mp.pi * mp.mpf(sigma2))
    ball = deviance_at_variances(*model.data, sigma2, covariances, reml=reml)
    assert abs(to_mp(ball) - value) < mp.mpf(10) ** -45
    implied = gls_at(*model.data, sigma2, covariances)
    assert agree(implied.beta, expected["beta"])
    assert agree(implied.beta_cov, expected["XVX"] ** -1 * mp.mpf(sigma2))
    assert agree(implied.fitted, expected["fitted"])


def dense_estimates(model, V, relative):
    """Aitken's estimator and Henderson's predictor, from V^-1."""
    y, X, matrices = dense(model)
    inverse = V**-1
    XVX = X.T * inverse * X
    beta = XVX**-1 * (X.T * inverse * y)
    weighted = inverse * (y - X * beta)
    fitted, blups = X * beta, []
    for levels, G in zip(matrices, relative, strict=True):
        effects = [G * (Z.T * weighted) for Z in levels]
        for Z, u in zip(levels, effects, strict=True):
            fitted += Z * u
        blups.append(mp.matrix([[u[j] for j in range(G.rows)] for u in effects]))
    return {"beta": beta, "XVX": XVX, "fitted": fitted, "blup": blups}


def agree(balls, matrix):
    """Whether a ball matrix and an mpmath one agree to CLOSE, relative to the largest entry."""
    expected = list(matrix)
    scale = 1 + max(abs(v) for v in expected)
    pairs = zip(entries(balls), expected, strict=True)
    return all(abs(a - b) < CLOSE * scale for a, b in pairs)
