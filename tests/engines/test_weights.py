"""Prior weights and offsets: lme4, nlme and certified agree on them, the others have none."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pp_compare.certified.components.blocks import RandomBlock
from pp_compare.certified.general.optimum import general_optimum
from pp_compare.certified.models import certified_model
from pp_compare.engines import make_engine, not_asked
from pp_compare.engines.worker import _fit
from pp_compare.errors import DataError, InputError
from pp_compare.identities import check_identities
from pp_compare.inferences.explain import explain
from pp_compare.model import Dataset, Fit
from pp_compare.model.design import Design, build_design
from pp_compare.model.formula import parse_formula

FORMULAS = [
    "y ~ z + (1|g)",
    "y ~ x + (1 + x|g)",
    "y ~ x + offset(o) + (1|g) + (1|h)",
    "y ~ f + offset(log(w) + 2 * o) + (1|g/k)",
    "y ~ poly(x, 2) + C(f, Sum) + (1|g)",
]


def data(scale: float = 1.0) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    g, h = np.repeat(np.arange(12), 8), np.tile(np.arange(8), 12)
    n = len(g)
    w = rng.uniform(0.2, 5, n) * scale
    x, o = rng.normal(size=n), rng.normal(size=n)
    effects = rng.normal(size=12)[g] * 2 + rng.normal(size=12)[g] * x + rng.normal(size=8)[h]
    y = 1 + x + 3 * o + effects + rng.normal(size=n) / np.sqrt(w)
    f, k = rng.choice(list("abc"), n), h // 4
    z = rng.normal(size=12)[g]
    return pd.DataFrame({"y": y, "x": x, "z": z, "o": o, "f": f, "g": g, "h": h, "k": k, "w": w})


def design(formula: str, method: Any = "REML", scale: float = 1.0, weights: Any = "w") -> Design:
    return build_design(Dataset("weighted", data(scale)), parse_formula(formula, method, weights))


@pytest.mark.needs_r
@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("formula", FORMULAS)
def test_the_three_mean_the_same_by_weights_and_offsets(formula: str, method: str):
    """Wherever an optimiser stops: its numbers there are those that certified has there."""
    model = design(formula, method)
    certified = certified_model(model)
    for name in ("lme4", "nlme"):
        fit = make_engine(name).fit(model)
        assert (fit.status, fit.design_error) == ("ok", 0)
        at = float(fit["sigma"]), fit.covariances
        assert float(fit["loglik"]) == pytest.approx(-certified.deviance(*at) / 2, rel=1e-13)
        implied = certified.implied(*at)
        for quantity in ("beta", "beta_cov", "fitted", "cluster_mean[g]", "blup[g]"):
            wanted = implied[quantity].values
            assert fit[quantity] == pytest.approx(wanted, rel=1e-9, abs=1e-9), (name, quantity)


@pytest.mark.needs_r
def test_lme4_arrives_at_the_certified_optimum():
    model = design("y ~ x + (1 + x|g)")
    truth, fit = certified_model(model).optimum, make_engine("lme4:tight").fit(model)
    assert truth.claim == "local"
    assert float(fit["loglik"]) == pytest.approx(-truth.deviance / 2, rel=1e-14)
    for quantity in ("beta", "beta_cov", "sigma", "fitted", "random_cov[g]", "blup[g]"):
        wanted = truth.quantities[quantity].values
        assert fit[quantity] == pytest.approx(wanted, rel=1e-6, abs=1e-6), quantity


@pytest.mark.needs_r
@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize("formula", FORMULAS[:3])
def test_every_identity_holds_with_weights_or_says_why_it_is_not_claimed(
    formula: str, scale: float
):
    model = design(formula, scale=scale)
    fit = make_engine("lme4").fit(model)
    checks = check_identities(model, fit)
    assert {c.identity for c in checks if c.verdict == "fail"} == set()
    skipped = {c.identity: c.reason for c in checks if c.verdict == "skip"}
    assert set(skipped) <= {"pooling-weight", "between-mean-and-line"}
    assert all("weighted means" in reason for reason in skipped.values())


@pytest.mark.needs_r
def test_an_engine_that_leaves_the_weights_out_is_found():
    model = design("y ~ x + (1|g)")
    without = make_engine("lme4").fit(design("y ~ x + (1|g)", weights=None))
    failed = {c.identity for c in check_identities(model, without) if c.verdict == "fail"}
    assert {"gls-fixed-effects", "henderson-random-row", "own-loglik"} <= failed


@pytest.mark.needs_r
@pytest.mark.parametrize("name", ["lme4", "nlme"])
def test_an_offset_is_a_change_of_the_response(name: str):
    """Also to nlme, whose lme() leaves an offset of its formula out without a word."""
    frame = data()
    moved = frame.assign(y=frame["y"] - frame["o"])
    left = build_design(
        Dataset("offset", frame), parse_formula("y ~ x + offset(o) + (1|g)", "REML")
    )
    right = build_design(Dataset("moved", moved), parse_formula("y ~ x + (1|g)", "REML"))
    assert np.array_equal(left.y, right.y)
    engine = make_engine(name)
    one, other = engine.fit(left), engine.fit(right)
    for quantity in other.quantities:
        assert one[quantity] == pytest.approx(other[quantity], rel=1e-7, abs=1e-7), quantity


@pytest.mark.parametrize("reml", [True, False])
def test_weights_scale_the_rows_exactly(reml: bool):
    """Powers of 4 have exact roots: the weighted optimum is that of the scaled rows.

    Their likelihood lacks the Jacobian, half the sum of the logarithms of the weights.
    """
    model = design("y ~ x + (1 + x|g)")
    roots = 2.0 ** np.random.default_rng(1).integers(-3, 4, model.n_obs)
    block, tall = model.blocks[0], roots[:, None]
    weighted = general_optimum(
        model.y, model.X, [RandomBlock(block.codes, block.Z)], reml=reml, weights=roots**2
    )
    scaled = general_optimum(
        model.y * roots, model.X * tall, [RandomBlock(block.codes, block.Z * tall)], reml=reml
    )
    jacobian = 2 * np.log(roots).sum()
    assert float(weighted.deviance) == pytest.approx(float(scaled.deviance) - jacobian, rel=1e-14)
    assert float(weighted.estimates.sigma) == float(scaled.estimates.sigma)
    ours = [float(x) for x in weighted.estimates.beta.entries()]
    assert ours == [float(x) for x in scaled.estimates.beta.entries()]


def test_equal_weights_only_change_sigma():
    frame = data().assign(w=4.0)
    spec = parse_formula("y ~ x + (x|g)", "ML", "w")
    heavy = certified_model(build_design(Dataset("heavy", frame), spec)).optimum
    plain = certified_model(build_design(Dataset("plain", frame), replace(spec, weights=None)))
    assert heavy.deviance == pytest.approx(plain.optimum.deviance, rel=1e-14)
    for name, factor in {"sigma": 2.0, "beta": 1.0, "beta_cov": 1.0, "random_cov[g]": 1.0}.items():
        wanted = factor * plain.optimum.quantities[name].values
        assert heavy.quantities[name].values == pytest.approx(wanted, rel=1e-13), name


@pytest.mark.parametrize(
    ("formula", "weights", "said"),
    [
        ("y ~ x + (1|g)", "w", "MixedLM has no prior weights"),
        ("y ~ x + offset(o) + (1|g)", None, "MixedLM has no offset; take it from the response"),
    ],
)
def test_statsmodels_says_that_it_has_none(formula: str, weights: str | None, said: str):
    model = design(formula, weights=weights)
    fit = make_engine("statsmodels").fit(model)
    assert (fit.status, fit.messages[0][: len(said)]) == ("unsupported", said)
    assert make_engine("statsmodels").unsupported(model) == fit.messages[0]


class Careless:
    """An engine that looks at the frame and knows nothing of weights."""

    name = "careless"

    def unsupported(self, design: Design) -> str | None:
        return None

    def fit(self, design: Design) -> Fit:
        raise AssertionError("it was asked")


def test_an_engine_that_does_not_say_so_is_not_handed_weights(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pp_compare.engines.worker._engines", {"careless": Careless()})
    for formula, weights, what in [
        ("y ~ x + (1|g)", "w", "prior weights"),
        ("y ~ x + offset(o) + (1|g)", None, "an offset"),
    ]:
        fit = _fit("careless", design(formula, weights=weights))
        assert fit.messages == (f"careless does not say that it takes {what}",)
    assert not_asked(Careless(), design("y ~ x + (1|g)", weights=None)) is None


def test_what_knows_nothing_of_weights_refuses_them():
    with pytest.raises(InputError, match="is fitted with prior weights; partial pooling, tests"):
        explain(design("y ~ z + (1|g)"))
    with pytest.raises(InputError, match="is fitted with an offset"):
        explain(design("y ~ z + offset(o) + (1|g)", weights=None))


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ("none", "no column 'none' in weighted"),
        ("f", "the weights 'f' are not numeric"),
        ("zero", r"the weight in row 3 is 0; weights are positive: leave the row out"),
        ("gap", r"1 of 96 rows have a missing or infinite value \('gap': 1; first in row 5\)"),
    ],
)
def test_weights_that_are_none(weights: str, said: str):
    frame = data()
    frame["zero"] = np.where(np.arange(len(frame)) == 2, 0.0, 1.0)
    frame["gap"] = np.where(np.arange(len(frame)) == 4, np.nan, 1.0)
    with pytest.raises(DataError, match=said):
        build_design(Dataset("weighted", frame), parse_formula("y ~ x + (1|g)", "REML", weights))
