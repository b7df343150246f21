"""`assert_parity`: right numbers in any shape pass, wrong ones are told apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pp_compare.conformance import ConformanceError, assert_parity
from pp_compare.engines import make_engine
from pp_compare.errors import InputError
from pp_compare.model import Fit
from tests.broken_engines import altered
from tests.examples import clusters, corpus_design, design
from tests.faulty_engines import certified, scaled

DESIGN = corpus_design("seed_case1")
RIGHT = certified(DESIGN)
GOOD = "y ~ x + (1|g)"


def test_a_fit_and_plain_numbers_and_a_series_pass() -> None:
    assert_parity(RIGHT, "certified", DESIGN)
    assert_parity({"beta": RIGHT["beta"].tolist(), "sigma": float(RIGHT["sigma"])}, RIGHT, DESIGN)
    backwards = pd.Series(RIGHT["beta"], index=DESIGN.labels)[::-1]
    assert_parity({"beta": backwards}, "certified", DESIGN)
    assert_parity(RIGHT, make_engine("recorded:bookworm/nlme"), DESIGN)


@pytest.mark.parametrize("reference", ["certified", "recorded:bookworm/lme4"])
def test_a_wrong_number_is_named(reference: str) -> None:
    beta = RIGHT["beta"] + [0.0, 0.01]
    with pytest.raises(ConformanceError) as error:
        assert_parity({"beta": beta, "sigma": RIGHT["sigma"]}, reference, DESIGN, "mine")
    text = str(error.value)
    assert f"mine differs from {reference.rpartition('/')[2]}" in text or reference in text
    assert "beta predictor[T.intervention]: 2.357168" in text
    assert "sigma" not in text.partition("(")[0]


def test_a_whole_fit_gets_its_cause() -> None:
    with pytest.raises(ConformanceError, match="optimiser: it stopped short of the optimum"):
        assert_parity(scaled(1.5)(DESIGN), "certified", DESIGN)
    off = altered(RIGHT, "fitted", lambda x: x + 1)
    with pytest.raises(ConformanceError, match="post-processing"):
        assert_parity(off, "certified", DESIGN)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"betas": [1.0]}, "no quantity 'betas' in certified; there are: beta"),
        ({"beta": {"(Intercept)": 1.0, "x": 2.0}}, "labelled .*not .'Intercept', 'predictor"),
        ({"beta": [1.0, 2.0, 3.0]}, r"beta has shape \(3,\), not \(2,\)"),
    ],
)
def test_what_cannot_be_compared_is_refused(values: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        assert_parity(values, "certified", DESIGN)


def test_an_answer_that_is_none_fails_on_either_side() -> None:
    nothing = Fit.failed("candidate", "it raised")
    with pytest.raises(ConformanceError, match="gave no answer: it raised"):
        assert_parity(nothing, "certified", DESIGN)
    with pytest.raises(InputError, match="reference recorded:bookworm/nlme has no answer"):
        assert_parity(
            {"sigma": 1.0}, "recorded:bookworm/nlme", design(clusters(1, [3, 4, 5]), GOOD)
        )


def test_nan_fails() -> None:
    with pytest.raises(ConformanceError, match="sigma"):
        assert_parity({"sigma": np.nan}, "certified", DESIGN)
