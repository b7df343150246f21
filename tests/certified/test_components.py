"""Sums over components taken together are those of one at a time; large matrices are enclosed."""

import numpy as np
import pytest
from flint import arb, arb_mat, ctx, fmpq, fmpq_mat, fmpz_mat

from pp_compare.certified.components import large_matrix
from pp_compare.certified.components.blocks import RandomBlock
from pp_compare.certified.components.component import floats
from pp_compare.certified.components.large_matrix import determinant, inverse
from pp_compare.certified.equations import mixed_equations
from pp_compare.certified.equations.crossproducts import cross_products
from pp_compare.certified.equations.curvature import derivatives, slopes
from pp_compare.certified.equations.mixed_equations import solve
from pp_compare.certified.equations.parametrisation import lower_triangle
from tests.certified.general_models import Model, crossed, nested, slope_and_crossed
from tests.certified.general_models import slopes as slopes_model

SMALL = [slopes_model(0), slopes_model(2, correlated=False), nested(4), crossed(1)]


@pytest.fixture(autouse=True)
def _precision():
    with ctx.workprec(200):
        yield


def wide(seed, sizes=(9, 5), q=(1, 1)):
    """Crossed factors with more coefficients than are inverted as they are, some cells empty."""
    rng = np.random.default_rng([seed, 7])
    first, second = (a.ravel() for a in np.meshgrid(*(range(m) for m in sizes)))
    keep = rng.random(len(first)) < 0.8
    first, second = np.repeat(first[keep], 2), np.repeat(second[keep], 2)
    n = len(first)
    X = np.column_stack([np.ones(n), rng.normal(size=n).round(3)])
    blocks = tuple(RandomBlock(g, X[:, :k]) for g, k in zip((first, second), q, strict=True))
    return Model(f"wide-{sizes}-{q}", rng.normal(size=n), X, blocks)


WIDE = [wide(0), wide(1, (5, 9)), wide(2, q=(2, 1)), wide(3, q=(1, 2)), wide(4, (6, 6), (2, 2))]


def at(model, seed):
    """Factors T of each random term, and all their entries as parameters."""
    rng, parameters = np.random.default_rng(seed), lower_triangle([b.size for b in model.blocks])
    result = [arb_mat(b.size, b.size) for b in model.blocks]
    for p in parameters:
        result[p.block][p.row, p.column] = arb(float(rng.uniform(0.3, 1.5)))
    return result, parameters


def solved(model, factors):
    return solve(cross_products(*model.data), [t * t.transpose() for t in factors])


def agree(left, right, radius=1e-30):
    for a, b in zip(left.entries(), right.entries(), strict=True):
        assert a.overlaps(b)
        assert a.rad() < radius
        assert b.rad() < radius


@pytest.mark.parametrize("model", SMALL, ids=lambda m: m.name)
@pytest.mark.parametrize("reml", [True, False])
def test_narrow_components_together_are_what_they_are_alone(model, reml):
    factors, _ = at(model, 1)
    together = solved(model, factors)
    assert together.narrow
    cp, r = together.products, together.residual_of
    middle = (r * r.transpose()) * (together.df(reml) / together.q)
    for i in range(cp.p if reml else 0):
        for k in range(cp.p):
            middle[i, k] += together.H[i, k]
    alone = [arb_mat(q, q) for q in cp.sizes]
    for piece in together.pieces:
        F, offsets = piece.solved.F, cp.offsets(cp.strata[piece.stratum])
        whole = piece.solved.moment - F * middle * F.transpose()
        for (term, _), start in zip(piece.component.levels, offsets, strict=True):
            for i in range(cp.sizes[term]):
                for k in range(cp.sizes[term]):
                    alone[term][i, k] += whole[start + i, start + k]
    for one, other in zip(slopes(together, reml), alone, strict=True):
        agree(one, other)


@pytest.mark.parametrize("model", WIDE, ids=lambda m: m.name)
@pytest.mark.parametrize("reml", [True, False])
def test_a_wide_component_has_the_derivatives_of_a_narrow_one(model, reml, monkeypatch):
    factors, parameters = at(model, 2)
    eliminated = solved(model, factors)
    assert not eliminated.narrow
    monkeypatch.setattr(mixed_equations, "WIDE", 1000)
    whole = solved(model, factors)
    assert whole.narrow
    for one, other in zip(
        derivatives(eliminated, factors, parameters, reml),
        derivatives(whole, factors, parameters, reml),
        strict=True,
    ):
        agree(one, other)
    assert eliminated.profiled_deviance(reml).overlaps(whole.profiled_deviance(reml))


@pytest.mark.parametrize("model", [*SMALL, *WIDE, slope_and_crossed(6)], ids=lambda m: m.name)
def test_rounded_cross_products_are_the_nearest_doubles(model):
    for stratum in cross_products(*model.data).strata:
        assert "rounded" in stratum.__dict__
        exact = np.array([floats(c.zz) for c in stratum.components])
        assert (stratum.rounded == exact).all()


def test_cross_products_that_no_double_has_are_left_to_balls():
    model = wide(5)
    tiny = [RandomBlock(b.group, b.Z * 2.0**-600) for b in model.blocks[:1]]
    huge = [
        RandomBlock(b.group, b.Z * np.r_[2.0**500, np.ones(len(b.Z) - 1)][:, None])
        for b in model.blocks[1:]
    ]
    for stratum in cross_products(model.y, model.X, [*tiny, *huge]).strata:
        exact = np.array([floats(c.zz) for c in stratum.components])
        assert (stratum.rounded == exact).all()


def integers(seed, n=large_matrix.LARGE):
    """A matrix of integers whose rows need pivots."""
    values = np.random.default_rng(seed).integers(-9, 10, (n, n)) + 30 * np.eye(n, dtype=int)
    values[[0, 3]] = values[[3, 0]]
    return fmpz_mat(values.tolist())


@pytest.mark.parametrize("bits", [128, 200])
@pytest.mark.parametrize("seed", range(3))
def test_a_large_matrix_is_enclosed(seed, bits):
    exact = integers(seed)
    with ctx.workprec(bits):
        third = arb_mat(exact) / 3
        assert determinant(third).contains(fmpq(exact.det(), 3 ** exact.nrows()))
        found, truth = inverse(third), fmpq_mat(exact).inv() * 3
        largest = max(abs(x) for x in found.entries())
        for x, y in zip(found.entries(), truth.entries(), strict=True):
            assert x.contains(y)
            assert x.rad() < largest * arb(2) ** -(bits // 2)
        assert determinant(third).rad() < abs(determinant(third)) * arb(2) ** -(bits // 2)


@pytest.mark.parametrize("terms", [2, 3, 4])
def test_every_length_of_the_series_encloses(terms, monkeypatch):
    """With an inverse that is right to a few digits only the rest of the series counts."""
    exact = integers(9)
    near = large_matrix._near_inverse

    def rough(a):
        return near(a) * (1 + 1e-10 * np.random.default_rng(0).normal(size=(a.nrows(), a.nrows())))

    monkeypatch.setattr(large_matrix, "_near_inverse", rough)
    plus, used = large_matrix._plus, []
    monkeypatch.setattr(large_matrix, "_plus", lambda *a: used.append(1) or plus(*a))
    monkeypatch.setattr(large_matrix, "MOST_TERMS", terms)
    with ctx.workprec({2: 80, 3: 128, 4: 160}[terms]):
        found = inverse(arb_mat(exact))
        truth = fmpq_mat(exact).inv()
        assert used  # the series, not the elimination
        assert all(x.contains(y) for x, y in zip(found.entries(), truth.entries(), strict=True))


def test_what_float64_cannot_invert_is_left_to_balls():
    n = large_matrix.LARGE
    hilbert = fmpq_mat(n, n, [fmpq(1, 1 + i + k) for i in range(n) for k in range(n)])
    with ctx.workprec(1000):
        found = inverse(arb_mat(hilbert))
        assert found[0, 0].contains(fmpq(n * n))  # the first entry of its inverse
        assert determinant(arb_mat(hilbert)).contains(hilbert.det())
    with ctx.workprec(128):
        assert determinant(arb_mat(fmpz_mat(n, n, [1] * (n * n)))).contains(0)
        assert not inverse(arb_mat(fmpz_mat(n, n, [1] * (n * n))))[0, 0].is_finite()
