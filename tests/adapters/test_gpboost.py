"""GPBoost's likelihood: exact by Cholesky, approximated by default with several random terms."""

from __future__ import annotations

import pytest

from pp_compare.engines import make_engine
from tests.adapters.packages import engine_or_skip
from tests.engines.likelihood import log_likelihood
from tests.examples import corpus_design


@pytest.mark.parametrize("name", ["Penicillin", "Pastes", "sleepstudy_uncorrelated"])
def test_by_cholesky_the_log_likelihood_is_exact(name: str) -> None:
    this = corpus_design(name, "ML")
    fit = engine_or_skip("gpboost:tight").fit(this)
    assert log_likelihood(this, fit) == pytest.approx(float(fit["loglik"]), rel=1e-10)
    # 2e-6 in the deviance is what every engine is allowed.
    truth = float(make_engine("certified").fit(this)["loglik"])
    assert float(fit["loglik"]) == pytest.approx(truth, abs=1e-6)


def test_by_default_it_is_not_with_several_random_terms() -> None:
    this = corpus_design("Pastes", "ML")
    fit = engine_or_skip("gpboost").fit(this)
    assert abs(log_likelihood(this, fit) - float(fit["loglik"])) > 0.01


def test_nothing_is_written_to_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    engine_or_skip("gpboost").fit(corpus_design("seed_case1", "ML"))
    assert capfd.readouterr().out == ""
