from __future__ import annotations

import math

import numpy as np
import pytest

from pp_compare.numerics import align, design_error, lre
from tests.examples import corpus_design

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("value", "truth", "digits"),
    [
        (1.0, 1.0, 15.0),
        (0.0, 0.0, 15.0),
        (INF, INF, 15.0),
        (1.001, 1.0, 3.0),
        (-1.0, 1.0, 0.0),
        (1e-300, 0.0, 0.0),
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


def test_lre_takes_a_scale_where_the_truth_is_zero() -> None:
    assert lre(1e-6, 0.0, scale=1.0) == pytest.approx(6.0)
    assert lre(1.001, 1.0, scale=1e-9) == pytest.approx(3.0, abs=1e-3)


def test_align_goes_by_label() -> None:
    values = np.array([[1.0, 2.0, 3.0]])
    assert align(["a", "b", "c"], values, ["c", "a"]).tolist() == [[3.0, 1.0]]
    with pytest.raises(KeyError, match="d"):
        align(["a"], values[:, :1], ["d"])


def test_design_error_sees_a_changed_number_a_changed_label_and_a_lost_row() -> None:
    design = corpus_design("seed_case1")
    labels, X, y = list(design.labels), design.X, design.y
    assert design_error(design, labels[::-1], X[:, ::-1], y) == 0.0
    other = X.copy()
    other[3, 1] += 0.25
    assert design_error(design, labels, other, y) == 0.25
    assert design_error(design, labels, X, y + 0.5) == pytest.approx(0.5)
    assert math.isnan(design_error(design, ["Intercept", "z"], X, y))
    assert math.isnan(design_error(design, labels, X[:-1], y[:-1]))
