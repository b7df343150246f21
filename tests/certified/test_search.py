"""Criteria with several minima, of which the lowest is easily missed."""

from __future__ import annotations

import numpy as np
import pytest

from pp_compare.certified.components.blocks import RandomBlock
from pp_compare.certified.equations.crossproducts import cross_products
from pp_compare.certified.existence.span import span_of
from pp_compare.certified.general.optimum import general_optimum
from pp_compare.certified.search.float_criterion import FloatCriterion
from pp_compare.certified.search.starts import enough, spread
from tests.certified.general_models import crossed, nested, slope_and_crossed, slopes


def columns(*parts):
    return np.column_stack(parts)


def test_crossed_intercepts_with_the_lowest_minimum_on_the_boundary():
    y = np.array([0.51, -1.18, 0.82, 11.18, 0.81, -0.1, -1.04, 0.56, -0.26])
    one = np.ones((9, 1))
    X = columns(one, [1.0, 2, 2, 0, 2, 2, 1, 0, 1])
    other = np.array([3, 1, 0, 2, 3, 3, 4, 3, 4])
    blocks = [RandomBlock(np.arange(9) // 3, one), RandomBlock(other, one)]
    found = general_optimum(y, X, blocks, reml=False)
    assert (found.claim, found.ranks) == ("local", (0, 1))
    assert float(found.deviance) == pytest.approx(35.8090944657, abs=1e-9)
    assert [o.deviance for o in found.others] == pytest.approx([36.8761904558], abs=1e-8)


def test_uncorrelated_terms_of_which_either_one_alone_is_a_minimum():
    y = np.array(
        [
            -1.6781750008245597,
            2.1480246459281442,
            -2.9993047007867,
            0.09456211528239618,
            -1.8188985331842202,
            -0.16215878728755684,
            -0.33221086630328694,
            -0.5721181364512252,
        ]
    )
    x = np.array([0.3, -0.42, -0.57, -0.9, 1.64, -0.69, -0.46, -0.11])
    group, one = np.array([0, 1, 2, 3, 3, 3, 3, 3]), np.ones((8, 1))
    blocks = [RandomBlock(group, one), RandomBlock(group, x[:, None])]
    found = general_optimum(y, columns(one, x), blocks, reml=True)
    assert (found.claim, found.ranks) == ("local", (0, 1))
    assert float(found.deviance) == pytest.approx(7.4262292386, abs=1e-9)


NARROW = [
    # y, x, groups, columns of X, the lowest minimum, the one that descents from all over end at
    (
        [-0.682, -3.433, -2.491, -1.044, -12.717, -9.714, -1.815, -2.756, -0.208, 0.837],
        [10.0, 20.0, 20.0, 30.0, 20.0, 30.0, 10.0, 10.0, 20.0, 10.0],
        [0, 0, 0, 1, 2, 3, 4, 4, 4, 5],
        1,
        45.7361653494,
        49.7324921753,
    ),
    (
        [
            -0.504,
            -0.569,
            -0.223,
            -0.497,
            -0.458,
            -0.394,
            -0.543,
            -10.64,
            -0.607,
            6.187,
            0.414,
            -2.157,
        ],
        [3.0, 3.2, 3.1, 3.2, 3.1, 3.0, 3.1, 3.3, 3.0, 3.0, 3.0, 3.0],
        [0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 3, 4],
        1,
        52.8131428787,
        55.7307480976,
    ),
    (
        [-11.468, -23.147, -29.96, -14.038, -11.227, 32.16, 8.359, -13.183],
        [1.78, 3.37, 4.74, 3.68, 2.84, 4.31, 3.22, 2.19],
        [0, 0, 0, 1, 1, 2, 3, 4],
        2,
        50.5964983486,
        51.2703023684,
    ),
    (
        [20.433, 20.399, 40.788, -25.489, 51.037],
        [10.0, 10.0, 20.0, 20.0, 30.0],
        [0, 0, 0, 1, 2],
        2,
        16.7271297583,
        19.4706995923,
    ),
]


@pytest.mark.parametrize(("y", "x", "group", "p", "lowest", "wide"), NARROW)
def test_a_line_that_fits_two_clusters_is_found_in_its_narrow_valley(y, x, group, p, lowest, wide):
    """Found by a differential evolution with a hundred times the effort; the last is beyond
    float64, and its proof takes a box of a tenth of the digits that others need."""
    Z = columns(np.ones(len(y)), x)
    found = general_optimum(
        np.array(y), Z[:, :p], [RandomBlock(np.array(group), Z)], reml=False, seed=0
    )
    assert (found.claim, found.ranks) == ("local", (1,))
    assert float(found.deviance) == pytest.approx(lowest, abs=1e-8)
    assert found.others[0].deviance == pytest.approx(wide, abs=1e-6)


def test_beyond_float64_the_search_in_balls_begins_in_every_valley():
    """Its descents in float64 all end in the wider one: far out they leave where they began."""
    y = [-0.726, -1.995, -1.861, -0.922, 0.281, -1.413, -1.456, 0.233, -0.222, -1.626, -1.043,
         -250.209, 4.228, 0.441, 6.277]  # fmt: skip
    x = [3.0, 3.1, 3.3, 3.1, 3.2, 3.3, 3.1, 3.2, 3.1, 3.2, 3.1, 3.2, 3.1, 3.3, 3.3]
    group = np.repeat(np.arange(4), [11, 1, 2, 1])
    Z = columns(np.ones(15), x)
    found = general_optimum(np.array(y), Z, [RandomBlock(group, Z)], reml=True)
    assert (found.claim, found.ranks) == ("local", (2,))
    assert float(found.deviance) == pytest.approx(59.9123029495, abs=1e-8)
    assert [o.deviance for o in found.others] == pytest.approx([62.1574923837], abs=1e-6)


def test_rows_that_the_fixed_and_random_effects_fit_whatever_they_are():
    """Eight rows, seven dimensions of Z and one more of X: y lies in the span of [X Z]."""
    rng = np.random.default_rng(0)
    one = np.ones((8, 1))
    X = columns(one, [8.8, 9.0, 9.9, 10.7, 9.7, 10.1, 10.6, 9.5])
    other = np.array([3, 3, 1, 3, 2, 3, 1, 0])
    blocks = [RandomBlock(np.arange(8) // 2, one), RandomBlock(other, one)]
    span = span_of(rng.normal(size=8), X, blocks)
    assert (span.holds_response, span.rank_random, span.rank_both) == (True, 7, 8)


def test_the_search_ends_when_less_than_half_a_minimum_is_left_to_expect():
    ends = [next(n for n in range(1000) if enough(n, w)) for w in (1, 2, 3)]
    assert ends == [8, 17, 30]


@pytest.mark.parametrize("model", [slopes(1), crossed(1), nested(1), slope_and_crossed(1)])
@pytest.mark.parametrize("reml", [False, True])
def test_values_at_many_points_are_those_at_each(model, reml):
    criterion = FloatCriterion(cross_products(*model.data), reml)
    _, points = spread(criterion.products.sizes, 64, seed=1)
    one_by_one = [criterion(x) for x in points]
    # relative variances reach 1e6: y'Py is then what some seven digits of its terms leave
    np.testing.assert_allclose(criterion.values(points), [v for v, _, _ in one_by_one], rtol=1e-7)
    together = criterion.derivatives(points)
    for found, alone in zip(together, zip(*one_by_one, strict=True), strict=True):
        np.testing.assert_allclose(found, np.array(alone), rtol=1e-6, atol=1e-6)


def test_points_reach_every_face():
    _, points = spread([2, 1], 512, seed=0)
    first, slope, rest, other = points.T
    assert ((first == 0) & (slope == 0) & (rest == 0)).any()  # no variance in the first term
    assert ((first > 0) & (slope != 0) & (np.abs(rest) < 1e-12)).any()  # a correlation of +-1
    assert ((first > 0) & (rest > 0) & (other == 0)).any()
    assert np.abs(points).max() > 500
