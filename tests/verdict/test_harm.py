"""Moves in the units of a reader, and the standings that follow from them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from pp_compare.audits.judging import judge
from pp_compare.audits.selection import Selection
from pp_compare.certified.models import certified_model
from pp_compare.data.corpus import case
from pp_compare.engines import make_engine
from pp_compare.model import Fit, Quantity
from pp_compare.verdict.harm import measure_harm
from pp_compare.verdict.judgement import Judgement, without_answer
from pp_compare.verdict.tolerance import HARMLESS
from tests.examples import corpus_design

DESIGN = corpus_design("seed_case1")
TRUTH = make_engine("certified").fit(DESIGN)


def changed(name: str, change: float) -> Fit:
    """The certified numbers under another name, one quantity multiplied."""
    old = TRUTH.quantities[name]
    moved = Quantity(name, old.values * change, old.rows, old.columns)
    return replace(TRUTH, engine="other", quantities={**TRUTH.quantities, name: moved})


def judged(fit: Fit) -> Judgement:
    selection = Selection("seed_case1", case("seed_case1").dataset, DESIGN.spec.formula, "REML")
    (judgement,) = judge(selection, DESIGN, {"other": fit}, ()).judgements
    return judgement


@pytest.mark.parametrize(
    ("name", "kind", "size"),
    [
        ("beta_se", "beta_se", 0.05),
        ("sigma", "variance", 1.05**2 - 1),
        ("loglik", "deviance", None),
    ],
)
def test_a_move_is_told_in_its_unit(name: str, kind: str, size: float | None) -> None:
    harm = measure_harm(DESIGN, changed(name, 1.05), TRUTH.quantities)
    wanted = size if size is not None else 2 * 0.05 * abs(float(TRUTH["loglik"]))
    assert harm.moves[0].kind == kind
    assert harm.moves[0].size == pytest.approx(wanted)


def test_a_fixed_effect_moves_in_its_standard_errors() -> None:
    harm = measure_harm(DESIGN, changed("beta", 1.5), TRUTH.quantities)
    move = harm.of("beta")
    assert move is not None
    assert move.size == pytest.approx(np.max(0.5 * np.abs(TRUTH["beta"]) / TRUTH["beta_se"]))


def test_a_number_that_is_none_moves_without_bound() -> None:
    assert measure_harm(DESIGN, changed("beta_se", math.nan), TRUTH.quantities).worst == math.inf


def test_every_number_beyond_what_is_harmless_is_named() -> None:
    """The standard errors of two fixed effects, one off by two per cent and one by half."""
    old = TRUTH["beta_se"]
    moved = Quantity("beta_se", old * [1.02, 1.005], DESIGN.labels)
    fit = replace(TRUTH, engine="other", quantities={**TRUTH.quantities, "beta_se": moved})
    harm = measure_harm(DESIGN, fit, TRUTH.quantities)
    assert harm.beyond == (("beta_se", DESIGN.labels[0]),)
    move = harm.of("beta_se")
    assert move is not None
    assert (move.label, move.value, move.truth) == (DESIGN.labels[0], old[0] * 1.02, old[0])
    assert measure_harm(DESIGN, changed("sigma", 1.1), TRUTH.quantities).beyond == (("sigma", ""),)


def test_an_error_of_a_variance_of_0_is_told_by_the_residual_one() -> None:
    design = corpus_design("no_between_variance")
    truth = certified_model(design).optimum.quantities
    (name,) = [name for name in truth if name.startswith("random_cov")]
    old, sigma2 = truth[name], float(truth["sigma"].values) ** 2
    for share, harmless in ((5e-4, True), (5e-3, False)):
        moved = {**truth, name: Quantity(name, old.values + share * sigma2, old.rows, old.columns)}
        move = measure_harm(design, Fit("other", "ok", moved), truth).of("variance")
        assert move is not None
        assert (move.over <= 1) == harmless


def test_a_fit_at_the_optimum_is_right() -> None:
    found = judged(replace(TRUTH, engine="other"))
    assert (found.standing, found.cause, found.deviations, found.bad) == ("right", None, (), False)


@pytest.mark.parametrize("change", [1 + HARMLESS / 2, 1 + 2 * HARMLESS])
def test_wrong_begins_where_harm_begins(change: float) -> None:
    found = judged(changed("beta_se", change))
    assert found.standing == ("right" if change < 1 + HARMLESS else "wrong")
    assert "standard error of" in found.sentence


def test_no_numbers_are_no_answer() -> None:
    lost = {
        n: replace(q, values=np.full(q.values.shape, np.nan)) for n, q in TRUTH.quantities.items()
    }
    assert judged(replace(TRUTH, engine="other", quantities=lost)).standing == "no answer"


def test_a_refusal_is_no_fault_where_the_model_has_no_optimum() -> None:
    refusal = Fit.failed("other", "I cannot")
    assert without_answer(refusal).standing == "no answer"
    right = without_answer(refusal, "every group has one row")
    assert right.standing == "not judged"
    assert "is right to: every group has one row" in right.sentence


def test_a_time_limit_is_ours_and_no_news() -> None:
    slow = Fit.failed("other", "stopped after 2 s")
    found = judged(slow)
    assert (found.standing, found.news) == ("no answer", False)
    assert "--limit" in found.sentence
    raised = judged(Fit.failed("other", "Error: it stopped after 2 s"))
    assert (raised.standing, raised.news) == ("no answer", True)
    assert "--limit" not in raised.sentence
