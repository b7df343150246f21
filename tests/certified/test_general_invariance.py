"""The certified optimum does not depend on how the data are written down, nor on the search."""

import numpy as np
import pytest
from flint import arb, ctx

from pp_compare.certified.components.blocks import RandomBlock
from pp_compare.certified.general.estimates import deviance_at
from pp_compare.certified.general.optimum import general_optimum
from pp_compare.certified.intercept.optimum import intercept_optimum
from pp_compare.certified.intercept.statistics import InterceptStatistics
from tests.certified.general_models import crossed, nested, slope_and_crossed, slopes

MODELS = [slopes(0), slopes(2, correlated=False), crossed(1), nested(4), slope_and_crossed(6)]
EACH = pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
BITS = 400
"""Balls are compared at more bits than they were made with."""


@pytest.fixture(autouse=True)
def _precision():
    with ctx.workprec(BITS):
        yield


def same(a, b, factor=1):
    """Two enclosures of the same numbers, each good to 25 digits; ``factor`` is exact."""
    for x, y in zip(a.entries(), b.entries(), strict=True):
        assert (x * factor).overlaps(y)
        assert x.rad() < 1e-25 * (1 + abs(x))


def fit(y, X, blocks, **options):
    found = general_optimum(y, X, blocks, reml=True, **options)
    assert found.claim == "local", found.reason
    return found


@EACH
def test_scale_of_the_response(model):
    plain, scaled = fit(*model.data), fit(model.y * 1024, model.X, model.blocks)
    same(plain.theta, scaled.theta)
    same(plain.estimates.beta, scaled.estimates.beta, 1024)
    assert (plain.estimates.sigma * 1024).overlaps(scaled.estimates.sigma)
    df = len(model.y) - model.X.shape[1]
    assert (plain.deviance + 2 * df * arb(1024).log()).overlaps(scaled.deviance)


@EACH
def test_adding_a_fixed_effect_to_the_response(model):
    # integer response, so that the sum is exact
    y = np.rint(16 * model.y)
    plain, moved = (
        fit(y, model.X, model.blocks),
        fit(y + 4096 * model.X[:, 0], model.X, model.blocks),
    )
    same(plain.theta, moved.theta)
    assert plain.deviance.overlaps(moved.deviance)
    assert (plain.estimates.beta[0, 0] + 4096).overlaps(moved.estimates.beta[0, 0])


@EACH
def test_row_order_and_level_names(model):
    rng = np.random.default_rng(0)
    order = rng.permutation(len(model.y))
    names = [rng.permutation(b.levels) for b in model.blocks]
    blocks = [
        RandomBlock(k[b.group][order], b.Z[order]) for k, b in zip(names, model.blocks, strict=True)
    ]
    plain, shuffled = fit(*model.data), fit(model.y[order], model.X[order], blocks)
    same(plain.theta, shuffled.theta)
    assert plain.deviance.overlaps(shuffled.deviance)
    for k, a, b in zip(names, plain.estimates.blup, shuffled.estimates.blup, strict=True):
        for level in range(a.nrows()):
            assert all(a[level, j].overlaps(b[int(k[level]), j]) for j in range(a.ncols()))


@EACH
def test_columns_of_the_fixed_part(model):
    """Another basis of the same space; REML's log|X'V^-1X| moves by its log determinant."""
    turn = np.eye(model.X.shape[1]) * 8
    plain, turned = fit(*model.data), fit(model.y, model.X @ turn, model.blocks)
    same(plain.theta, turned.theta)
    move = 2 * model.X.shape[1] * arb(8).log()
    assert (plain.deviance + move).overlaps(turned.deviance)
    same(plain.estimates.fitted, turned.estimates.fitted)


def test_unit_of_a_random_slope():
    model = slopes(0)
    X = model.X * np.array([1.0, 2.0**-20])
    plain, scaled = fit(*model.data), fit(model.y, model.X, [RandomBlock(model.blocks[0].group, X)])
    for i, factor in enumerate([1, 2**20, 2**20]):
        assert (plain.theta[i, 0] * factor).overlaps(scaled.theta[i, 0])
    assert plain.deviance.overlaps(scaled.deviance)


@EACH
def test_order_of_the_terms(model):
    plain, turned = fit(*model.data), fit(model.y, model.X, model.blocks[::-1])
    assert plain.deviance.overlaps(turned.deviance)
    for a, b in zip(plain.estimates.blup, turned.estimates.blup[::-1], strict=True):
        same(a, b)


@EACH
def test_a_level_without_rows_changes_nothing(model):
    first = model.blocks[0]
    padded = [RandomBlock(first.group + 1, first.Z), *model.blocks[1:]]
    plain, more = fit(*model.data), fit(model.y, model.X, padded)
    same(plain.theta, more.theta)
    assert plain.deviance.overlaps(more.deviance)
    assert all(v.contains(0) for v in more.estimates.blup[0].tolist()[0])


@EACH
def test_enclosures_are_nested_as_the_precision_rises(model):
    coarse, fine = fit(*model.data, digits=15), fit(*model.data, digits=60)
    assert fine.deviance.rad() < coarse.deviance.rad() * 1e-30
    pairs = [(coarse.theta, fine.theta), (coarse.estimates.beta, fine.estimates.beta)]
    for a, b in (*pairs, (coarse.estimates.fitted, fine.estimates.fitted)):
        for x, y in zip(a.entries(), b.entries(), strict=True):
            assert x.overlaps(y)
            assert y.rad() <= x.rad()
    for x, y in zip(coarse.box.entries(), fine.theta.entries(), strict=True):
        assert x.contains(y.mid())


@EACH
def test_no_point_nearby_is_as_good(model):
    found = fit(*model.data)
    theta = np.array([float(v) for v in found.theta.entries()])
    for i in range(len(theta)):
        moved = theta + 1e-6 * np.eye(len(theta))[i]
        assert not found.theta[i, 0].contains(moved[i])
        assert deviance_at(*model.data, moved, reml=True) > found.deviance


def test_precision_of_the_caller_is_restored():
    with ctx.workprec(77):
        fit(*slopes(0).data)
        assert ctx.prec == 77


def test_a_seed_changes_the_starts_and_not_the_answer():
    model = slope_and_crossed(6)
    one, other = fit(*model.data, seed=1), fit(*model.data, seed=2)
    again = fit(*model.data, seed=1)
    same(one.theta, other.theta)
    assert [float(v) for v in one.theta.entries()] == [float(v) for v in again.theta.entries()]


def test_starts_of_the_caller_are_used_and_unusable_ones_left_out(monkeypatch):
    monkeypatch.setattr("pp_compare.certified.search.multistart.enough", lambda *_: True)
    model = slopes(0)
    plain = fit(*model.data)
    more = fit(*model.data, starts=[np.array([0.5, 0.1, 0.2]), np.array([np.nan, 0, 0])])
    assert more.starts == plain.starts + 1
    same(plain.theta, more.theta)


TWO_OPTIMA = (
    np.array([-2.0, 1, 2, -2, 0, 2, 4, -4]),
    np.ones((8, 1)),
    [RandomBlock(np.array([0, 0, 0, 0, 0, 0, 1, 2]), np.ones((8, 1)))],
)


def test_the_deeper_of_two_optima_is_certified_and_the_other_listed():
    """The deviance is 37.18 at tau2 = 0 and 37.32 at the local optimum tau2 / sigma2 = 1.413."""
    start = np.array([np.sqrt(1.41298592176)])
    found = general_optimum(*TWO_OPTIMA, reml=False, starts=[start])
    assert (found.claim, found.ranks) == ("local", (0,))
    assert float(found.deviance) == pytest.approx(37.1816123443, abs=1e-9)
    assert [o.deviance for o in found.others] == pytest.approx([37.3156770264], abs=1e-9)
    assert found.others[0].theta[0] ** 2 == pytest.approx(1.41298592176, rel=1e-6)


@pytest.mark.parametrize("reml", [False, True], ids=["ML", "REML"])
@pytest.mark.parametrize("seed", range(12))
def test_a_random_intercept_agrees_with_the_proof_of_the_global_optimum(seed, reml):
    rng = np.random.default_rng([seed, 9])
    group = np.repeat(np.arange(6), rng.integers(1, 7, 6))
    n = len(group)
    X = np.column_stack([np.ones(n), rng.normal(size=n)])
    y = X @ [1.0, 2.0] + rng.choice([0.0, 0.4, 2.0]) * rng.normal(size=6)[group]
    y += rng.normal(size=n)
    local = general_optimum(y, X, [RandomBlock(group, X[:, :1])], reml=reml)
    proved = intercept_optimum(InterceptStatistics.from_arrays(y, X, group), reml=reml)
    assert local.claim == "local", local.reason
    assert local.deviance.overlaps(proved.deviance)
    assert (local.theta[0, 0] ** 2).overlaps(proved.rho)
    assert local.estimates.sigma.overlaps(proved.sigma)
    for a, b in zip(local.estimates.beta.entries(), proved.beta, strict=True):
        assert a.overlaps(b)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda y, X: (y + 1e9, X), id="offset"),
        pytest.param(lambda y, X: (y * 1e-150, X), id="tiny"),
        pytest.param(lambda y, X: (y * 1e150, X), id="huge"),
        pytest.param(lambda y, X: (y, X + 1e8 * (np.arange(X.shape[1]) > 0)), id="collinear"),
    ],
)
def test_badly_scaled_data_are_certified_too(spoil):
    model = slopes(0)
    y, X = spoil(model.y, model.X)
    found = fit(y, X, [RandomBlock(model.blocks[0].group, model.X)])
    theta = np.array([float(v) for v in found.theta.entries()])
    exact = deviance_at(y, X, [RandomBlock(model.blocks[0].group, model.X)], theta, reml=True)
    # theta rounded to doubles costs a second-order term only
    assert abs(exact - found.deviance) < 1e-25
    assert np.isfinite(theta).all()
