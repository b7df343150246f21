"""The steps of partial pooling: published numbers, exact splits, and sentences that hold."""

from __future__ import annotations

import json
import re
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from pp_compare import cli
from pp_compare.engines import make_engine
from pp_compare.inferences.explain import Explanation, cluster_weights_of, explain, explanation_of
from pp_compare.model import Quantity
from pp_compare.report.explain.story import steps, why
from pp_compare.report.explain.terminal import print_explanation
from pp_compare.resources import resource
from tests.examples import clusters, corpus_design, design

PUBLISHED = json.loads(resource("fixtures", "published", "seed.json").read_text())["cases"]
CASES = ("seed_case1", "seed_case2", "seed_case3", "Gasoline", "two_optima_reml", "smallest")


@cache
def explained(name: str) -> Explanation:
    return explain(corpus_design(name), title=name)


def rounding(e: Explanation) -> float:
    """n eps cond(X)^2 cond(V) max|y|: solving least squares on quasi-demeaned rows."""
    X = e.design.X / np.linalg.norm(e.design.X, axis=0)
    v = 1 + e.pooling.sizes.max() * e.tau2 / e.sigma2
    largest = np.abs(e.design.y).max()
    return len(X) * np.finfo(float).eps * np.linalg.cond(X) ** 2 * v * largest


def half_unit(printed: str) -> float:
    """Half a unit in the last printed digit; the 1e-6 lets a tie round either way."""
    return 0.5 * 10.0 ** -len(printed.partition(".")[2]) * (1 + 1e-6)


@pytest.mark.parametrize("column", ["observed", "partially_pooled", "completely_pooled"])
def test_the_published_table(column: str):
    e, printed = explained("seed_case1"), PUBLISHED["seed_case1"]["table"]
    frame = e.pooling.frame()
    assert list(frame["n"]) == printed["n"]
    for value, text in zip(frame[column], printed[column], strict=True):
        assert abs(value - float(text)) <= half_unit(text)


def test_the_published_shrinkage():
    """Printed from lmer's optimum; 1e-6 relative is what lmer's variances are off there."""
    e, printed = explained("seed_case1"), PUBLISHED["seed_case1"]["table"]["shrinkage"]
    for value, text in zip(e.pooling.shrinkage, printed, strict=True):
        assert abs(value - float(text)) <= half_unit(text) + 1e-6 * abs(value)


@pytest.mark.parametrize("name", CASES)
def test_the_difference_between_the_fits_splits_into_clusters(name: str):
    e = explained(name)
    difference = e.lines["partial pooling"] - e.lines["complete pooling"]
    assert np.abs(e.weights.parts.sum(axis=1) - difference).max() <= rounding(e)


@pytest.mark.parametrize("name", CASES)
def test_weights_are_those_of_generalised_least_squares(name: str):
    """Against the textbook, V written out: (X'V^-1X)^-1 X'V^-1, summed over each cluster."""
    e = explained(name)
    codes = e.design.blocks[0].codes
    Z = (codes[:, None] == np.arange(codes.max() + 1)).astype(float)
    V = e.sigma2 * np.eye(len(Z)) + e.tau2 * Z @ Z.T
    W = np.linalg.solve(V, e.design.X)
    dense = np.linalg.solve(W.T @ e.design.X, W.T) @ Z
    scale = np.abs(dense).max()
    y = np.abs(e.design.y).max()
    assert np.abs(e.weights.mixed - dense).max() <= rounding(e) / y * max(scale, 1.0)


@pytest.mark.parametrize("name", ["seed_case1", "seed_case2", "two_optima_reml"])
def test_weighted_means_are_the_fixed_effects(name: str):
    e = explained(name)
    assert e.is_cluster_level
    for weights, line in ((e.weights.lm, "complete pooling"), (e.weights.mixed, "partial pooling")):
        assert np.abs(weights @ e.pooling.observed - e.lines[line]).max() <= rounding(e)


def test_predicted_means_give_the_line_only_for_cluster_level_predictors():
    e, varying = explained("seed_case2"), explained("Gasoline")
    gaps = [
        np.abs(x.lines["predicted means"] - x.lines["partial pooling"]).max() for x in (e, varying)
    ]
    assert gaps[0] <= rounding(e)
    assert gaps[1] > 1


def test_case_1_says_why():
    text = " ".join(why(explained("seed_case1")))
    assert "leans towards the smallest clusters" in text
    assert "held by cluster 1 and 5 (2 rows each)" in text
    assert "counts 5 times as much as one of 2" in text
    assert "there the same cluster counts 1.0352 times as much" in text
    assert "cluster 5 (2 rows) brings -1.17: its weight goes from 0.0625 to 0.24357" in text


def test_equal_sizes_do_not_lean():
    text = " ".join(why(explained("Dyestuff")))
    assert "the two lines are the same" in text
    assert "lean" not in text
    assert "rows each" not in text


def test_no_variance_between_clusters_is_complete_pooling():
    e = explained("no_between_variance")
    assert e.tau2 == 0
    assert len(why(e)) == 1
    assert "variance between clusters is 0" in why(e)[0]
    assert (e.pooling.weights == 0).all()


def test_where_the_share_of_small_clusters_falls_it_is_not_called_leaning():
    """Few rows and few clusters at one end of x: lm already gives them the most of the slope."""
    e = explained("seed_case1")
    # Weights exchanged: what the sentence would say of a model that leans the other way.
    turned = Explanation(
        e.title, e.design, e.fit, e.pooling,
        type(e.weights)(lm=e.weights.mixed, mixed=e.weights.lm, parts=-e.weights.parts), e.lines,
    )  # fmt: skip
    text = " ".join(why(turned))
    assert "leans" not in text
    assert "from 24 % to 6 % in Intercept" in text


@pytest.mark.parametrize("seed", range(12))
def test_the_numbers_in_the_closing_paragraph_are_the_models(seed: int):
    sizes = np.random.default_rng(seed).integers(1, 15, size=7).tolist()
    e = explain(design(clusters(seed, sizes), "y ~ w + (1|g)"))
    text = " ".join(why(e))
    if e.tau2 == 0:
        assert "is 0" in text
        return
    small = e.pooling.sizes == e.pooling.sizes.min()
    shares = [
        [np.abs(w[small]).sum() / np.abs(w).sum() for w in pair]
        for pair in zip(e.weights.lm, e.weights.mixed, strict=True)
    ]
    if "leans towards the smallest" in text:
        assert all(before < after for before, after in shares)
    for before, after in re.findall(r"from (\d+) % to (\d+) % in", text):
        assert any(f"{100 * b:.0f}" == before and f"{100 * a:.0f}" == after for b, a in shares)
    largest = np.abs(e.pooling.shrinkage).argmax()
    assert f"of g {e.pooling.clusters[largest]} (" in text


def test_an_engine_of_choice_is_explained():
    e = explain(corpus_design("seed_case1"), "statsmodels")
    assert e.fit.engine == "statsmodels"
    assert e.tau2 != explained("seed_case1").tau2
    assert e.tau2 == pytest.approx(explained("seed_case1").tau2, rel=1e-3)  # its early stop


def test_a_wrong_prediction_shows_in_the_steps():
    """The identity of step 5 is computed from the fit, not taken for granted."""
    model = corpus_design("seed_case1")
    fit = make_engine("certified").fit(model)
    blup = fit.quantities["blup[cluster]"]
    values = blup.values + 4e-3 * (np.arange(8) == 0)[:, None]
    moved = Quantity(blup.name, values, blup.rows, blup.columns)
    e = explanation_of(model, type(fit)("moved", "ok", {**fit.quantities, blup.name: moved}))
    # One of four control clusters is predicted 4e-3 too high: their mean by 1e-3, of 6.87.
    assert "fixed effects, to 0.0001 of the largest mean" in steps(e)[-1].text
    assert "0.0001 of the largest" not in steps(explained("seed_case1"))[-1].text


def test_limits_of_the_weights():
    model = corpus_design("seed_case2")
    none, all_ = (cluster_weights_of(model, tau2, 1.0) for tau2 in (0.0, 1e12))
    assert np.abs(none.mixed - none.lm).max() <= 1e-14  # a few roundings of weights below 1
    assert np.abs(np.abs(all_.mixed[1]) - 0.25).max() <= 1e-11  # sigma2 / (n tau2), n >= 2


def test_the_terminal_shows_every_step(capsys: pytest.CaptureFixture[str]):
    print_explanation(Console(width=160, highlight=False), explained("seed_case1"))
    shown = capsys.readouterr().out
    for title in [step.title for step in steps(explained("seed_case1"))]:
        assert title in shown
    assert "-1.5513" in shown
    assert shown.index("5. Where the line") < shown.index("Why\n")


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["pp-compare", "explain", *map(str, arguments)])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    return int(exit_.value.code or 0)


def test_a_file_never_seen_before_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    data, out = tmp_path / "f.csv", tmp_path / "out"
    clusters(9, [2, 9, 4, 7]).to_csv(data, index=False)
    assert run(monkeypatch, "--data", data, "--formula", "y ~ w + (1|g)", "--out", out) == 0
    assert "22 rows in 4 clusters (g), of 2 to 9 rows" in capsys.readouterr().out
    page = (out / "explain.html").read_text()
    assert "22 rows in 4 clusters (g), of 2 to 9 rows" in page
    assert {path.name for path in out.iterdir()} == {
        "explain.html", "lines.svg", "refit.svg", "points.svg", "weights.svg",
    }  # fmt: skip


def test_each_method_that_was_asked_for_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    asked = ("--method", "reml", "--method", "ml")
    assert run(monkeypatch, "seed_case1", *asked, "--out", tmp_path) == 0
    shown = capsys.readouterr().out
    assert shown.index("(1|cluster), REML") < shown.index("(1|cluster), ML")
    assert {path.name for path in tmp_path.iterdir()} == {"REML", "ML"}
    assert run(monkeypatch, "seed_case1", "--method", "ml") == 0
    assert "(1|cluster), REML" not in capsys.readouterr().out
    assert run(monkeypatch, "seed_case1") == 0
    assert "(1|cluster), ML" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "give either a named case or --data with --formula"),
        (
            ("seed_case1", "--data", "f.csv", "--formula", "y ~ 1 + (1|g)"),
            "give either a named case",
        ),
        (("seed_case9",), "no case 'seed_case9'"),
        (("seed_case1", "--engine", "nonsense"), "no engine 'nonsense'"),
        (("seed_case1", "--na", "guess"), "--na is raise or drop, not 'guess'"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    arguments: tuple[str, ...],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    assert run(monkeypatch, *arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_inference_comes_with_the_explanation_where_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert run(monkeypatch, "seed_case1", "--inference") == 0
    shown = capsys.readouterr().out
    assert "kenward-roger" in shown
    assert "5.997372" in shown
