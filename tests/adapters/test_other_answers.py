"""What the comparison makes of an engine that gives less, or estimates something else."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from pp_compare.audits.judging import judge
from pp_compare.audits.selection import Selection
from pp_compare.certified.models import certified_model
from pp_compare.engines import make_engine
from pp_compare.model import Fit, Quantity
from pp_compare.report.audit.json import to_json
from pp_compare.report.digest import digits_of
from pp_compare.report.record import Provenance, Report
from pp_compare.verdict.agreement import compare
from pp_compare.verdict.definitions import transformed_residuals_cov
from pp_compare.verdict.tolerance import derive_tolerances
from tests.examples import corpus_design

WHY = "it predicts no effects"


@pytest.fixture(scope="module")
def seed():
    design = corpus_design("seed_case1")
    return design, certified_model(design), make_engine("certified").fit(design)


def without_effects(fit: Fit, **fields: object) -> Fit:
    left = {n: q for n, q in fit.quantities.items() if not n.startswith("blup")}
    return replace(fit, engine="candidate", quantities=left, **fields)


def judged(design, fit: Fit):
    selection = Selection("x", design.dataset, design.spec.formula, "REML")
    return judge(selection, design, {"candidate": fit}, ())


def test_a_quantity_that_is_declared_not_given_is_skipped_with_its_reason(seed) -> None:
    design, model, fit = seed
    fewer = without_effects(fit, not_given={"blup": WHY})
    lines = compare(fewer, fit, derive_tolerances(design, model))
    (line,) = [line for line in lines if line.quantity == "blup[cluster]"]
    assert (line.verdict, line.reason, line.cause, line.count) == ("skip", WHY, None, 0)
    assert math.isnan(line.digits)


def test_it_is_a_failure_where_nothing_is_declared(seed) -> None:
    design, model, fit = seed
    lines = compare(without_effects(fit), fit, derive_tolerances(design, model))
    (line,) = [line for line in lines if line.quantity == "blup[cluster]"]
    assert (line.verdict, line.cause) == ("fail", "failure")


def test_what_is_not_given_has_no_digits_and_stands_in_the_report(seed) -> None:
    design, _, fit = seed
    case = judged(design, without_effects(fit, not_given={"blup": WHY}))
    provenance = Provenance("3", "x", "x", {"statsmodels": "0"}, None, {}, None, "", "")
    report = Report(provenance, (case,), 0.0)
    assert "blup" not in digits_of(report).kinds
    assert f'"blup": "{WHY}"' in to_json(report)


def moved(design, model, factor: float) -> Fit:
    """A sound fit at other variances."""
    best = model.optimum.quantities
    covariances = {"cluster": factor * best["random_cov[cluster]"].values}
    sigma = float(best["sigma"].values)
    implied = model.implied(sigma, covariances)
    loglik = Quantity("loglik", np.array(-model.deviance(sigma, covariances) / 2))
    return Fit("candidate", "ok", {**implied, "loglik": loglik}, design_error=0.0)


def test_another_estimator_differs_by_definition(seed) -> None:
    design, model, _ = seed
    fit = moved(design, model, 1.3)
    assert {c.cause for c in judged(design, fit).comparisons if c.verdict == "fail"} == {
        "optimiser"
    }
    moments = replace(fit, estimator="moments")
    causes = {c.cause for c in judged(design, moments).comparisons if c.verdict == "fail"}
    assert causes == {"definition"}


def test_what_another_estimator_gets_wrong_is_still_wrong(seed) -> None:
    """Fixed effects that are not generalised least squares at its own variances."""
    design, model, _ = seed
    fit = replace(moved(design, model, 1.3), estimator="moments")
    beta = fit.quantities["beta"]
    broken = {**fit.quantities, "beta": Quantity("beta", beta.values + 0.5, beta.rows)}
    lines = judged(design, replace(fit, quantities=broken)).comparisons
    assert {line.cause for line in lines if line.quantity == "beta"} == {"post-processing"}


def test_the_covariance_of_the_transformed_regression_is_recognised(seed) -> None:
    design, model, _ = seed
    fit = moved(design, model, 1.3)
    labels = design.labels
    cov = transformed_residuals_cov(design, fit, fit["beta_cov"])
    # By hand: V^-1/2 times the data, then ordinary least squares.
    same = design.blocks[0].codes[:, None] == design.blocks[0].codes
    V = float(fit["sigma"]) ** 2 * np.eye(design.n_obs) + fit["random_cov[cluster]"][0, 0] * same
    root = np.linalg.inv(np.linalg.cholesky(V))
    X, y = root @ design.X, root @ design.y
    r = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
    by_hand = r @ r / (len(y) - X.shape[1]) * np.linalg.inv(X.T @ X)
    assert cov == pytest.approx(by_hand, rel=1e-9)
    shown = {**fit.quantities, "beta_cov": Quantity("beta_cov", cov, labels, labels)}
    lines = judged(design, replace(fit, quantities=shown)).comparisons
    (cause,) = {x.cause for x in lines if x.quantity == "beta_cov" and x.verdict == "fail"}
    assert cause == "definition"
