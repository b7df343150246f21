"""No engine's criterion is ever better than the certified one, on generated data."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, seed, settings

from pp_compare.certified.models import DegenerateModelError, certified_model
from pp_compare.data.strategies import (
    Example,
    Ranges,
    crossed,
    nested,
    random_intercept,
    random_slopes,
)
from pp_compare.engines import make_engine
from pp_compare.identities.rounding import EPS
from pp_compare.model import Fit
from pp_compare.model.design import Design, build_design
from pp_compare.verdict.attribution import Stop, stop_of

QUIET = settings(
    database=None, deadline=None, print_blob=False, suppress_health_check=[HealthCheck.too_slow]
)
R = pytest.mark.needs_r
SLOW = pytest.mark.slow
# Hypothesis repeats itself now and then; what counts is how many different data sets were compared.
# The fits of test_ols_identity are held against the optimum too. MixedLM's time goes by clusters.
FEW = Ranges(clusters=6, crowd=40)
RUNS = [
    pytest.param("lme4", Ranges(), 30, 20, marks=R),
    pytest.param("nlme", Ranges(), 30, 20, marks=R),
    ("statsmodels", FEW, 20, 12),
    pytest.param("lme4", Ranges(), 5_000, 3_000, marks=[R, SLOW]),
    pytest.param("nlme", Ranges(), 5_000, 3_000, marks=[R, SLOW]),
    pytest.param("statsmodels", Ranges(), 3_000, 1_800, marks=SLOW),
]


@pytest.mark.parametrize(("engine", "ranges", "examples", "at_least"), RUNS)
def test_no_engine_is_better_than_the_global_optimum(
    engine: str, ranges: Ranges, examples: int, at_least: int
) -> None:
    compared = set()

    @seed(1976)
    @settings(QUIET, max_examples=examples)
    @given(random_intercept(ranges=ranges))
    def check(example: Example) -> None:
        this = (example[0].sha256(), example[1])
        if this in compared:
            return  # the same fit again says nothing new
        design = build_design(*example)
        if deviance_above_optimum(design, make_engine(engine).fit(design)) is not None:
            compared.add(this)

    check()
    assert len(compared) >= at_least


@pytest.mark.parametrize("strategy", [random_slopes, nested, crossed], ids=lambda s: s.__name__)
@pytest.mark.parametrize(
    "engine", [pytest.param("lme4", marks=R), pytest.param("nlme", marks=R), "statsmodels"]
)
def test_no_engine_is_better_than_the_best_of_the_search(strategy, engine: str) -> None:
    compared = []

    @seed(1977)
    @settings(QUIET, max_examples=7)
    @given(strategy())
    def check(example: Example) -> None:
        design = build_design(*example)
        compared.append(deviance_above_optimum(design, make_engine(engine).fit(design)))

    check()
    assert sum(above is not None for above in compared) >= 3


def deviance_above_optimum(design: Design, fit: Fit) -> float | None:
    """The fit's own deviance over the certified optimum's, which must not be negative.

    None where there is no optimum or no answer.
    """
    if fit.status != "ok":
        return None
    try:
        model = certified_model(design)
    except DegenerateModelError:
        return None
    stop = stop_of(design, fit, model)
    if not isinstance(stop, Stop):
        return None
    # Both deviances are enclosed to far more digits and rounded to doubles once.
    assert stop.above >= -4 * EPS * max(1.0, abs(model.optimum.deviance)), (fit.engine, stop.above)
    return stop.above
