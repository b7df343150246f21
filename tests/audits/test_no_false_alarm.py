"""A faultless engine, certified values rounded to doubles, sets off no check on generated data."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from pp_compare.certified.intercept.degenerate import DegenerateModelError
from pp_compare.certified.models import certified_model
from pp_compare.data import strategies
from pp_compare.data.strategies import Example
from pp_compare.model.design import build_design
from tests.faulty_engines import certified
from tests.test_suite_can_fail import caught

# Several random effects take the certified core longer: one example in five in the short run.
MOSTLY = st.one_of(strategies.random_intercept(), strategies.random_intercept_cluster_level())
OTHERS = st.one_of(strategies.random_slopes(), strategies.nested(), strategies.crossed())
QUIET = settings(
    database=None, deadline=None, print_blob=False, suppress_health_check=[HealthCheck.too_slow]
)


@pytest.mark.parametrize(
    ("examples", "count", "at_least"),
    [
        pytest.param(MOSTLY, 120, 80, id="random-intercept"),
        pytest.param(OTHERS, 20, 12, id="others"),
        pytest.param(MOSTLY, 6_000, 4_300, id="random-intercept-long", marks=pytest.mark.slow),
        pytest.param(OTHERS, 1_000, 700, id="others-long", marks=pytest.mark.slow),
    ],
)
def test_a_faultless_engine_sets_off_nothing(
    examples: st.SearchStrategy[Example], count: int, at_least: int
) -> None:
    """Of the examples some repeat, and some have no optimum; so many different ones are left."""
    judged = set()

    @seed(5000)
    @settings(QUIET, max_examples=count)
    @given(examples)
    def check(example: Example) -> None:
        design = build_design(*example)
        this = (design.dataset.sha256(), design.spec.formula, design.spec.method)
        if this in judged:
            return  # the same fit again says nothing new
        fit = certified(design)
        if fit.status == "unsupported":
            # Data without an optimum are no subject of any check; the certified core says why.
            with pytest.raises(DegenerateModelError):
                certified_model(design)
            return
        assert fit.status == "ok", fit.messages
        assert caught(design, fit) == set()
        judged.add(this)

    check()
    assert len(judged) >= at_least
