"""Partial pooling of slopes, nested and crossed factors, and slopes within and between clusters."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pytest

from pp_compare.inferences.explain import ModelExplanation, at_multiple, explain
from pp_compare.inferences.row_weights import row_weights_of
from pp_compare.inferences.within_between import splits
from pp_compare.report.explain.answer import answer
from pp_compare.report.explain.story import steps, why
from tests.examples import clusters, corpus_design, design

MODELS = ("sleepstudy", "sleepstudy_uncorrelated", "Pixel", "Penicillin", "Oats", "Assay")
# Dense solves and sparse ones of matrices with a condition below 1e6, relative to what is solved.
REL = 1e-9


@cache
def explained(name: str) -> ModelExplanation:
    found = explain(corpus_design(name), title=name)
    assert isinstance(found, ModelExplanation)
    return found


def dense(e: ModelExplanation) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """V, Z and G of all terms in units of sigma2, written out level by level."""
    Z, G = [], []
    for block, cov in zip(e.design.blocks, e.rows.covariances, strict=True):
        for level in range(len(block.levels)):
            Z.append(block.Z * (block.codes == level)[:, None])
            G.append(cov)
    whole = np.hstack(Z)
    inner = np.zeros((whole.shape[1],) * 2)
    at = 0
    for cov in G:
        inner[at : at + len(cov), at : at + len(cov)] = cov
        at += len(cov)
    return np.eye(len(whole)) + whole @ inner @ whole.T, whole, inner


@pytest.mark.parametrize("name", MODELS)
def test_weights_and_pooling_are_those_of_dense_matrices(name: str):
    e = explained(name)
    V, Z, G = dense(e)
    inverse = np.linalg.inv(V)
    X = e.design.X
    weights = np.linalg.solve(X.T @ inverse @ X, X.T @ inverse)
    assert np.abs(e.rows.mixed - weights).max() <= REL * np.abs(weights).max()
    pooling = np.diag(G @ Z.T @ inverse @ Z)
    ours = np.concatenate([part.ravel() for part in e.rows.pooling])
    assert np.abs(ours - pooling).max() <= REL


@pytest.mark.parametrize("name", MODELS)
def test_the_line_and_the_effects_are_the_fits(name: str):
    e = explained(name)
    y = np.abs(e.design.y).max()
    assert np.abs(e.lines["partial pooling"] - e.fit["beta"]).max() <= REL * y
    fixed = dict(e.fit.quantities["beta"].entries())
    for effects in e.effects:
        blup = e.fit.quantities[f"blup[{effects.group}]"]
        column = blup.columns.index(effects.label)
        predicted = fixed.get(effects.label, 0.0) + blup.values[:, column]
        assert np.abs(effects.predicted - predicted).max() <= REL * y


@pytest.mark.parametrize("name", MODELS)
def test_the_parts_of_the_levels_add_up(name: str):
    e = explained(name)
    difference = e.lines["partial pooling"] - e.lines["complete pooling"]
    for weights in e.weights.values():
        assert (
            np.abs(weights.parts.sum(axis=1) - difference).max() <= REL * np.abs(e.design.y).max()
        )


def test_own_effects_of_one_factor_are_the_levels_own_lines():
    """18 subjects of sleepstudy: least squares of Reaction on Days, subject by subject."""
    e = explained("sleepstudy")
    frame = e.design.dataset.frame
    own = {x.label: dict(zip(x.levels, x.own, strict=True)) for x in e.effects}
    for subject, rows in frame.groupby("Subject", observed=True):
        slope, start = np.polyfit(rows.Days, rows.Reaction, 1)
        assert own["Days"][str(subject)] == pytest.approx(slope, rel=REL)
        assert own["Intercept"][str(subject)] == pytest.approx(start, rel=REL)


def test_a_multiple_of_0_is_lm_and_a_large_one_no_pooling():
    e = explained("Pixel")
    none, all_of_it = at_multiple(e, 0.0), at_multiple(e, 1e8)
    assert none.lines["partial pooling"] == pytest.approx(e.lines["complete pooling"], rel=REL)
    assert max(x.weight.max() for x in none.effects) == 0
    slopes = next(x for x in all_of_it.effects if x.label == "day")
    assert slopes.weight == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("seed", range(6))
def test_within_and_between_are_those_of_panel_data(seed: int):
    """One random intercept, one predictor, clusters of one size: Maddala (1971), by hand."""
    model = design(clusters(seed, [6] * 8, between=1.5), "y ~ x + (1|g)")
    e = explain(model)
    (split,) = e.splits
    x, y, codes = model.X[:, 1], model.y, model.blocks[0].codes
    mean_x, mean_y = (np.bincount(codes, v) / 6 for v in (x, y))
    dx, dy = x - mean_x[codes], y - mean_y[codes]
    bx, by = mean_x - mean_x.mean(), mean_y - mean_y.mean()
    inside, outside = dx @ dx, 6 * bx @ bx
    for parts, ratio in ((split.lm, 0.0), (split.mixed, e.tau2 / e.sigma2)):
        assert parts.within == pytest.approx(dx @ dy / inside, rel=REL)
        assert parts.between == pytest.approx(bx @ by / (bx @ bx), rel=REL)
        assert parts.share == pytest.approx(inside / (inside + outside / (1 + 6 * ratio)), rel=REL)


@pytest.mark.parametrize("name", ["Gasoline", "Pixel", "bdf", "Milk"])
def test_the_two_parts_make_the_slope(name: str):
    model = corpus_design(name)
    e = explain(model)
    found = splits(row_weights_of(model, e.fit))
    assert found
    for split in found:
        for parts in (split.lm, split.mixed):
            if not np.isnan(parts.between):
                made = parts.share * parts.within + (1 - parts.share) * parts.between
                assert made == pytest.approx(parts.slope, rel=1e-6)


def test_a_predictor_within_says_how_much_comes_from_where():
    """Gasoline: 98 % of the slope from within samples, 79 % in lm; the slopes are 0.16 and 0.07."""
    text = answer(explain(corpus_design("Gasoline")))
    assert text.startswith("endpoint is 0.15664 in the mixed model and 0.13934 in lm, because")
    assert "takes 98 % of it from within Sample, where the slope is 0.15873" in text
    assert text.endswith("lm 79 % (0.15873 and 0.068316).")


ANSWERS = {
    "seed_case1": r"predictor\[T.intervention\] is 2.3472 .* and 2.9627 in lm, because lm counts",
    "Dyestuff": "are those of lm, to .* standard errors",
    "no_between_variance": "because its random effects have variance 0",
    "sleepstudy": "are those of lm, to .* standard errors",
    "Pixel": "99.86 % of it from within Dog",
    "large_offset": "Intercept is 1000002.1 in the mixed model and 1000002.3 in lm, because lm",
    "nist_SmLs07": "as far as double precision can tell",
    "Oxboys": "the two weigh the rows differently: Subject",
}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_answer_is_one_sentence(name: str):
    text = answer(explain(corpus_design(name)))
    assert re.search(ANSWERS[name], text), text
    assert text.endswith(".")
    assert ". " not in text


def test_every_step_has_numbers_of_the_model():
    e = explained("Pixel")
    titles = [step.title for step in steps(e)]
    assert titles[:2] == ["Groups", "The variances"]
    assert "From own to predicted: day by Dog" in titles
    assert titles[-2:] == ["Within and between", "Where the line would be"]
    text = " ".join(why(e))
    assert "day: 9.2765 in lm, 6.1296 in the mixed model, a difference of -3.15" in text
    assert "Intercept by Dog:Side is pooled most in 9:L (2 rows" in text
