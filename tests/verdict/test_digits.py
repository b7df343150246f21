from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from pp_compare.verdict.digits import digits_text, least, lre, lre_of, worst_first

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("value", "truth", "digits"),
    [
        (1.0, 1.0, 15.0),
        (INF, INF, 15.0),
        (1.001, 1.0, 3.0),
        (-1.0, 1.0, 0.0),
        (NAN, 1.0, 0.0),
        (1.0, NAN, 0.0),
        (NAN, NAN, 0.0),
        (INF, 1.0, 0.0),
        (1.0, -INF, 0.0),
        (1e308, -1e308, 0.0),
        (5e-324, 1e-323, math.log10(2)),
    ],
)
def test_lre_has_a_value_for_every_pair(value: float, truth: float, digits: float) -> None:
    assert lre(value, truth) == pytest.approx(digits, abs=1e-3)


@pytest.mark.parametrize("value", [0.0, -0.0, 1e-300, 1.0, INF, NAN])
def test_an_exact_zero_has_no_digits_and_enters_no_statistic(value: float) -> None:
    assert math.isnan(lre(value, 0.0))
    assert digits_text(lre(value, 0.0)) == "-"
    assert least([lre(value, 0.0), lre(1.001, 1.0)]) == pytest.approx(3.0, abs=1e-3)
    assert math.isnan(least([lre(value, 0.0)]))
    assert worst_first(lre(value, 0.0)) < worst_first(lre(1.001, 1.0))


def test_lre_takes_a_scale_where_the_truth_is_zero() -> None:
    assert lre(1e-6, 0.0, scale=1.0) == pytest.approx(6.0)
    assert lre(1.001, 1.0, scale=1e-9) == pytest.approx(3.0, abs=1e-3)


def test_many_digits_are_those_of_each() -> None:
    pool = [0.0, -0.0, 1.0, -1.0, 1.0 + 1e-9, 1e300, -1e-300, math.inf, -math.inf, math.nan, 3e-9]
    pairs = list(product(pool, repeat=2))
    found = lre_of(np.array([v for v, _ in pairs]), np.array([t for _, t in pairs]))
    np.testing.assert_allclose(found, [lre(v, t) for v, t in pairs], rtol=1e-14, equal_nan=True)
