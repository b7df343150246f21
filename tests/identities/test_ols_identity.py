"""The fixed effects are OLS on the predicted cluster means: every engine, on generated data."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, seed, settings

from pp_compare.audits.judging import case_facts
from pp_compare.certified.models import certified_model
from pp_compare.data.strategies import METHODS, Example, Ranges, random_intercept_cluster_level
from pp_compare.engines import make_engine
from pp_compare.identities import OLS_ON_PREDICTED_MEANS, check_identity
from pp_compare.model import Fit, Method
from pp_compare.model.design import Design, build_design
from pp_compare.verdict.deviations import Deviation, facts_of, find, load_deviations
from pp_compare.verdict.versions import package_version
from tests.verdict.test_truth import deviance_above_optimum

R = pytest.mark.needs_r
# Hypothesis repeats an example now and then, and an engine may fail on one: the others stay.
# MixedLM is slow: it gets smaller data in the short run, with every kind of trouble in them too,
# and half of them in a test of their own, which another process may run.
FEW = Ranges(clusters=6, crowd=40)
RUNS = [
    pytest.param("lme4", Ranges(), METHODS, 100, 60, marks=R, id="lme4-short"),
    pytest.param("nlme", Ranges(), METHODS, 100, 60, marks=R, id="nlme-short"),
    pytest.param("statsmodels", FEW, ("REML",), 60, 40, id="statsmodels-REML-short"),
    pytest.param("statsmodels", FEW, ("ML",), 60, 40, id="statsmodels-ML-short"),
    *(
        pytest.param(
            engine,
            Ranges(),
            METHODS,
            3_000,
            2_000,  # Hypothesis gives some of the small ones more than once: 2,347 of lme4's differ
            marks=[pytest.mark.slow, *r],
            id=f"{engine}-long",
        )
        for engine, r in (("lme4", [R]), ("nlme", [R]), ("statsmodels", []))
    ),
]
QUIET = settings(
    database=None, deadline=None, print_blob=False, suppress_health_check=[HealthCheck.too_slow]
)


def known(design: Design, fit: Fit, quantity: str, cause: str) -> Deviation | None:
    """The registry's entry for a failure, from the fit itself and the certified optimum."""
    facts = {**facts_of(fit), **case_facts(design, certified_model(design))}
    return find(load_deviations(), fit.engine, package_version(fit), quantity, cause, facts)


@pytest.mark.parametrize(("engine", "ranges", "methods", "examples", "at_least"), RUNS)
def test_the_identity_holds(
    engine: str, ranges: Ranges, methods: Sequence[Method], examples: int, at_least: int
) -> None:
    held = set()

    @seed(2016)
    @settings(QUIET, max_examples=examples)
    @given(random_intercept_cluster_level(ranges=ranges, methods=methods))
    def check(example: Example) -> None:
        design = build_design(*example)
        this = (design.dataset.sha256(), design.spec.formula, design.spec.method)
        if this in held:
            return  # the same fit again says nothing new
        fit = make_engine(engine).fit(design)
        if fit.status != "ok":
            assert known(design, fit, "fit", "failure"), fit.messages
            return
        if "cluster_mean[g]" not in fit.quantities:
            assert known(design, fit, "cluster_mean[g]", "failure"), fit.messages
            return
        # The same fits, which are the dear part, serve the other property of generated data.
        deviance_above_optimum(design, fit)
        outcome = check_identity(OLS_ON_PREDICTED_MEANS, design, fit)
        if outcome.verdict == "pass":
            held.add(this)
        else:
            assert known(design, fit, f"identity:{outcome.identity}", "post-processing"), outcome

    check()
    assert len(held) >= at_least
