from __future__ import annotations

import zlib
from itertools import product
from typing import Any

import numpy as np
import pytest

from pp_compare.campaign.generate import formula_of, generate
from pp_compare.campaign.plan import MODELS, PREDICTORS, Plan, from_document
from pp_compare.model.design import build_design
from pp_compare.model.formula import parse_formula


def plan(**axes: Any) -> Plan:
    other = {k: axes.pop(k) for k in ("design", "replications") if k in axes}
    return from_document({"seed": 11, "grid": axes, **other})


@pytest.mark.parametrize(("model", "predictors"), list(product(MODELS, PREDICTORS)))
def test_the_design_is_what_the_formula_makes_of_the_data(model: str, predictors: str) -> None:
    campaign = plan(model=model, predictors=predictors, clusters=12, imbalance=1.0, method="ML")
    ours = generate(campaign, 0).design
    built = build_design(ours.dataset, parse_formula(formula_of(campaign.point(0)), "ML"))
    assert (ours.spec, ours.labels) == (built.spec, built.labels)
    assert np.array_equal(ours.X, built.X)
    assert np.array_equal(ours.y, built.y)
    for mine, theirs in zip(ours.blocks, built.blocks, strict=True):
        assert (mine.term, mine.group, mine.levels) == (theirs.term, theirs.group, theirs.levels)
        assert mine.columns == theirs.columns
        assert np.array_equal(mine.codes, theirs.codes)
        assert np.array_equal(mine.Z, theirs.Z)
    assert ours.frame.equals(built.frame)


def checksum(campaign: Plan, index: int) -> int:
    design = generate(campaign, index).design
    return zlib.crc32(design.y.tobytes() + design.X.tobytes() + design.blocks[0].codes.tobytes())


def test_a_data_set_follows_from_plan_and_index_alone() -> None:
    campaign = plan(icc=[0.1, 0.5], replications=20, imbalance=1.0, predictors="both")
    forwards = [checksum(campaign, index) for index in range(40)]
    again = plan(icc=[0.1, 0.5], replications=20, imbalance=1.0, predictors="both")
    assert [checksum(again, index) for index in reversed(range(40))] == forwards[::-1]
    assert len(set(forwards)) == 40


def test_data_sets_are_the_same_on_every_machine() -> None:
    """Bits as they were first drawn; where numpy draws others, plans need a new schema."""
    campaign = plan(predictors="both", imbalance=1.0, replications=3)
    assert [checksum(campaign, index) for index in range(3)] == PINNED


PINNED = [3474589722, 4076043960, 1581305331]


def test_a_fixed_design_changes_the_response_only() -> None:
    campaign = plan(
        design="fixed", predictors="both", imbalance=1.0, icc=[0.1, 0.2], replications=2
    )
    first, second, other = (generate(campaign, index).design for index in (0, 1, 2))
    assert np.array_equal(first.X, second.X)
    assert np.array_equal(first.blocks[0].codes, second.blocks[0].codes)
    assert not np.array_equal(first.y, second.y)
    assert not np.array_equal(first.X[:10], other.X[:10])


def test_sizes_leave_a_residual_even_for_the_smallest_plan() -> None:
    campaign = plan(clusters=2, rows=1, predictors="both", replications=5)
    for index in range(5):
        design = generate(campaign, index).design
        assert design.n_obs > len(design.labels) + 1
        assert len(design.blocks[0].levels) == 2


def test_the_draws_have_the_moments_that_the_plan_says() -> None:
    campaign = plan(
        clusters=200, rows=20, icc=0.4, noise=3.0, effect=2.0, offset=7.0, predictors="both"
    )
    sample = generate(campaign, 0)
    design, codes = sample.design, sample.design.blocks[0].codes
    assert sample.beta.tolist() == [7.0, 2.0, 2.0]
    residual = design.y - design.X @ sample.beta
    means = np.bincount(codes, residual) / np.bincount(codes)
    # Standard errors: sqrt(2 / 3800) of sigma2, sqrt(2 / 199) of the variance of the means.
    within = np.sum((residual - means[codes]) ** 2) / (design.n_obs - 200)
    assert within == pytest.approx(9.0, rel=4 * np.sqrt(2 / 3800))
    assert means.var() == pytest.approx(0.4 / 0.6 * 9.0 + 9.0 / 20, rel=4 * np.sqrt(2 / 199))
