"""NIST's one-way sets: balanced, so the optimum is an exact rational and needs no optimiser."""

from __future__ import annotations

from fractions import Fraction

import pytest
from flint import arb, fmpq

from pp_compare.certified.intercept.precision import ball_precision
from pp_compare.certified.models import InterceptModel, certified_model, decimal_model
from pp_compare.data.corpus import all_cases
from pp_compare.data.nist import OneWay, Reading, nist_truth
from pp_compare.engines import make_engine
from pp_compare.verdict.digits import lre
from tests.examples import corpus_design

SETS = [case.name for case in all_cases() if case.name.startswith("nist_")]


def exact(value: Fraction) -> arb:
    return arb(fmpq(value.numerator, value.denominator))


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("of", ["doubles", "decimals"])
@pytest.mark.parametrize("name", SETS)
def test_the_enclosures_hold_the_exact_rationals(name: str, of: Reading, method) -> None:
    design = corpus_design(name, method)
    model = certified_model(design) if of == "doubles" else decimal_model(design)
    assert isinstance(model, InterceptModel)
    truth = nist_truth(name.removeprefix("nist_"), of, method)
    found = model.found
    with ball_precision(found.bits):
        assert found.sigma2.contains(exact(truth.sigma2))
        assert found.tau2.contains(exact(truth.tau2))
        assert found.beta[0].contains(exact(truth.beta))
        assert found.beta_cov[0, 0].contains(exact(truth.beta_var))
        for enclosure in (found.sigma2, found.beta[0], found.beta_cov[0, 0]):
            assert enclosure.rad() <= abs(enclosure).mid() * arb(10) ** -28


def test_all_eleven_sets_are_there() -> None:
    assert len(SETS) == 11


@pytest.mark.parametrize("name", SETS)
def test_the_fit_has_15_digits_of_the_truth_of_the_doubles(name: str) -> None:
    fit = make_engine("certified").fit(corpus_design(name))
    truth: OneWay = nist_truth(name.removeprefix("nist_"), "doubles")
    assert lre(float(fit["sigma"]) ** 2, float(truth.sigma2)) > 14.9
    assert lre(float(fit["random_cov[treatment]"][0, 0]), float(truth.tau2)) > 14.9
    assert lre(float(fit["beta"][0]), float(truth.beta)) == 15.0


def test_the_two_truths_differ_where_the_decimals_do_not_fit_a_double() -> None:
    design = corpus_design("nist_SmLs07")
    doubles = make_engine("certified").fit(design)
    decimals = make_engine("certified:decimals").fit(design)
    assert lre(float(decimals["sigma"]), 0.1) == 15.0
    # 1e12 + 0.1 k leaves 4 digits behind the point: the data themselves have lost the rest.
    assert 2 < lre(float(doubles["sigma"]), 0.1) < 6
    small = corpus_design("nist_SmLs01")
    assert float(make_engine("certified:decimals").fit(small)["sigma"]) == pytest.approx(
        float(make_engine("certified").fit(small)["sigma"]), rel=1e-14
    )


def test_the_truth_of_the_decimals_is_for_one_random_intercept() -> None:
    fit = make_engine("certified:decimals").fit(corpus_design("sleepstudy"))
    assert fit.status == "unsupported"
    assert "single random intercept" in fit.messages[0]
