"""The sufficient statistics are exact: held against sums of Python fractions."""

import math
from fractions import Fraction

import numpy as np
import pytest
from flint import fmpq

from pp_compare.certified.intercept.statistics import BLOCK_ROWS, InterceptStatistics
from pp_compare.errors import DataError

EXTREMES = [5e-324, -5e-324, 1.7976931348623157e308, -1.7976931348623157e308, 2.0**-1022, 0.0, -0.0]


def columns_of(kind, n, rng):
    """A response and two predictors of a kind that stresses the cutting into limbs."""
    normal = rng.normal(size=n)
    if kind == "normal":
        return normal, np.ones(n), rng.normal(size=n)
    if kind == "wide":
        return normal * 10.0 ** rng.uniform(-300, 300, n), normal, rng.integers(0, 2, n) * 1.0
    if kind == "extreme":
        return rng.choice(EXTREMES, n), 2.0 ** rng.integers(-1074, 1024, n), normal
    return normal * 1e-3 + 1e13, np.zeros(n), rng.integers(-(2**53), 2**53, n) * 1.0


def true(statistics):
    """Crossproducts and cluster sums in the units of the data."""
    unit = [Fraction(int(u.p), int(u.q)) for u in statistics.unit]
    gram = [
        [int(x) * a * b for x, b in zip(row, unit, strict=True)]
        for row, a in zip(statistics.crossproduct.table(), unit, strict=True)
    ]
    sums = [
        [int(x) * a for x, a in zip(row, unit, strict=True)]
        for row in statistics.cluster_sum.table()
    ]
    return gram, sums


@pytest.mark.parametrize("kind", ["normal", "wide", "extreme", "shifted"])
@pytest.mark.parametrize("n", [1, 57, 400])
def test_sums_equal_those_of_fractions(kind, n):
    rng = np.random.default_rng([n, len(kind)])
    y, a, b = columns_of(kind, n, rng)
    n_clusters = min(n, 5)
    group = np.concatenate([np.arange(n_clusters), rng.integers(0, n_clusters, n - n_clusters)])
    statistics = InterceptStatistics.from_arrays(y, np.column_stack([a, b]), group)
    gram, sums = true(statistics)
    data = [[Fraction(float(v)) for v in row] for row in zip(a, b, y, strict=True)]
    for i in range(3):
        for j in range(3):
            assert gram[i][j] == sum(row[i] * row[j] for row in data)
        for k in range(n_clusters):
            members = zip(data, group, strict=True)
            assert sums[k][i] == sum(row[i] for row, g in members if g == k)


def test_blocks_of_rows_join_without_a_trace():
    """Full limbs over more than one block of rows reach the bound that exactness rests on."""
    n = 2 * BLOCK_ROWS + 3
    largest = float(2**53 - 1)  # every limb is full
    y = np.full(n, largest)
    statistics = InterceptStatistics.from_arrays(y, np.ones((n, 1)), np.arange(n) % 2)
    gram, sums = true(statistics)
    assert gram[1][1] == n * int(largest) ** 2
    assert gram[1][0] == n * int(largest)
    assert sums[0][1] == math.ceil(n / 2) * int(largest)


def test_rationals_are_summed_as_they_are():
    y = [Fraction(1, 3), fmpq(2, 7), 0.1, 4]
    statistics = InterceptStatistics.from_rationals(y, [[1], [1], [1], [1]], [0, 0, 1, 1])
    gram, sums = true(statistics)
    exact = [Fraction(1, 3), Fraction(2, 7), Fraction(0.1), Fraction(4)]
    assert gram[1][1] == sum(v * v for v in exact)
    assert [row[1] for row in sums] == [exact[0] + exact[1], exact[2] + exact[3]]


def test_arrays_and_rationals_agree_on_doubles():
    rng = np.random.default_rng(3)
    y, X = rng.normal(size=40) * 1e9, rng.normal(size=(40, 3))
    group = rng.permutation(np.arange(40) % 7)
    assert true(InterceptStatistics.from_arrays(y, X, group)) == true(
        InterceptStatistics.from_rationals(y, X, group)
    )


def test_row_order_leaves_no_trace():
    rng = np.random.default_rng(4)
    y, X, group = rng.normal(size=60), rng.normal(size=(60, 2)), np.arange(60) % 8
    order = rng.permutation(60)
    one = InterceptStatistics.from_arrays(y, X, group)
    other = InterceptStatistics.from_arrays(y[order], X[order], group[order])
    assert one.crossproduct == other.crossproduct
    assert one.cluster_sum == other.cluster_sum
    assert one.cluster_size == other.cluster_size


def test_within_crossproducts_are_those_of_the_deviations():
    y, group = [1.0, 4.0, 2.0, 2.5, 9.0], np.array([0, 0, 1, 1, 1])
    within, denominator = InterceptStatistics.from_arrays(y, np.ones((5, 1)), group).within
    unit = InterceptStatistics.from_arrays(y, np.ones((5, 1)), group).unit[1]
    deviations = [Fraction(-3, 2), Fraction(3, 2), Fraction(-5, 2), Fraction(-2), Fraction(9, 2)]
    squares = sum(d * d for d in deviations)
    assert within[0, 0] == 0
    assert within[1, 1] * unit**2 / denominator == fmpq(squares.numerator, squares.denominator)


@pytest.mark.parametrize(
    ("y", "X", "group", "message"),
    [
        ([1.0, math.nan], [[1.0], [1.0]], [0, 1], "y is nan in row 1"),
        ([1.0, 2.0], [[1.0], [math.inf]], [0, 1], "column 0 of X is inf in row 1"),
        ([1.0, 2.0], [[1.0]], [0, 1], "shape"),
        ([], np.ones((0, 1)), [], "n > 0"),
        ([1.0, 2.0], [[1.0], [1.0]], [0, 2], "no row has cluster code 1"),
        ([1.0, 2.0], [[1.0], [1.0]], [0.0, 1.0], "integer codes"),
        ([1.0, 2.0], [[1.0], [1.0]], [-1, 0], "integer codes"),
    ],
)
def test_data_that_have_no_sums_are_refused(y, X, group, message):
    with pytest.raises(DataError, match=message):
        InterceptStatistics.from_arrays(y, X, np.array(group))


def test_ragged_rationals_are_refused():
    with pytest.raises(DataError, match="two widths"):
        InterceptStatistics.from_rationals([1, 2], [[1], [1, 2]], [0, 1])
