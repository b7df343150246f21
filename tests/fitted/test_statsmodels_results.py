"""A result of MixedLM is judged as that fit, whichever way its model was made."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from statsmodels.regression.mixed_linear_model import MixedLMParams

import pp_compare
from pp_compare.errors import InputError
from pp_compare.fitted.record import FittedModel
from pp_compare.fitted.statsmodels_results import read_results

rng = np.random.default_rng(20240)
SCHOOLS, CLASSES, PUPILS = 12, 3, 4


def table() -> pd.DataFrame:
    """Pupils in classes in schools; class labels are used again in each school."""
    school = np.repeat(np.arange(SCHOOLS), CLASSES * PUPILS)
    room = np.tile(np.repeat(np.arange(CLASSES), PUPILS), SCHOOLS)
    x = rng.normal(size=len(school))
    arm = np.where(rng.random(len(school)) < 0.5, "a", "b")
    u, v = rng.normal(size=(2, SCHOOLS))
    c = rng.normal(size=(SCHOOLS, CLASSES))
    y = 2 + x + (arm == "b") + u[school] + v[school] * x + c[school, room]
    y = y + rng.normal(size=len(school))
    names = {"school": [f"s{k:02d}" for k in school], "room": [f"r{k}" for k in room]}
    return pd.DataFrame({"y": y, "x": x, "arm": arm, **names, "all": 1})


T = table()
HOLES = T.assign(x=T["x"].where(np.arange(len(T)) % 17 != 3))
X = sm.add_constant(T[["x"]].to_numpy())
Y, G = T["y"].to_numpy(), T["school"].to_numpy()
VC = {"room": "0 + C(room)"}


def formula(text: str = "y ~ x + arm", data: pd.DataFrame = T, **model: Any) -> Any:
    return smf.mixedlm(text, data, **{"groups": "school", **model})


WAYS: dict[str, tuple[Callable[[], Any], dict[str, Any], str]] = {
    "formula": (formula, {}, "y ~ x + arm + (1 | school)"),
    "interaction, groups as an array": (
        lambda: formula("y ~ x * arm", groups=T["school"]), {}, "y ~ x * arm + (1 | school)"
    ),
    "re_formula": (lambda: formula(re_formula="~x"), {}, "y ~ x + arm + (1 + x | school)"),
    "re_formula without intercept": (
        lambda: formula(re_formula="0 + x"), {}, "y ~ x + arm + (0 + x | school)"
    ),
    "vc_formula, nested": (
        lambda: formula(re_formula="1", vc_formula=VC), {},
        "y ~ x + arm + (1 | school) + (1 | school:room)",
    ),
    "vc_formula, slope": (
        lambda: formula(re_formula="1", vc_formula={"x": "0 + x"}), {},
        "y ~ x + arm + (1 | school) + (0 + x | school)",
    ),
    "vc_formula, crossed": (
        lambda: formula(groups="all", vc_formula={"s": "0 + school", **VC}), {},
        "y ~ x + arm + (1 | room) + (1 | school)",
    ),
    "function of patsy": (
        lambda: formula("np.exp(y / 9) ~ np.tanh(x) + bs(x, 4)"), {},
        "`np.exp(y / 9)` ~ 1 + `np.tanh(x)` + `bs(x, 4)[0]` + `bs(x, 4)[1]` + `bs(x, 4)[2]` + "
        "`bs(x, 4)[3]` + (1 | school)",
    ),
    "contrasts": (
        lambda: formula("y ~ x + C(arm, Sum)"), {},
        "y ~ x + C(arm, Sum) + (1 | school)",
    ),
    "missing rows dropped": (
        lambda: formula(data=HOLES, missing="drop"), {}, "y ~ x + arm + (1 | school)"
    ),
    "arrays": (lambda: sm.MixedLM(Y, X, groups=G), {}, "y ~ 1 + x1 + (1 | group)"),
    "arrays with exog_re": (
        lambda: sm.MixedLM(Y, X, groups=G, exog_re=X), {}, "y ~ 1 + x1 + (1 + x1 | group)"
    ),
    "tables with exog_re": (
        lambda: sm.MixedLM(T["y"], sm.add_constant(T[["x"]]), groups=T["school"],
                           exog_re=T[["x"]]),
        {}, "y ~ 1 + x + (0 + x | group)",
    ),
    "powell": (formula, {"method": "powell"}, "y ~ x + arm + (1 | school)"),
    "maximum likelihood": (formula, {"reml": False}, "y ~ x + arm + (1 | school)"),
    "a start value": (formula, {"start_params": [0.8]}, "y ~ x + arm + (1 | school)"),
}  # fmt: skip


def fitted(way: str) -> Any:
    make, arguments, _ = WAYS[way]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make().fit(**arguments)


def numbers_are_its_own(found: FittedModel, result: Any) -> None:
    """The Fit holds the result's numbers to the last bit, and the design its matrices."""
    fit, design = found.fit, found.design
    assert fit.status == "ok"
    assert fit.design_error == 0.0
    assert sorted(fit["beta"]) == sorted(np.asarray(result.fe_params))
    assert sorted(fit["beta_se"]) == sorted(np.asarray(result.bse_fe))
    assert float(fit["loglik"]) == result.llf
    assert float(fit["sigma"]) == np.sqrt(result.scale)
    own = [*np.asarray(result.cov_re).ravel(), *np.ravel(result.vcomp)]
    ours = [x for cov in design.by_block(fit.covariances) for x in cov.ravel()]
    assert sorted(ours) == sorted(own)
    np.testing.assert_array_equal(fit["fitted"], result.fittedvalues)
    assert fit.converged == result.converged
    assert design.spec.method == ("REML" if result.reml else "ML")


@pytest.mark.parametrize("way", WAYS)
def test_a_result_is_read_as_that_fit(way: str) -> None:
    result = fitted(way)
    found = read_results(result)
    numbers_are_its_own(found, result)
    assert found.design.spec.formula == WAYS[way][2]


JUDGED = ["re_formula", "arrays", "missing rows dropped"]


@pytest.mark.parametrize("way", JUDGED)
def test_a_converged_result_is_judged_by_its_own_numbers(way: str) -> None:
    report = pp_compare.check(fitted(way))
    assert report.judgements[0].standing in {"right", "right, other definition"}
    report.raise_for_status()


def test_a_result_stopped_after_two_iterations_is_wrong() -> None:
    with pytest.warns(UserWarning, match="optimization failed"):
        result = formula(re_formula="~x").fit(method="bfgs", maxiter=2)
    report = pp_compare.check(result)
    (judgement,) = report.judgements
    assert judgement.standing == "wrong"
    assert judgement.cause == "optimiser"
    with pytest.raises(pp_compare.VerdictError, match="statsmodels is wrong"):
        report.raise_for_status()
    refitted = pp_compare.check(fitted("re_formula"))
    assert not refitted.judgements[0].bad


def test_a_model_fitted_again_since_does_not_change_what_was_in_hand() -> None:
    model = formula()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first = model.fit(reml=True)
        model.fit(reml=False)
    found = read_results(first)
    assert found.design.spec.method == "REML"
    assert "fitted again by ML after this REML fit" in found.notes[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert float(found.fit["loglik"]) == formula().fit().llf


def held(model: Any) -> MixedLMParams:
    free = MixedLMParams.from_components(np.ones(3), np.eye(2))
    return model.fit(free=free)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: held(formula(re_formula="~x")), "free=, which holds parameters fixed"),
        (lambda: sm.MixedLM(Y, X, groups=G).fit_regularized(alpha=0.1), "penalised likelihood"),
        (formula, "not fitted yet"),
        (lambda: formula(vc_formula={"s": "bs(x, 4)"}).fit(), "rows with more than one effect"),
        (lambda: {"beta": [1.0]}, "a dict is no fit that can be read; there are: a MixedLMResults"),
    ],
)  # fmt: skip
def test_what_cannot_be_recovered_is_said(make: Callable[[], Any], words: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = make()
    with pytest.raises(InputError, match=words):
        pp_compare.check(value)


def test_data_and_formula_may_be_passed_and_are_held_against_the_matrices() -> None:
    result = fitted("arrays with exog_re")
    found = read_results(result, T, "y ~ x + (x | school)")
    assert found.design.labels == ("Intercept", "x")
    numbers_are_its_own(found, result)
    for wrong, words in [
        ("y ~ x + (1 | school)", "no term has its groups and its columns"),
        ("y ~ arm + (x | school)", "column 2 is none of the formula's"),
        ("y ~ x + (x | room)", "no term has its groups"),
        ("y ~ x + (x | school) + (1 | room)", "2 terms, not 1"),
    ]:
        with pytest.raises(InputError, match=words):
            read_results(result, T, wrong)
    with pytest.raises(InputError, match="belong together"):
        pp_compare.check(result, T)
