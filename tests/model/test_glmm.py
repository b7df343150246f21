"""How the response of a generalised model is written, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pp_compare.errors import DataError, FormulaError, InputError
from pp_compare.model import Dataset
from pp_compare.model.glmm import build_glmm_design, parse_family

FRAME = pd.DataFrame(
    {
        "s": [1, 2, 0, 3], "n": [4, 4, 2, 3], "f": [3, 2, 2, 0], "share": [0.25, 0.5, 0.0, 1.0],
        "yes": [0, 1, 1, 0], "word": ["bad", "good", "good", "bad"], "x": [0.1, 0.2, 0.3, 0.7],
        "years": [1.0, 2.0, 1.0, 4.0], "g": ["a", "a", "b", "b"],
    }
)  # fmt: skip


def built(formula: str, family: str = "binomial", weights: str | None = None, frame=FRAME, **rest):
    return build_glmm_design(Dataset("data", frame), formula, parse_family(family), weights, **rest)


@pytest.mark.parametrize(
    ("formula", "weights"),
    [("cbind(s, n - s) ~ x + (1|g)", None), ("cbind(s, f) ~ x + (1|g)", None),
     ("share ~ x + (1|g)", "n"), ("s/n ~ x + (1|g)", "n")],
)  # fmt: skip
def test_trials_are_written_in_each_of_r_s_ways(formula: str, weights: str | None) -> None:
    design = built(formula, weights=weights)
    assert design.y.tolist() == [1, 2, 0, 3]
    assert design.trials.tolist() == [4, 4, 2, 3]
    assert (design.binary, design.link) == (False, "logit")
    assert design.design.labels == ("Intercept", "x")


def test_two_values_are_0_and_1_or_a_factor_whose_first_level_is_the_failure() -> None:
    assert built("yes ~ x + (1|g)").y.tolist() == [0, 1, 1, 0]
    assert built("word ~ x + (1|g)").y.tolist() == [0, 1, 1, 0]
    assert built('I(word == "bad") ~ x + (1|g)').y.tolist() == [1, 0, 0, 1]
    assert built("yes ~ x + (1|g)").binary


def test_counts_have_an_exposure_as_an_offset() -> None:
    design = built("s ~ x + offset(log(years)) + (1|g)", "poisson")
    assert design.y.tolist() == [1, 2, 0, 3]
    assert design.offset == pytest.approx(np.log(FRAME.years))
    assert design.link == "log"


def test_a_dot_stands_for_what_is_no_part_of_the_response() -> None:
    frame = FRAME[["s", "n", "x", "g"]]
    assert built("cbind(s, n - s) ~ . - g + (1|g)", frame=frame).design.labels == ("Intercept", "x")


def test_a_level_for_every_row_is_a_random_effect_like_any_other() -> None:
    frame = FRAME.assign(row=["1", "2", "3", "4"])
    assert built("s ~ 1 + (1|row)", "poisson", frame=frame).dispersion_rows


def test_rows_that_miss_something_are_dropped_for_all() -> None:
    frame = FRAME.assign(s=[1, np.nan, 0, 3])
    with pytest.raises(DataError, match="missing"):
        built("cbind(s, n - s) ~ 1 + (1|g)", frame=frame)
    design = built("cbind(s, n - s) ~ 1 + (1|g)", frame=frame, na="drop")
    assert (design.y.tolist(), design.design.rows_dropped) == ([1, 0, 3], 1)


@pytest.mark.parametrize(
    ("formula", "family", "weights", "says"),
    [
        ("s ~ x + (1|g)", "binomial", None, "neither 0 nor 1"),
        ("share ~ x + (1|g)", "binomial", "x", "no whole number"),
        ("x ~ 1 + (1|g)", "binomial", "n", "no whole number of successes"),
        ("cbind(n, s - n) ~ x + (1|g)", "binomial", None, "no whole number of at least 0"),
        ("g ~ x + (1|g)", "poisson", None, "not numeric"),
        ("x ~ 1 + (1|g)", "poisson", None, "no whole number"),
        ("cbind(nothing, f) ~ x + (1|g)", "binomial", None, "no column 'nothing'"),
        ("s ~ x", "poisson", None, "no random term"),
    ],
)
def test_what_is_no_response_is_refused_with_the_reason(formula, family, weights, says) -> None:
    with pytest.raises((DataError, FormulaError), match=says):
        built(formula, family, weights)


def test_a_row_without_trials_and_words_of_three_kinds_are_refused() -> None:
    with pytest.raises(DataError, match="row 3 of data: there are no trials"):
        built("cbind(s, f) ~ 1 + (1|g)", frame=FRAME.assign(f=[3, 2, 0, 0]))
    with pytest.raises(DataError, match="3 levels"):
        built("word ~ 1 + (1|g)", frame=FRAME.assign(word=["a", "b", "c", "a"]))


@pytest.mark.parametrize("name", ["binomial", "binomial(logit)", 'binomial(link="logit")'])
def test_a_family_may_name_its_own_link(name: str) -> None:
    assert parse_family(name) == "binomial"


@pytest.mark.parametrize("name", ["gaussian", "binomial(probit)", "poisson(sqrt)", ""])
def test_another_family_or_link_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="--family is binomial or poisson"):
        parse_family(name)
