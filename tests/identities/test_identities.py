"""The ladder of identities: each holds for real engines, and each can fail."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pp_compare.engines import make_engine
from pp_compare.identities import (
    IDENTITIES,
    OLS_ON_PREDICTED_MEANS,
    IdentityCheck,
    check_identities,
    check_identity,
    has_cluster_level_design,
)
from pp_compare.model import Fit
from pp_compare.model.design import Design
from tests.broken_engines import altered
from tests.examples import clusters, corpus_design, design

ENGINES = [
    pytest.param("lme4", marks=pytest.mark.needs_r),
    pytest.param("nlme", marks=pytest.mark.needs_r),
    "statsmodels",
    "certified",
]
# One case a model class: random intercept, correlated, uncorrelated, nested, crossed.
CLASSES = ["seed_case1", "sleepstudy", "sleepstudy_uncorrelated", "Pastes", "Penicillin"]
# Definitions of their own, known and registered: another covariance, another standard error.
DEFINITIONS = {
    ("statsmodels", "gls-covariance"),
    ("nlme", "standard-errors"),
}


def by_id(data: Design, fit: Fit) -> dict[str, IdentityCheck]:
    return {check.identity: check for check in check_identities(data, fit)}


def ols(data: Design, fit: Fit) -> IdentityCheck:
    return check_identity(OLS_ON_PREDICTED_MEANS, data, fit)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", ["seed_case1", "seed_case2", "seed_case3"])
def test_fixed_effects_are_ols_on_the_predicted_means_of_the_seed(case: str, engine: str) -> None:
    data = corpus_design(case)
    check = ols(data, make_engine(engine).fit(data))
    assert (check.identity, check.verdict) == ("ols-on-predicted-means", "pass")
    assert check.error < 1e-11  # the published claim was all.equal(), 1.5e-8


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_that_is_off_by_1e_6_in_one_coefficient_fails(engine: str) -> None:
    data = corpus_design("seed_case1")
    fit = make_engine(engine).fit(data)
    for k in range(2):
        wrong = fit["beta"].copy()
        wrong[k] += 1e-6
        assert ols(data, altered(fit, "beta", lambda _, wrong=wrong: wrong)).verdict == "fail"


def test_a_nan_fails_and_a_quantity_that_is_not_there_is_skipped() -> None:
    data = corpus_design("seed_case1")
    fit = make_engine("certified").fit(data)
    assert ols(data, altered(fit, "beta", lambda b: b * float("nan"))).verdict == "fail"
    rest = {k: q for k, q in fit.quantities.items() if not k.startswith("cluster_mean")}
    check = ols(data, replace(fit, quantities=rest))
    assert check.verdict == "skip"
    assert "cluster_mean" in check.reason


@pytest.mark.parametrize("sigma", [np.nan, np.inf, 0.0])
def test_nothing_holds_at_variances_that_are_none(sigma: float) -> None:
    data = corpus_design("seed_case1")
    fit = altered(make_engine("certified").fit(data), "sigma", lambda _: np.array(sigma))
    assert {check.verdict for check in check_identities(data, fit)} == {"fail"}


def test_it_is_claimed_only_where_every_column_is_constant_within_clusters() -> None:
    frame = clusters(1, [3, 4, 5, 6])
    assert has_cluster_level_design(design(frame, "y ~ w + (1|g)"))
    assert not has_cluster_level_design(design(frame, "y ~ x + (1|g)"))
    assert not has_cluster_level_design(design(frame, "y ~ w + (w|g)"))


def test_each_has_its_id_its_statement_its_source_and_the_reason_of_its_tolerance() -> None:
    assert len({identity.id for identity in IDENTITIES}) == len(IDENTITIES)
    for identity in IDENTITIES:
        assert identity.statement
        assert identity.source
        assert identity.reason
        assert identity.needs


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("case", CLASSES)
@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_satisfies_the_ladder_but_for_its_definitions(engine, case, method) -> None:
    data = corpus_design(case, method)
    checks = by_id(data, make_engine(engine).fit(data))
    broken = {name for name, check in checks.items() if check.verdict != "pass"}
    assert broken <= {name for who, name in DEFINITIONS if who == engine}
    if not data.spec.is_random_intercept:
        assert "pooling-weight" not in checks
    assert {"cancelling-effects", "henderson-random-row", "own-loglik"} <= set(checks)


def test_where_predictors_vary_within_clusters_ols_on_the_means_is_not_the_mixed_model() -> None:
    """The shown counterexample: the identity is not claimed, and it would be wrong to claim it."""
    data = design(clusters(3, [2, 5, 9, 4, 12, 3]), "y ~ w + x + (1|g)")
    fit = make_engine("certified").fit(data)
    means = fit["cluster_mean[g]"]
    codes = data.blocks[0].codes
    at_means = np.array([data.X[codes == j].mean(axis=0) for j in range(len(means))])
    regressed = np.linalg.lstsq(at_means, means, rcond=None)[0]
    assert np.abs(regressed - fit["beta"]).max() > 0.01
    assert "ols-on-predicted-means" not in by_id(data, fit)
    # What is true instead: the effects of every cluster-level column cancel.
    assert by_id(data, fit)["cancelling-effects"].verdict == "pass"


def test_ols_on_the_raw_means_is_not_the_mixed_model_either() -> None:
    data = corpus_design("seed_case1")
    fit = make_engine("certified").fit(data)
    codes = data.blocks[0].codes
    raw = np.bincount(codes, data.y) / np.bincount(codes)
    wrong = altered(fit, "cluster_mean[cluster]", lambda _: raw)
    assert ols(data, wrong).verdict == "fail"


def test_a_boundary_and_a_singular_covariance_are_no_special_case() -> None:
    for case in ("no_between_variance", "singular_slopes"):
        data = boundary(case)
        fit = make_engine("certified").fit(data)
        assert fit.singular
        assert {check.verdict for check in check_identities(data, fit)} == {"pass"}


def boundary(name: str) -> Design:
    if name == "no_between_variance":
        return corpus_design(name)
    frame = clusters(7, [4] * 8, between=0.6, slope=0.0)
    return design(frame, "y ~ x + (x|g)")


def test_the_limits_bind_at_both_ends() -> None:
    """At tau2 = 0 and at tau2 large the bounds leave nothing but rounding."""
    frame = clusters(5, [3, 4, 5, 12])
    data = design(frame, "y ~ w + (1|g)")
    for tau2, name in ((0.0, "complete-pooling-limit"), (1e6, "no-pooling-limit")):
        fit = at_ratio(data, tau2)
        assert by_id(data, fit)[name].verdict == "pass"
        off = altered(fit, "beta", lambda b: b + 1e-3)
        assert by_id(data, off)[name].verdict == "fail"


def at_ratio(data: Design, tau2: float) -> Fit:
    """A faultless engine that stopped at this variance, with sigma = 1."""
    from pp_compare.certified.models import certified_model

    quantities = certified_model(data).implied(1.0, {"g": np.array([[tau2]])})
    return Fit("stopped", "ok", quantities)
