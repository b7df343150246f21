"""linearmodels' variances against Swamy and Arora's formulas, written out."""

from __future__ import annotations

import numpy as np
import pytest

from pp_compare.audits.judging import judge
from pp_compare.audits.selection import Selection
from pp_compare.data.corpus import case
from pp_compare.engines import make_engine
from pp_compare.model.design import Design
from tests.adapters.packages import engine_or_skip
from tests.engines.likelihood import gls_covariance
from tests.examples import corpus_design


def swamy_arora(this: Design) -> tuple[float, float]:
    """Variances between and within; Baltagi, chapter 9, with the harmonic mean of the sizes."""
    codes = this.blocks[0].codes
    sizes = np.bincount(codes)
    W = np.column_stack([this.y, this.X])
    means = np.array([np.bincount(codes, column) / sizes for column in W.T]).T
    within = W - means[codes]
    varying = np.abs(within[:, 1:]).max(axis=0) > 1e-9 * np.abs(this.X).max(axis=0)
    ssr = [_residual(within[:, 0], within[:, 1:][:, varying]), _residual(means[:, 0], means[:, 1:])]
    sigma2 = ssr[0] / (len(codes) - len(sizes) - varying.sum())
    # A column whose mean is the same in every entity is not in the between regression.
    rank = np.linalg.matrix_rank(means[:, 1:])
    between = ssr[1] / (len(sizes) - rank) - sigma2 * np.mean(1 / sizes)
    return max(0.0, float(between)), float(sigma2)


def _residual(y: np.ndarray, X: np.ndarray) -> float:
    beta = np.linalg.lstsq(X, y, rcond=None)[0] if X.shape[1] else np.zeros(0)
    return float(((y - X @ beta) ** 2).sum())


@pytest.mark.parametrize("name", ["seed_case1", "Gasoline", "Orthodont_sex", "no_between_variance"])
def test_its_variances_are_swamy_and_aroras(name: str) -> None:
    this = corpus_design(name)
    fit = engine_or_skip("linearmodels").fit(this)
    between, within = swamy_arora(this)
    group = this.blocks[0].group
    # Two least-squares fits in double precision, of designs whose condition is below 1e4.
    assert float(fit["sigma"]) ** 2 == pytest.approx(within, rel=1e-10)
    assert fit[f"random_cov[{group}]"][0, 0] == pytest.approx(between, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", ["Dyestuff", "Rail", "ergoStool"])
def test_on_balanced_data_it_is_reml(name: str) -> None:
    this = corpus_design(name)
    fit, truth = engine_or_skip("linearmodels").fit(this), make_engine("certified").fit(this)
    group = this.blocks[0].group
    assert float(fit["sigma"]) == pytest.approx(float(truth["sigma"]), rel=1e-12)
    between = float(truth[f"random_cov[{group}]"][0, 0])
    assert fit[f"random_cov[{group}]"][0, 0] == pytest.approx(between, rel=1e-10)
    assert fit["beta_cov"] == pytest.approx(gls_covariance(this, fit), rel=1e-9, abs=1e-12)


def test_what_differs_is_a_definition_and_what_is_missing_no_failure() -> None:
    known, this = case("seed_case1"), corpus_design("seed_case1")
    fits = {"linearmodels": engine_or_skip("linearmodels").fit(this)}
    selection = Selection(known.name, known.dataset, known.formula, "REML")
    lines = judge(selection, this, fits, []).comparisons
    assert {line.cause for line in lines if line.verdict == "fail"} == {"definition"}
    skipped = {line.quantity for line in lines if line.verdict == "skip"}
    assert skipped == {"loglik", "blup[cluster]", "cluster_mean[cluster]", "fitted"}
