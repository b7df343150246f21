from __future__ import annotations

from dataclasses import replace

import pytest

from pp_compare.engines import make_engine
from pp_compare.identities import check_identities, has_cluster_level_design
from tests.broken_engines import altered
from tests.examples import clusters, corpus_design, design

ENGINES = [
    pytest.param("lme4", marks=pytest.mark.needs_r),
    pytest.param("nlme", marks=pytest.mark.needs_r),
    "statsmodels",
    "certified",
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", ["seed_case1", "seed_case2", "seed_case3"])
def test_fixed_effects_are_ols_on_the_predicted_means_of_the_seed(case: str, engine: str) -> None:
    data = corpus_design(case)
    (check,) = check_identities(data, make_engine(engine).fit(data))
    assert (check.identity, check.verdict) == ("ols-on-predicted-means", "pass")
    assert check.error < 1e-11  # the published claim was all.equal(), 1.5e-8


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_that_is_off_by_1e_6_in_one_coefficient_fails(engine: str) -> None:
    data = corpus_design("seed_case1")
    fit = make_engine(engine).fit(data)
    for k in range(2):
        wrong = fit["beta"].copy()
        wrong[k] += 1e-6
        (check,) = check_identities(data, altered(fit, "beta", lambda _, wrong=wrong: wrong))
        assert check.verdict == "fail"


def test_a_nan_fails_and_a_quantity_that_is_not_there_is_skipped() -> None:
    data = corpus_design("seed_case1")
    fit = make_engine("certified").fit(data)
    (check,) = check_identities(data, altered(fit, "beta", lambda b: b * float("nan")))
    assert check.verdict == "fail"
    rest = {k: q for k, q in fit.quantities.items() if not k.startswith("cluster_mean")}
    (check,) = check_identities(data, replace(fit, quantities=rest))
    assert check.verdict == "skip"
    assert "cluster_mean" in check.reason


def test_it_is_claimed_only_where_every_column_is_constant_within_clusters() -> None:
    frame = clusters(1, [3, 4, 5, 6])
    assert has_cluster_level_design(design(frame, "y ~ w + (1|g)"))
    assert not has_cluster_level_design(design(frame, "y ~ x + (1|g)"))
    assert not has_cluster_level_design(design(frame, "y ~ w + (w|g)"))
