"""Packages as engines of generalised models: their numbers under their labels, and judged."""

from __future__ import annotations

import re
from importlib import import_module
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest

from pp_compare.adapters import answer
from pp_compare.adapters.glmm.engine import GlmmPackage, one_intercept
from pp_compare.adapters.glmm.table import effect_names, level_names, table_of
from pp_compare.certified.glmm.model import GlmmModel
from pp_compare.data.glmm_corpus import glmm_case
from pp_compare.errors import InputError, UnavailableError
from pp_compare.identities.glmm import check_modes
from pp_compare.identities.glmm_errors import other_standard_errors
from pp_compare.model import Fit
from pp_compare.model.glmm import GlmmDesign
from pp_compare.verdict.glmm import judge_glmm
from tests.glmm_models import design_of, simulated

MODULES = ("glmm", "gpboost", "interlace", "lme", "mixedlm")


def make(name: str, setting: str = "") -> GlmmPackage:
    return import_module(f"pp_compare.adapters.glmm.{name}_package").make(setting)


def or_skip(name: str, setting: str = "") -> GlmmPackage:
    try:
        return make(name, setting)
    except UnavailableError as why:
        pytest.skip(f"make adapters runs this: {why}")


def slopes() -> GlmmDesign:
    """Correlated slopes of a factor and a number: 12 groups of 8 rows of trials."""
    draw = np.random.default_rng(4)
    g = np.repeat(np.arange(12), 8)
    x = np.round(draw.normal(size=len(g)), 1)
    effects = draw.normal(size=(12, 2)) @ np.array([[1.0, 0.3], [0, 0.7]])
    eta = 0.2 - 0.5 * x + effects[g, 0] + effects[g, 1] * x
    n = draw.integers(3, 9, len(g))
    y = draw.binomial(n, 1 / (1 + np.exp(-eta)))
    f = np.array(["u", "v", "w"])[draw.integers(0, 3, len(g))]
    names = [f"group {9 - k}" for k in g]
    return design_of("binomial", "cbind(y, no) ~ x * f + (x|g)", y=y, no=n - y, x=x, f=f, g=names)


# ---- without a package --------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODULES)
def test_a_package_that_is_not_there_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(distribution: str) -> str:
        raise PackageNotFoundError(distribution)

    monkeypatch.setattr(answer, "version", gone)
    with pytest.raises(UnavailableError, match=re.escape("which is not installed")):
        make(name)


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("setting", ["nonsense", "agq:1", "agq:x", "agq:10000"])
def test_a_setting_that_there_is_not_is_bad_input(name: str, setting: str) -> None:
    with pytest.raises(InputError, match="has no setting"):
        make(name, setting)


def test_the_table_holds_the_columns_of_x_and_z() -> None:
    design = slopes()
    table = table_of(design)
    assert table.fixed == "1 + x1 + x2 + x3 + x4 + x5"
    assert table.bars == ("(1 + x1 | g0)",)
    assert (table.frame[["x1", "x5"]].to_numpy() == design.design.X[:, [1, 5]]).all()
    block = design.design.blocks[0]
    assert effect_names(design, 0) == ["", "x1"]
    rows = table.frame["g0"].map({name: k for k, name in enumerate(level_names(block))})
    assert (rows == block.codes).all()
    assert np.abs(table.frame.pp_y * table.frame.pp_trials - design.y).max() < 1e-12
    columns = {"y": [1, 2, 3, 1], "x": [1, 2, 4, 0], "z": [2, 1, 0, 1], "g": list("abab")}
    without = design_of("poisson", "y ~ 0 + x + (0 + z|g)", **columns)
    assert (table_of(without).fixed, table_of(without).bars) == ("0 + x0", ("(0 + z0_0 | g0)",))


def test_several_nodes_are_of_one_random_effect() -> None:
    assert one_intercept(simulated(1), 10) is None
    assert one_intercept(slopes(), 1) is None
    assert "single random effect" in str(one_intercept(slopes(), 10))


# ---- with it ------------------------------------------------------------------------------------

CASES = {
    "cbpp": lambda: glmm_case("cbpp").design(),
    "counts": lambda: glmm_case("glmm_exposure").design(),
    "slopes": slopes,
}
SOUND = [
    ("glmm", ""),
    ("glmm", "agq:9"),
    ("mixedlm", ""),
    ("mixedlm", "agq:9"),
    ("interlace", ""),
    ("gpboost", "tight"),
]
"""Engines that evaluate the criterion that they name: their numbers can be held against it."""


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("name", "setting"), SOUND)
def test_numbers_are_where_their_labels_say(name: str, setting: str, case: str) -> None:
    engine, design = or_skip(name, setting), CASES[case]()
    reason = engine.unsupported(design)
    if reason is not None:
        assert case == "slopes"
        return
    fit = engine.fit(design)
    assert fit.status == "ok", fit.messages
    model = GlmmModel(design)
    value = model.value(engine.definition, fit["beta"], fit.covariances).middle
    assert float(fit["loglik"]) == pytest.approx(value, abs=1e-6)
    modes = check_modes(design, fit)
    assert modes is not None
    assert modes.verdict == "pass"
    near = model.near(engine.definition, fit["beta"], fit.covariances)
    own = np.abs(fit["beta_se"] / near.beta_se - 1).max() < 1e-4
    assert own or other_standard_errors(design, fit, near.known_se) is not None
    assert fit.versions


def judged(name: str, setting: str, case: str) -> tuple[Fit, object]:
    design = glmm_case(case).design()
    fit = or_skip(name, setting).fit(design)
    return fit, judge_glmm(GlmmModel(design), fit)[0]


@pytest.mark.parametrize(
    ("name", "setting", "standing", "cause", "words"),
    [
        ("glmm", "", "right", None, "right by Laplace's approximation"),
        ("glmm", "agq:25", "right", None, "right by 25-node quadrature"),
        ("mixedlm", "", "right, other definition", "definition", "penalised least squares"),
        ("interlace", "", "right, other definition", "definition", "penalised least squares"),
        ("gpboost", "tight", "right, other definition", "definition", "second derivatives in the"),
        ("lme", "", "wrong", "optimiser", "maximise the penalised likelihood together with the"),
        ("lme", "agq:25", "wrong", "objective", "reports a log-likelihood of -156.26"),
        ("interlace", "agq:9", "wrong", "optimiser", "maximise the penalised likelihood"),
    ],
)
def test_what_each_is_worth_on_the_respiratory_trial(
    name: str, setting: str, standing: str, cause: str | None, words: str
) -> None:
    _, judgement = judged(name, setting, "respiratory")
    assert (judgement.standing, judgement.cause) == (standing, cause), judgement.sentence
    assert words in judgement.sentence
