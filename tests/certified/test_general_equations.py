"""Solving by the change from a centre gives what solving afresh gives, and encloses whole boxes."""

import numpy as np
import pytest
from flint import arb, arb_mat, ctx

from pp_compare.certified.components.integer_columns import Cells, IntegerColumn, inner_product
from pp_compare.certified.equations.crossproducts import cross_products
from pp_compare.certified.equations.curvature import derivatives
from pp_compare.certified.equations.mixed_equations import perturb, solve
from pp_compare.certified.equations.parametrisation import lower_triangle
from tests.certified.general_models import crossed, nested, slope_and_crossed, slopes

MODELS = [slopes(0), slopes(2, correlated=False), crossed(1), nested(4), slope_and_crossed(6)]
EACH = pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)


@pytest.fixture(autouse=True)
def _precision():
    with ctx.workprec(200):
        yield


def factors(model, values):
    result = [arb_mat(b.size, b.size) for b in model.blocks]
    for value, p in zip(values, lower_triangle([b.size for b in model.blocks]), strict=True):
        result[p.block][p.row, p.column] = value
    return result


def covariances(parts):
    return [t * t.transpose() for t in parts]


def theta(model, seed):
    size = sum(b.size * (b.size + 1) // 2 for b in model.blocks)
    return np.random.default_rng(seed).uniform(0.5, 1.0, size)


def answers(solution):
    """Every number of a solution that the derivatives use."""
    matrices = [solution.precision, solution.H, solution.beta]
    for piece in solution.pieces:
        C = [row[:-1] for row in piece.solved.F.tolist()]
        matrices += [solution.w(piece), piece.solved.moment, arb_mat(C)]
    determinants = [piece.solved.determinant for piece in solution.pieces]
    return [solution.q, *determinants, *(entry for m in matrices for entry in m.entries())]


@EACH
def test_a_move_to_another_point_gives_what_solving_there_gives(model):
    products = cross_products(*model.data)
    here, there = (covariances(factors(model, map(arb, theta(model, k)))) for k in (0, 1))
    moved, fresh = perturb(solve(products, here), there), solve(products, there)
    for a, b in zip(answers(moved), answers(fresh), strict=True):
        assert a.overlaps(b)
        assert a.rad() < 1e-40


@EACH
@pytest.mark.parametrize("reml", [False, True], ids=["ML", "REML"])
def test_derivatives_over_a_box_enclose_those_at_its_points(model, reml):
    products, middle, radius = cross_products(*model.data), theta(model, 0), 1e-3
    parameters = lower_triangle([b.size for b in model.blocks])
    box = factors(model, [arb(v, radius) for v in middle])
    centre = solve(products, covariances(factors(model, map(arb, middle))))
    over = derivatives(perturb(centre, covariances(box)), box, parameters, reml)
    rng = np.random.default_rng(2)
    for _ in range(5):
        inside = middle + 0.99 * radius * rng.choice([-1, 1], len(middle))
        point = factors(model, map(arb, inside))
        at = derivatives(solve(products, covariances(point)), point, parameters, reml)
        for wide, narrow in zip(over, at, strict=True):
            assert all(w.contains(v) for w, v in zip(wide.entries(), narrow.entries(), strict=True))


@pytest.mark.parametrize("model", [crossed(1), nested(4), slope_and_crossed(6)])
def test_eliminating_a_term_gives_what_inverting_the_whole_gives(model, monkeypatch):
    products, at = (
        cross_products(*model.data),
        covariances(factors(model, map(arb, theta(model, 0)))),
    )
    whole = answers(solve(products, at))
    monkeypatch.setattr("pp_compare.certified.equations.mixed_equations.WIDE", 0)
    for a, b in zip(answers(solve(products, at)), whole, strict=True):
        assert a.overlaps(b)
        assert a.rad() < 1e-40


@pytest.mark.parametrize(
    "column",
    [
        np.array([0.1, -2.5, 0.0, 1e10, 3.0]),
        np.array([2.0**1000, 2.0**-1000, -5e-324, 1.0, 0.1]),
        np.array([2.0**53 - 1, 2.0**53 - 1, 2.0**53 - 1, 1.0, -1.0]),
        np.array([2.0**30 + 1, 2.0**31 - 1, 3.0, 2.0**30 - 1, 7.0]),
        np.zeros(5),
    ],
)
def test_integer_columns_are_exact(column):
    """Against Python's fractions, which hold any double."""
    exact = [value.as_integer_ratio() for value in column.tolist()]
    made = IntegerColumn.of(column)
    for value, (top, bottom) in zip(made.integers, exact, strict=True):
        assert arb((int(value), made.exponent)) * bottom == top
    with ctx.workprec(5000):
        square = arb((inner_product(made, made), 2 * made.exponent))
        assert square == sum((arb(v) * arb(v) for v in column.tolist()), arb(0))
        totals, exponent = Cells.of(np.array([1, 0, 1, 0, 1])).totals(made, made)
        parts = [
            sum((arb(v) * arb(v) for v in column[k].tolist()), arb(0)) for k in ([1, 3], [0, 2, 4])
        ]
        found = [arb((int(total), exponent)) for total in totals]
        assert all(value == part for value, part in zip(found, parts, strict=True))


def test_products_that_exceed_machine_integers_do_not_wrap():
    large = IntegerColumn.of(np.full(4, 2.0**31 - 1))
    assert inner_product(large, large) == 4 * (2**31 - 1) ** 2
    many = IntegerColumn.of(np.append(np.full(9, 2.0**30 + 1), 1.0))
    assert inner_product(many, many) == 9 * (2**30 + 1) ** 2 + 1
    zeros, wide = IntegerColumn.of(np.zeros(2)), IntegerColumn.of(np.array([1.0, 1e60]))
    assert inner_product(zeros, wide) == 0
