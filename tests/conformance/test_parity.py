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
        ({"betas": [1.0]}, "no quantity 'betas'; there are: beta"),
        (
            {"beta": {"(Intercept)": 1.0, "x": 2.0}},
            "'x' is no fixed effect .*: 'Intercept', 'predictor",
        ),
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


ROUNDED = {"beta": {"(Intercept)": "0.9616", "predictorintervention": "2.347"}, "sigma": "0.9156"}


def test_rounded_numbers_are_read_as_rounded() -> None:
    assert_parity(ROUNDED, "certified", DESIGN)
    assert_parity({"sigma": 0.9156, "REMLcrit": "197.6"}, "certified", DESIGN, digits=4)
    assert_parity(
        {"predictor[T.intervention]": "2.347", "cluster Var": "9.447"}, "certified", DESIGN
    )
    with pytest.raises(ConformanceError, match=r"sigma: 0.9166") as error:
        assert_parity({**ROUNDED, "sigma": "0.9166"}, "certified", DESIGN)
    assert "half a unit of the last place of 0.9166" in str(error.value)


def test_no_cause_is_concluded_from_what_rounding_explains() -> None:
    numbers = {"beta": [0.9616, 2.347], "sigma": 0.9156, "random_cov[cluster]": [[9.447]]}
    with pytest.raises(ConformanceError, match="right to the digits that it shows") as error:
        assert_parity(numbers, "certified", DESIGN)
    assert "post-processing" not in str(error.value)
    assert "optimiser" not in str(error.value)


def test_the_registry_is_asked_of_an_engine_by_its_name() -> None:
    fit = make_engine("statsmodels").fit(DESIGN)
    assert_parity(fit, "certified", DESIGN)  # its standard errors are another definition, and known
