"""The reason for a singular optimum: each sentence against a case in which it does not hold."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from pp_compare.certified.models import certified_model
from pp_compare.certified.why_singular import why_singular
from tests.examples import corpus_design, design


def numbers(sentence: str) -> list[float]:
    return [float(x) for x in re.findall(r"(?<![\w.])-?\d+\.?\d*(?:e-?\d+)?", sentence)]


def balanced(between: float, seed: int = 0) -> pd.DataFrame:
    """Six groups of four whose means vary as asked; the noise has mean 0 in each."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(6, 4))
    noise -= noise.mean(axis=1, keepdims=True)
    means = np.array([-1.0, 1, -1, 1, -1, 1])[:, None] * between
    g = np.repeat(list("abcdef"), 4)
    return pd.DataFrame({"y": (noise + means).ravel(), "g": g, "x": rng.normal(size=24)})


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_mean_squares_decide_in_balanced_data(method):
    data = design(balanced(0.05), "y ~ 1 + (1 | g)", method)
    sentence = why_singular(data, certified_model(data))
    assert sentence is not None
    between, within = numbers(sentence)[-3:-1] if method == "REML" else numbers(sentence)[1:3]
    squares = 4 * 6 * 0.05**2
    assert between == pytest.approx(squares / (5 if method == "REML" else 6), rel=1e-3)
    assert between < within
    assert f"so {method} gives 0" in sentence
    other = design(balanced(2.0), "y ~ 1 + (1 | g)", method)
    assert why_singular(other, certified_model(other)) is None


def test_dyestuff_2():
    data = corpus_design("Dyestuff2")
    assert why_singular(data, certified_model(data)) == (
        "mean square between 8.336 below 14.95 within, so REML gives 0"
    )


def test_the_slope_decides_where_the_data_are_not_balanced():
    data = design(balanced(0.05).iloc[1:], "y ~ x + (1 | g)")
    model = certified_model(data)
    sentence = why_singular(data, model)
    assert sentence is not None
    assert "rises from tau2 = 0" in sentence
    sigma, step = float(model.optimum.quantities["sigma"].values), 1e-6
    moved = {"g": np.array([[step * sigma**2]])}
    rise = (model.deviance(sigma, moved) - model.optimum.deviance) / step
    assert numbers(sentence)[1] == pytest.approx(rise, rel=1e-3)
    assert sentence.endswith("and has no other minimum")
    two = corpus_design("two_optima_ml", "ML")
    assert "its other minimum is 0.1341 higher" in str(why_singular(two, certified_model(two)))


def test_a_variance_and_a_correlation_on_the_boundary():
    data = design(balanced(1.0), "y ~ 1 + (1 | g) + (0 + x | g)")
    model = certified_model(data)
    if not model.optimum.singular:
        pytest.fail("the example is to have no variance of the slope")
    sentence = why_singular(data, model)
    assert sentence is not None
    assert sentence.startswith("the variance of 'x' by 'g' is 0")
    best = model.optimum.quantities
    sigma, step = float(best["sigma"].values), 1e-6
    moved = best["random_cov[g]"].values.copy()
    moved[1, 1] += step * sigma**2
    rise = (model.deviance(sigma, {"g": moved}) - model.optimum.deviance) / step
    assert numbers(sentence)[1] == pytest.approx(rise, rel=1e-3)
    tied = design(balanced(1.0), "y ~ 1 + (x | g)")
    model = certified_model(tied)
    assert model.optimum.singular
    assert "'x' by 'g' is a multiple of the random effects before it" in str(
        why_singular(tied, model)
    )
