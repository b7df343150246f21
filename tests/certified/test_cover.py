"""The global proof: its bounds hold where they are tried, and its claims stand up to a grid."""

from __future__ import annotations

from itertools import product

import mpmath as mp
import numpy as np
import pytest
from flint import fmpq

from pp_compare.certified.components.blocks import RandomBlock
from pp_compare.certified.cover.all_free import all_free
from pp_compare.certified.cover.bounds import Dual
from pp_compare.certified.cover.cells import centres, columns, corners, everything, halves
from pp_compare.certified.cover.enclosures import Enclosures
from pp_compare.certified.cover.extend import extended
from pp_compare.certified.cover.neighbourhood import Neighbourhood
from pp_compare.certified.cover.values import Covariances, PointValues
from pp_compare.certified.equations.crossproducts import cross_products
from pp_compare.certified.general import optimum
from pp_compare.certified.general.optimum import general_optimum
from pp_compare.certified.models import certified_model
from pp_compare.certified.search.float_criterion import FloatCriterion
from pp_compare.data.corpus import case
from pp_compare.data.files import read_dataset
from pp_compare.engines import make_engine
from pp_compare.model.design import build_design
from pp_compare.model.formula import parse_formula
from pp_compare.resources import resource
from tests.certified.general_models import (
    crossed,
    nested,
    profiled_deviance,
    slope_and_crossed,
    slopes,
)

MODELS = [crossed(1), nested(4), slopes(2, correlated=False), slopes(0), slopes(1)]
EACH = pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)


def covariances(sizes, count, seed):
    """Random positive semidefinite matrices over eight powers of ten, some of them singular."""
    rng = np.random.default_rng(seed)
    result = []
    for q in sizes:
        T = np.tril(rng.normal(size=(count, q, q))) * 10.0 ** rng.integers(-4, 4, (count, 1, 1))
        T[::5, -1] = 0.0
        result.append(T @ T.swapaxes(1, 2))
    return result


def enclosed(G):
    flat = [
        Enclosures.exact(g[:, 0, 0])
        if g.shape[1] == 1
        else Enclosures.exact(g[:, 0, 0]) * Enclosures.exact(g[:, 1, 1])
        - Enclosures.exact(g[:, 0, 1]) * Enclosures.exact(g[:, 1, 0])
        for g in G
    ]
    return [Covariances(Enclosures.exact(g), d) for g, d in zip(G, flat, strict=True)]


def in_float(products, G):
    """log|V|, log|X'V^-1 X| and y'Py of the search's own arithmetic."""
    criterion = FloatCriterion(products, reml=True)
    solved = [s.solve(G) for s in criterion.strata]
    left, p = criterion.left(solved), products.p
    fixed = np.linalg.slogdet(left[:, :p, :p])[1]
    return sum(s.logdet for s in solved), fixed, np.exp(np.linalg.slogdet(left)[1] - fixed)


@pytest.mark.parametrize("model", [*MODELS, slope_and_crossed(6)], ids=lambda m: m.name)
def test_values_are_lower_bounds_and_near(model):
    products = cross_products(*model.data)
    G = covariances(products.sizes, 40, 0)
    values = PointValues(products).at(enclosed(G))
    for found, expected in zip(
        (values.random, values.fixed, values.q), in_float(products, G), strict=True
    ):
        # a relative variance of 1e8 costs eight of sixteen digits
        assert np.all(found <= expected + 1e-7 * (1 + np.abs(expected)))
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("model", [*MODELS, slope_and_crossed(6)], ids=lambda m: m.name)
def test_the_linear_bound_touches_where_it_is_made_and_is_below_elsewhere(model):
    products = cross_products(*model.data)
    G = covariances(products.sizes, 30, 1)
    minorant = Dual(products).at(G)
    everywhere = [np.broadcast_to(g, (30, *g.shape)) for g in G]
    below = minorant.below([Enclosures.exact(g) for g in everywhere])
    q = in_float(products, G)[2]
    np.testing.assert_allclose(np.diag(below), q, rtol=1e-4)
    assert np.all(below <= q * (1 + 1e-6))


@pytest.mark.parametrize("sizes", [(1, 1), (2,), (2, 1)])
def test_halves_make_up_their_cell_and_corners_enclose_its_points(sizes):
    rng = np.random.default_rng(0)
    cells = everything(sizes)
    for _ in range(8):
        cells = halves(cells[rng.choice(len(cells), min(len(cells), 40), replace=False)], sizes)
    cells = cells[np.isfinite(cells).all(axis=1)]
    found = corners(cells, sizes)
    for term, middle in enumerate(centres(cells, sizes)):
        flat = found.G[term].mid.reshape(len(cells), found.count, -1)
        point = middle.reshape(len(cells), -1)
        assert np.all(flat.min(axis=1) <= point + 1e-9 * (1 + np.abs(point)))
        assert np.all(flat.max(axis=1) >= point - 1e-9 * (1 + np.abs(point)))
    one = everything(sizes)[:1]
    left, right = halves(one, sizes)
    moved = np.flatnonzero(left != right)
    assert len(moved) == 2
    assert left[moved[0] + 1] == right[moved[0]]
    assert sum(c.stop - c.start for c in columns(sizes)) == one.shape[1]


@EACH
@pytest.mark.parametrize("reml", [False, True], ids=["ML", "REML"])
def test_small_models_are_proved_global(model, reml):
    found = general_optimum(*model.data, reml=reml)
    cover = extended(found, *model.data, reml=reml, seconds=60)
    assert (cover.complete, cover.share, cover.reason) == (True, 1.0, "")
    assert cover.pieces > 20
    assert float(found.deviance) <= lowest_of_grid(model, reml, 4) + 1e-9


def lowest_of_grid(model, reml, count):
    """The least deviance on a grid of relative covariances: V written out, numpy's dense algebra.

    Nothing of it is shared with the proof.
    """
    y, X, blocks = model.data
    scales = np.concatenate([[0.0], 10.0 ** np.linspace(-3, 3, count)])
    lowest = np.inf
    for G in product(*(matrices(block.size, scales) for block in blocks)):
        V = np.eye(len(y))
        for block, g in zip(blocks, G, strict=True):
            same = block.group[:, None] == block.group[None, :]
            V += same * (block.Z @ g @ block.Z.T)
        lowest = min(lowest, dense_deviance(V, y, X, reml))
    return lowest


def matrices(size, scales):
    if size == 1:
        return [np.array([[s]]) for s in scales]
    found = []
    for a, b, c in product(scales, scales, (-1.0, -0.9, -0.5, 0.0, 0.5, 0.9, 1.0)):
        found.append(np.array([[a, c * np.sqrt(a * b)], [c * np.sqrt(a * b), b]]))
    return found


def dense_deviance(V, y, X, reml):
    df = len(y) - (X.shape[1] if reml else 0)
    inverse = np.linalg.inv(V)
    precision = X.T @ inverse @ X
    rest = y - X @ np.linalg.solve(precision, X.T @ inverse @ y)
    q = rest @ inverse @ rest
    value = np.linalg.slogdet(V)[1] + (np.linalg.slogdet(precision)[1] if reml else 0.0)
    return value + df * (1 + np.log(2 * np.pi * q / df))


def test_a_local_minimum_that_is_not_the_lowest_is_not_proved_global(monkeypatch):
    """Two minima, of which the search is made to see the higher one only."""
    y = np.array([0.51, -1.18, 0.82, 11.18, 0.81, -0.1, -1.04, 0.56, -0.26])
    one = np.ones((9, 1))
    X = np.column_stack([one, [1.0, 2, 2, 0, 2, 2, 1, 0, 1]])

    blocks = [
        RandomBlock(np.arange(9) // 3, one),
        RandomBlock(np.array([3, 1, 0, 2, 3, 3, 4, 3, 4]), one),
    ]
    best = general_optimum(y, X, blocks, reml=False)
    assert extended(best, y, X, blocks, reml=False, seconds=30).complete
    whole = optimum.search

    def blind(*arguments):
        stops, count = whole(*arguments)
        return stops[1:], count

    monkeypatch.setattr(optimum, "search", blind)
    worse = general_optimum(y, X, blocks, reml=False)
    assert worse.claim == "local"
    assert float(worse.deviance) > float(best.deviance) + 0.1
    cover = extended(worse, y, X, blocks, reml=False, seconds=2)
    assert not cover.complete
    assert cover.share < 1
    assert "not ended" in cover.reason


@EACH
def test_the_neighbourhood_holds_nothing_lower(model):
    found = general_optimum(*model.data, reml=True)
    point, products = found.point, found.point.solution.products
    near = Neighbourhood.around(products, point.face, point.factors, reml=True)
    rng = np.random.default_rng(3)
    criterion = FloatCriterion(products, reml=True)
    best = float(found.deviance)
    middle = [
        np.array([[float(x) for x in r] for r in (t * t.transpose()).tolist()])
        for t in point.factors
    ]
    inside = 0
    for power in rng.uniform(-8, 0, 300):
        G = []
        for g in middle:
            root = rng.normal(size=g.shape)
            G.append(g * (1 + 10**power * rng.normal()) + 10 ** (2 * power) * root @ root.T)
        held = near.holds([Enclosures.exact(g[None, None]) for g in G])[0]
        if held:
            inside += 1
            solved = [s.solve([g[None] for g in G]) for s in criterion.strata]
            assert criterion.deviance(solved)[0] >= best - 1e-9 * (1 + abs(best))
    assert inside > 10


def test_with_all_effects_free_what_is_left_is_that_of_least_squares():
    model = nested(4)
    y, X, blocks = model.data
    Z = [np.where(b.group == k, 1.0, 0.0) for b in blocks for k in range(b.levels)]
    W = np.column_stack([X, *Z])
    rest = y - W @ np.linalg.lstsq(W, y, rcond=None)[0]
    assert float(all_free(y, X, blocks)) == pytest.approx(float(rest @ rest), rel=1e-10)
    assert all_free(W @ np.ones(W.shape[1]), X, blocks) == fmpq(0)
    weighted = float(all_free(y, X, blocks, np.full(len(y), 4.0)))
    assert weighted == pytest.approx(4 * float(rest @ rest), rel=1e-10)


def test_a_limit_is_kept_and_what_was_covered_is_said():
    design = build_design(case("sleepstudy").dataset, case("sleepstudy").spec("REML"))
    optimum = certified_model(design, seconds=1e-3).optimum
    assert optimum.claim == "local"
    assert "not ended after 0.001 seconds" in optimum.reason
    assert "% of the covariances were excluded" in optimum.reason


def test_cells_so_far_out_that_no_digit_is_left_are_looked_at_all_the_same():
    """X'V^-1 X is singular in doubles there; the proof goes on without a bound for that cell, and
    ends where the next would overflow."""
    path = resource("fixtures", "deviations", "nlme-false-convergence-small-residual.csv")
    design = build_design(read_dataset(path), parse_formula("y ~ x + (x|g)", "REML"))
    cover = certified_model(design, seconds=300.0).cover
    assert not cover.complete
    assert "no bound holds where relative variances exceed 1e+100" in cover.reason


def test_a_model_that_is_too_large_is_said_to_be():
    base = slopes(0)
    y, X = base.y, np.column_stack([base.X, base.X[:, 1] ** 2])

    blocks = [RandomBlock(base.blocks[0].group % 4, X)]
    found = general_optimum(y, X[:, :1], blocks, reml=True)
    cover = extended(found, y, X[:, :1], blocks, reml=True, seconds=1)
    assert not cover.complete
    assert cover.reason


CLASSICS = ["sleepstudy", "sleepstudy_uncorrelated", "Pastes", "Penicillin"]


@pytest.mark.parametrize("name", CLASSICS)
def test_classic_data_are_proved_global(name):
    design = build_design(case(name).dataset, case(name).spec("REML"))
    fit = make_engine("certified:global").fit(design)
    assert fit.extra["claim"] == "global"
    assert fit.extra["reason"] == ""


@pytest.mark.slow
@EACH
@pytest.mark.parametrize("reml", [False, True], ids=["ML", "REML"])
def test_no_point_of_a_fine_grid_lies_below_a_global_claim(model, reml):
    found = general_optimum(*model.data, reml=reml)
    assert extended(found, *model.data, reml=reml, seconds=60).complete
    assert float(found.deviance) <= lowest_of_grid(model, reml, 25) + 1e-9
    with mp.workdps(30):
        G = [
            mp.matrix([[float(x) for x in row] for row in (t * t.transpose()).tolist()])
            for t in found.point.factors
        ]
        exponents = found.point.solution.products.coordinates.z_exponents
        for g, powers in zip(G, exponents, strict=True):
            for i, a in enumerate(powers):
                for j, b in enumerate(powers):
                    g[i, j] *= mp.mpf(2) ** -(a + b)
        assert abs(profiled_deviance(model, G, reml) - float(found.deviance)) < 1e-8
