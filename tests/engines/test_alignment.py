from __future__ import annotations

import math

import numpy as np
import pytest

from pp_compare.engines.alignment import align, design_error
from tests.examples import corpus_design


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
