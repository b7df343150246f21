"""Formulas as people write them make the matrices that R and lme4 make of them."""

import json
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pp_compare.errors import PPCompareError
from pp_compare.model import Dataset
from pp_compare.model.design import build_design
from pp_compare.model.formula import parse_formula
from tests.model.formulas_in_r import HERE, differences, in_r, lines

LISTS = ("lmer_formulas", "model_matrices")


def recorded(name: str) -> dict[str, dict[str, Any]]:
    answers: dict[str, dict[str, Any]] = json.loads((HERE / f"{name}.json").read_text("utf-8"))
    assert list(answers) == lines(f"{name}.txt"), "python -m tests.model.formulas_in_r"
    return answers


def test_of_400_public_formulas_392_make_the_matrices_of_lme4():
    """The other eight are refused: two intercepts of one group, and no fixed effect at all."""
    answers, refused, wrong = recorded("lmer_formulas"), {}, {}
    assert len(answers) == 400
    for formula, answer in answers.items():
        assert "error" not in answer  # lme4 itself accepts every one of them
        try:
            found = differences(formula, answer)
        except PPCompareError as error:
            refused[formula] = str(error)
        else:
            wrong |= {formula: found} if found else {}
    assert wrong == {}
    assert len(refused) <= 8
    assert all("stands twice" in why or "no fixed effect" in why for why in refused.values())


def test_every_word_makes_the_matrix_of_r():
    answers = recorded("model_matrices")
    assert len(answers) >= 150
    assert {f: d for f, a in answers.items() if (d := differences(f, a))} == {}


def test_the_comparison_can_fail():
    answers = recorded("model_matrices")
    assert differences("y ~ C(f_a, contr.sum)", answers["y ~ C(f_a, contr.helmert)"])
    assert differences("y ~ f_a:f_b", answers["y ~ 0 + f_a:f_b"])
    public = recorded("lmer_formulas")
    two = [f for f in public if f.startswith("Reaction ~ Days + ") and "Days | Subject" in f]
    assert differences("Reaction ~ Days + (1 | Subject)", public[two[0]])


@pytest.mark.needs_r
@pytest.mark.parametrize("name", LISTS)
def test_what_is_recorded_is_what_r_says(name: str):
    """Some of them, for R takes its time; `record` asks all."""
    answers = recorded(name)
    some = list(answers)[::20]
    for formula, live in zip(some, in_r(some), strict=True):
        assert live.keys() == answers[formula].keys(), formula
        assert live["names"] == answers[formula]["names"], formula
        assert np.allclose(live["X"], answers[formula]["X"], rtol=1e-9, atol=1e-9), formula


PATSY = [
    "x",
    "np.log(x) + np.sqrt(z)",
    "np.log(x + 1)",
    "np.power(x, 2)",
    "np.exp(x) + np.log10(z) + np.abs(x - 1)",
    "C(f)",
    "C(f, Treatment)",
    "C(f, Treatment('b'))",
    "C(f, Treatment(reference='c'))",
    "C(f, Treatment(1))",
    "C(f, Treatment('b')) * x",
    "C(f, Sum)",
    "C(f, Sum) * x",
    "C(f, Helmert)",
    "C(f, Poly)",
    "C(f, levels=['c', 'a', 'b'])",
    "C(k)",
    "C(k, Sum)",
    "f * x",
    "f + f:x",
    "center(x)",
    "standardize(x)",
    "standardize(x, ddof=1)",
    "bs(x, df=5)",
    "bs(x, df=5, degree=2)",
    "bs(x, df=6, include_intercept=True) - 1",
    "bs(x, knots=[1.0, 2.0])",
    'Q("my col")',
    'np.log(Q("my col")) + f',
    "I(x * z) + I(x ** 2)",
    "x ** 1 + (x + z) ** 2",
    "0 + f",
    "I(x > 1)",
]


@pytest.mark.parametrize("right", PATSY)
def test_words_of_statsmodels_mean_what_patsy_makes_of_them(right: str):
    patsy = pytest.importorskip("patsy")
    rng = np.random.default_rng(4)
    frame = pd.DataFrame(rng.uniform(0.5, 3, (60, 4)), columns=["y", "x", "z", "my col"])
    frame["f"], frame["k"] = rng.choice(list("abc"), 60), rng.integers(1, 4, 60)
    frame["g"] = rng.choice(list("uvw"), 60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of patsy's own age
        theirs = np.asarray(patsy.dmatrix(right, frame))
    made = build_design(Dataset("d", frame), parse_formula(f"y ~ (1|g) + {right}"))
    assert made.X.shape == theirs.shape
    order = [np.abs(theirs - column[:, None]).max(axis=0).argmin() for column in made.X.T]
    assert sorted(order) == list(range(theirs.shape[1]))
    np.testing.assert_allclose(made.X, theirs[:, order], rtol=1e-12, atol=1e-12)
