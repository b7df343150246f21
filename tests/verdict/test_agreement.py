from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from pp_compare.audits.judging import relative_factors
from pp_compare.certified.general.estimates import deviance_at
from pp_compare.certified.models import GeneralModel, certified_model
from pp_compare.engines import make_engine
from pp_compare.model import Fit, Quantity
from pp_compare.verdict.agreement import compare, compare_criterion
from pp_compare.verdict.definitions import residual_df_cov
from pp_compare.verdict.tolerance import NEGLIGIBLE, Tolerance, Tolerances, derive_tolerances
from tests.broken_engines import altered
from tests.examples import clusters, corpus_design, design


@pytest.fixture(scope="module")
def seed():
    data = corpus_design("seed_case1")
    model = certified_model(data)
    return data, model, derive_tolerances(data, model), make_engine("certified").fit(data)


def test_the_truth_agrees_with_itself_to_15_digits(seed) -> None:
    _, _, tolerances, fit = seed
    lines = compare(fit, fit, tolerances)
    assert {line.verdict for line in lines} == {"pass"}
    assert min(line.digits for line in lines) == 15.0
    assert sum(line.count for line in lines) > 80


def test_every_single_number_fails_when_it_is_past_its_tolerance(seed) -> None:
    _, _, tolerances, fit = seed
    for name, quantity in fit.quantities.items():
        step = 1.5 * tolerances.quantities[name].values
        up = altered(fit, name, lambda values, step=step: values + step)
        assert {x.verdict for x in compare(up, fit, tolerances) if x.quantity == name} == {"fail"}
        down = altered(fit, name, lambda values, step=step: values - step / 3)
        assert {x.verdict for x in compare(down, fit, tolerances)} == {"pass"}, quantity.name


def test_nan_and_a_missing_quantity_fail(seed) -> None:
    _, _, tolerances, fit = seed
    lines = compare(altered(fit, "sigma", lambda _: math.nan), fit, tolerances)
    assert [x.verdict for x in lines if x.quantity == "sigma"] == ["fail"]
    fewer = altered(fit, "sigma", lambda x: x)
    del fewer.quantities["blup[cluster]"]  # type: ignore[attr-defined]  # a dict here
    (line,) = [x for x in compare(fewer, fit, tolerances) if x.quantity == "blup[cluster]"]
    assert (line.verdict, line.cause, line.count) == ("fail", "failure", 8)


def _quantity(values, name="fitted") -> Quantity:
    return Quantity(name, np.array(values), tuple(map(str, range(len(values)))))


@pytest.mark.parametrize("at", [0, 7, 29])
@pytest.mark.parametrize("wrong", [100.0, math.nan, math.inf])
def test_a_long_quantity_is_told_by_its_worst_number(at: int, wrong: float) -> None:
    """Its label, values and verdict are those of the number that is furthest off, of 30."""
    truth, limits = np.arange(1.0, 31.0), np.full(30, 1e-3)
    values = truth + 1e-4
    values[at] = truth[at] + wrong
    values[3], limits[3] = truth[3], 0.0  # 0 of a tolerance of 0 is sound
    tolerances = Tolerances(1e-6, {"fitted": Tolerance(limits, "a reason")})
    fits = [Fit(e, "ok", {"fitted": _quantity(v)}) for e, v in (("a", values), ("b", truth))]
    (line,) = compare(*fits, tolerances)
    assert (line.label, line.count, line.verdict) == (str(at), 30, "fail")
    assert line.reference_value == truth[at]
    assert line.digits == 0.0
    assert line.reason == "both sides: a reason"
    values[at] = truth[at]
    fits[0] = Fit("a", "ok", {"fitted": _quantity(values)})
    (line,) = compare(*fits, tolerances)
    assert line.verdict == "pass"


def test_numbers_are_found_by_their_labels() -> None:
    """Another order of the rows, and a row that the candidate lacks."""
    truth = _quantity(np.arange(30.0))
    order = np.random.default_rng(0).permutation(30)
    mixed = Quantity("fitted", truth.values[order], tuple(truth.rows[k] for k in order))
    less = Quantity("fitted", truth.values[:-1], truth.rows[:-1])
    assert (mixed.numbers_as(truth) == truth.values).all()
    assert np.isnan(less.numbers_as(truth)[-1])
    for quantity in (truth, Quantity("c", np.arange(9.0).reshape(3, 3), (*"abc",), (*"abc",))):
        assert quantity.numbers.tolist() == [value for _, value in quantity.entries()]
        labels = [label for label, _ in quantity.entries()]
        assert [quantity.label(k) for k in range(len(labels))] == labels


def test_the_criterion_may_be_neither_above_nor_below(seed) -> None:
    _, model, tolerances, _ = seed
    best = model.optimum.deviance
    assert compare_criterion("x", best + 1e-6, best, tolerances).verdict == "pass"
    assert compare_criterion("x", best + 3e-6, best, tolerances).verdict == "fail"
    # An engine that is better than the certified optimum has found an error of ours.
    assert compare_criterion("x", best - 3e-6, best, tolerances).verdict == "fail"
    assert compare_criterion("x", math.nan, best, tolerances).verdict == "fail"


@pytest.mark.parametrize(
    ("formula", "method"),
    [("y ~ x + w + (1|g)", "REML"), ("y ~ x + w + (1|g)", "ML"), ("y ~ x + (x|g)", "REML")],
)
def test_tolerances_are_what_moves_while_the_deviance_rises(formula: str, method) -> None:
    """Random points on the level set stay within the tolerances, and some come close to them."""
    data = design(clusters(5, [6] * 12, slope=0.7), formula, method)
    model = certified_model(data)
    tolerances = derive_tolerances(data, model)
    # The general core takes every model, also the one whose tolerances come from the other core.
    general = GeneralModel(data)
    best = model.optimum.quantities
    theta = relative_factors(best["random_cov[g]"].values, float(best["sigma"].values))
    rng = np.random.default_rng(0)
    reach = 0.0
    # With one parameter there are two directions, and each has one point.
    both_ways = [np.array([1.0]), np.array([-1.0])]
    directions = both_ways if len(theta) == 1 else rng.normal(size=(40, len(theta)))
    for direction in directions:
        near = _on_the_level_set(general, theta, direction, tolerances.criterion)
        for name in ("beta", "random_cov[g]", "blup[g]"):
            ratio = np.abs(near[name].values - best[name].values)
            ratio = ratio / tolerances.quantities[name].values
            # The level set is an ellipsoid only to second order: 1 % at a rise of 2e-6.
            assert ratio.max() <= 1.01
            reach = max(reach, float(ratio.max()))
    assert reach > 0.5


def _on_the_level_set(general: GeneralModel, theta, direction, level: float):
    target = general.optimum.deviance + level
    arrays = (general.design.y, general.design.X, general.blocks)

    def above(t: float) -> bool:
        return float(deviance_at(*arrays, theta + t * direction, reml=general.reml)) > target

    low, high = 0.0, 1e-6
    while not above(high):
        low, high = high, 2 * high
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (low, middle) if above(middle) else (middle, high)
    return general.at(theta + low * direction)


def test_where_rounding_swamps_the_criterion_nothing_is_judged() -> None:
    data = corpus_design("nist_SmLs07")
    model = certified_model(data)
    tolerances = derive_tolerances(data, model)
    fit = make_engine("certified").fit(data)
    lines = compare(fit, fit, tolerances)
    assert {line.verdict for line in lines} == {"skip"}
    assert "double precision cannot tell" in lines[0].reason
    assert derive_tolerances(*_seed_pair()).criterion < 2 * NEGLIGIBLE


def _seed_pair():
    data = corpus_design("seed_case1")
    return data, certified_model(data)


def test_the_other_definition_under_ml_is_a_factor(seed) -> None:
    data, _, _, fit = seed
    cov = fit["beta_cov"]
    assert (residual_df_cov(data, fit, cov) == cov).all()  # REML
    under_ml = corpus_design("seed_case1", "ML")
    assert residual_df_cov(under_ml, fit, cov) == pytest.approx(cov * 64 / 62)


def test_quantities_that_are_not_identified_are_not_judged() -> None:
    frame = pd.DataFrame(
        {
            "y": [4.1, 6.3, 5.2, 5.9, 6.4, 8.8, 3.3, 6.1, 5.0, 5.6, 7.1, 8.2],
            "t": ["p", "q"] * 6,
            "g": np.repeat(list("abcdef"), 2),
        }
    )
    data = design(frame, "y ~ t + (0 + t | g)")
    model = certified_model(data)
    tolerances = derive_tolerances(data, model)
    everything = model.optimum.representative
    # one row a cell: what sigma2 gives up, Sigma may take on
    sigma = Quantity("sigma", everything["sigma"].values / 2)
    other = Fit("other", "ok", {**everything, "sigma": sigma})
    lines = compare(other, Fit("lme4", "ok", everything), tolerances)
    verdicts = {line.quantity: line.verdict for line in lines}
    assert verdicts["sigma"] == verdicts["fitted"] == verdicts["random_cov[g]"] == "skip"
    assert verdicts["beta_se"] == verdicts["loglik"] == "pass"
    assert {line.reason for line in lines if line.quantity == "sigma"} == {model.existence.sentence}
    moved = Quantity("beta", everything["beta"].values + 0.01, data.labels)
    off = Fit("off", "ok", {**everything, "beta": moved})
    lines = compare(off, Fit("certified", "ok", model.optimum.quantities), tolerances)
    assert {line.verdict for line in lines if line.quantity == "beta"} == {"fail"}
