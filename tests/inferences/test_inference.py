"""Inference by its definitions: published tables, R's own values, and an independent derivation."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from pp_compare.data.files import read_dataset
from pp_compare.engines import make_engine
from pp_compare.errors import EngineError, InputError, UnavailableError
from pp_compare.inferences import r_inference
from pp_compare.inferences.inference import (
    DEFINITIONS,
    Estimate,
    InferenceTable,
    InterceptInference,
    by_t,
    joint_wald,
    marginal_rows,
    own_inference,
)
from pp_compare.inferences.r_inference import SOURCES, all_inference, recorded_inference
from pp_compare.inferences.r_inference import r_inference as ask_r
from pp_compare.model import Method
from pp_compare.model.design import build_design
from pp_compare.model.formula import parse_formula
from pp_compare.report.explain.inference_tables import defined_tables
from pp_compare.resources import resource
from tests.examples import clusters, corpus_design, design

PUBLISHED = json.loads(resource("fixtures", "published", "seed.json").read_text())["cases"]
SEEDS = ("seed_case1", "seed_case2", "seed_case3")
NUMBERS = ("estimate", "se", "df", "statistic", "p", "lower", "upper")


@cache
def own(name: str, method: Method = "REML") -> Mapping[str, InferenceTable]:
    tables = own_inference(corpus_design(name, method), "predictor")
    return {table.definition: table for table in tables}


@cache
def recorded(name: str, method: Method = "REML") -> Mapping[str, InferenceTable]:
    found = recorded_inference(corpus_design(name, method), name)
    assert found.recorded
    return {table.definition: table for table in found.tables}


def assert_printed(line: Estimate, printed: Mapping[str, str]) -> None:
    for key, field in {
        "mean": "estimate",
        "se": "se",
        "df": "df",
        "lower": "lower",
        "upper": "upper",
    }.items():
        text = printed[key]
        half = 0.5 * 10.0 ** -len(text.partition(".")[2])
        assert abs(getattr(line, field) - float(text)) <= half * (1 + 1e-6), (key, text)


@pytest.mark.parametrize(
    ("published", "definition"), [("lm", "means:lm"), ("lmer", "means:kenward-roger")]
)
@pytest.mark.parametrize("source", [own, recorded])
def test_the_published_marginal_means(source, published: str, definition: str):
    """To every printed digit, from our own values and from R's."""
    lines = {line.term: line for line in source("seed_case1")[definition].lines}
    printed = PUBLISHED["seed_case1"]["emmeans"][published]
    assert set(lines) == set(printed)
    for term, row in printed.items():
        assert_printed(lines[term], row)


@pytest.mark.parametrize("method", ["REML", "ML"])
@pytest.mark.parametrize("name", SEEDS)
def test_our_values_are_those_of_r(name: str, method: Method):
    """Within 1e-5 of a value, or of a standard error for what may be near 0.

    R's values stand at lmer's and lme's optimum: their variances are off by up to 1e-6 of
    themselves in these cases, and its Satterthwaite differentiates numerically.
    """
    ours, theirs = own(name, method), recorded(name, method)
    assert set(ours) - set(theirs) == set()
    for definition, table in ours.items():
        for a, b in zip(table.lines, theirs[definition].lines, strict=True):
            assert a.term == b.term
            for field in NUMBERS:
                x, y = getattr(a, field), getattr(b, field)
                if math.isnan(y) or math.isinf(y):
                    assert x == y or (math.isnan(x) and math.isnan(y))
                    continue
                scale = max(abs(y), b.se if math.isfinite(b.se) else 0.0)
                assert abs(x - y) <= 1e-5 * scale, (definition, a.term, field, x, y)


def test_two_definitions_differ_where_they_are_two():
    """A test above that is passed by any definition would say nothing."""
    tables = own("seed_case1")
    df = [
        tables[name].lines[0].df
        for name in ("kenward-roger", "satterthwaite", "containment", "wald")
    ]
    assert len({round(value, 2) for value in df}) == 4


@pytest.mark.parametrize("formula", ["y ~ w + (1|g)", "y ~ x + w + (1|g)", "y ~ 0 + x + (1|g)"])
def test_kenward_roger_from_dense_matrices(formula: str):
    """Against Kenward and Roger (1997) with V written out; numerical derivatives for nothing."""
    model = design(clusters(4, [2, 3, 4, 5, 6, 3]), formula)
    found = InterceptInference(model)
    codes, X = found.codes, model.X
    Z = (codes[:, None] == np.arange(codes.max() + 1)).astype(float)
    G = [np.eye(len(X)), Z @ Z.T]
    V_inv = np.linalg.inv(found.sigma2 * G[0] + found.tau2 * G[1])
    cov = np.linalg.inv(X.T @ V_inv @ X)
    P_matrix = V_inv - V_inv @ X @ cov @ X.T @ V_inv
    info = np.array([[np.trace(P_matrix @ a @ P_matrix @ b) for b in G] for a in G])
    W = 2 * np.linalg.inv(info)
    P = [-X.T @ V_inv @ g @ V_inv @ X for g in G]
    Q = [[X.T @ V_inv @ a @ V_inv @ b @ V_inv @ X for b in G] for a in G]
    L = sum(W[i, k] * (Q[i][k] - P[i] @ cov @ P[k]) for i in range(2) for k in range(2))
    adjusted = cov + 2 * cov @ L @ cov
    for k, label in enumerate(model.labels):
        row = np.eye(X.shape[1])[k]
        theta = np.outer(row, row) / (row @ cov @ row)
        a2 = sum(
            W[i, j] * np.trace(theta @ cov @ P[i] @ cov @ theta @ cov @ P[j] @ cov)
            for i in range(2)
            for j in range(2)
        )
        line = found.kenward_roger(label, row)
        # 1e-9: dense inverses of matrices with condition below 1e3, a few n eps of each other.
        assert line.se == pytest.approx(np.sqrt(adjusted[k, k]), rel=1e-9)
        assert line.df == pytest.approx(2 / a2, rel=1e-9)


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_satterthwaite_from_second_differences(method: Method):
    """The observed information against second differences of the deviance itself."""
    model = design(clusters(4, [2, 3, 4, 5, 6, 3]), "y ~ w + (1|g)", method)
    found = InterceptInference(model)
    from pp_compare.certified.models import certified_model

    certified = certified_model(model)

    def deviance(sigma2: float, tau2: float) -> float:
        return certified.deviance(np.sqrt(sigma2), {"g": np.array([[tau2]])})

    at, h = np.array([found.sigma2, found.tau2]), 1e-3
    steps = h * np.eye(2) * at[:, None]
    second = np.array(
        [
            [
                sum(
                    s * t * deviance(*(at + s * steps[i] + t * steps[k]))
                    for s in (-1, 1)
                    for t in (-1, 1)
                )
                / (4 * steps[i, i] * steps[k, k])
                for k in range(2)
            ]
            for i in range(2)
        ]
    )
    # Central differences: h^2 of the fourth derivatives, relative; 1e-4 leaves a factor of 100.
    assert found._observed == pytest.approx(second, rel=1e-4)


def test_satterthwaite_is_not_given_at_the_boundary():
    definitions = {
        table.definition for table in own_inference(corpus_design("no_between_variance"))
    }
    assert "satterthwaite" not in definitions
    assert {"kenward-roger", "wald"} <= definitions


def test_kenward_roger_is_for_reml():
    assert "kenward-roger" not in own("seed_case1", "ML")


def test_containment_tells_levels_apart():
    """12 clusters of 5: w has 12 - 2, x and the intercept 60 - 12 - 1."""
    model = design(clusters(1, [5] * 12), "y ~ x + w + (1|g)")
    table = next(t for t in own_inference(model) if t.definition == "containment")
    assert [line.df for line in table.lines] == [47, 47, 10]


CONTAINED = {
    # Pinheiro and Bates 2000, p. 91, by hand: m clusters of n rows, the levels' own columns.
    "y ~ 1 + (1|g)": [20],  # max(4 - 1, 24 - 4)
    "y ~ w + (1|g)": [20, 2],
    "y ~ x + w + (1|g)": [19, 19, 2],
    "y ~ 0 + x + w + (1|g)": [20, 3],  # no constant: the rows keep the one it would take
    "y ~ 0 + c + x + (1|g)": [19, 19],  # a constant by another name
}


@pytest.mark.parametrize("formula", CONTAINED)
def test_containment_by_hand(formula):
    frame = clusters(1, [6] * 4)
    frame["c"] = 2.0
    model = design(frame, formula)
    table = next(t for t in own_inference(model) if t.definition == "containment")
    assert [line.df for line in table.lines] == CONTAINED[formula]


def test_the_intercept_has_the_largest_containment_of_its_levels():
    """nlme: df 5 and p 0.0125 where the clusters leave more than the rows, 6 - 1 and 9 - 6 - 1."""
    data = read_dataset(Path(__file__).parents[1] / "cases" / "containment_intercept.csv")
    model = build_design(data, parse_formula("y ~ x + (1|g)", "REML"))
    table = next(t for t in own_inference(model) if t.definition == "containment")
    assert [line.df for line in table.lines] == [5, 2]
    assert table.lines[0].p == pytest.approx(0.01254770, rel=1e-4)


def test_marginal_rows_average_over_the_rest():
    frame = clusters(1, [4] * 6)
    frame["f"] = ["u", "v"] * 12
    frame["k"] = ["a", "b", "c"] * 8
    model = design(frame, "y ~ x + f + k + (1|g)")
    rows = marginal_rows(model, "f")
    assert model.labels == ("Intercept", "x", "f[T.v]", "k[T.b]", "k[T.c]")
    assert rows["u"] == pytest.approx([1, frame.x.mean(), 0, 1 / 3, 1 / 3], rel=1e-15)
    assert rows["v"] == pytest.approx([1, frame.x.mean(), 1, 1 / 3, 1 / 3], rel=1e-15)
    with pytest.raises(InputError, match="'x' is not a factor"):
        marginal_rows(model, "x")


def test_statsmodels_has_a_definition_of_its_own():
    table = joint_wald(make_engine("statsmodels").fit(corpus_design("seed_case1")))
    assert table.definition == "joint-wald"
    assert table.lines[1].df == math.inf
    assert set(DEFINITIONS) == {*SOURCES, "joint-wald"}


def test_a_record_of_other_data_is_refused():
    other = design(clusters(1, [3, 4, 5]), "y ~ w + (1|g)")
    with pytest.raises(UnavailableError, match="recorded of other data"):
        recorded_inference(other, "seed_case1")
    with pytest.raises(UnavailableError, match="no inference of R is recorded for 'nothing'"):
        recorded_inference(other, "nothing")


def test_without_r_the_record_is_played_back_and_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(r_inference.shutil, "which", lambda _: None)
    tables, remarks = all_inference(corpus_design("seed_case1"), "seed_case1", "predictor")
    assert "played back from a record" in remarks[0]
    assert {"lme4 + pbkrtest", "nlme", "certified", "statsmodels"} <= {t.source for t in tables}
    tables, remarks = all_inference(corpus_design("Dyestuff"), "Dyestuff")
    (remark,) = remarks
    assert "pp-compare doctor says how to install it here" in remark
    assert "no inference of R is recorded for 'Dyestuff'" in remark
    assert {t.source for t in tables} == {"certified", "statsmodels"}


def test_one_table_holds_one_definition():
    tables = [*own("seed_case1").values(), *recorded("seed_case1").values()]
    shown = {part.title: part.table for part in defined_tables(tables)}
    assert set(shown) == {t.definition for t in tables}
    sources = {row[1] for row in shown["kenward-roger"].rows}
    assert sources == {"certified", "lme4 + pbkrtest"}
    assert "se" not in shown["likelihood-ratio"].columns


def test_lines_that_differ_from_ours_are_marked():
    """As of an nlme with other degrees of freedom: every number that follows from them."""
    ours = next(t for t in own("seed_case1").values() if t.definition == "containment")
    line = ours.lines[0]
    other = by_t(line.term, line.estimate + 1e-6 * line.se, line.se, line.df / 4)
    near = by_t(line.term, line.estimate + 1e-6 * line.se, line.se, line.df)
    for theirs, marks in ((other, "df, lower, upper"), (near, None)):
        tables = [ours, InferenceTable("containment", "nlme", (theirs, *ours.lines[1:]))]
        (part,) = defined_tables(tables)
        if marks is None:
            assert part.table.columns[-1] == "upper"
            continue
        assert part.table.columns[-1] == "differs in"
        marked = {row[:2]: row[-1] for row in part.table.rows if row[-1]}
        assert set(marked) == {(line.term, "nlme")}
        assert marks in marked[line.term, "nlme"].replace("p, ", "")


@pytest.mark.needs_r
def test_live_r_answers_as_recorded():
    """The same packages give the same numbers; names that R would run are data to it."""
    model = corpus_design("seed_case1")
    live = ask_r(model, "predictor")
    record = recorded_inference(model, "seed_case1")
    if live.versions != record.versions:
        pytest.skip(f"recorded with {dict(record.versions)}, here is {dict(live.versions)}")
    # repr: nan is nan.
    assert repr(live.tables) == repr(record.tables)


@pytest.mark.needs_r
def test_names_and_labels_are_data_to_r(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    frame = clusters(2, [4, 5, 6, 7]).rename(columns={"w": "system('touch ran')"})
    frame["g"] = frame["g"].str.replace("g00", "'); file.create('ran'); ('")
    frame["f"] = ["system('touch ran')", 'b"'] * 11
    model = design(frame, "y ~ f + (1|g)")
    wald = next(t for t in ask_r(model, "f").tables if t.definition == "wald")
    assert [line.term for line in wald.lines] == ["Intercept", "f[T.system('touch ran')]"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.needs_r
def test_what_r_says_of_an_error_is_passed_on(monkeypatch: pytest.MonkeyPatch):
    model = corpus_design("seed_case1")
    monkeypatch.setattr(r_inference, "_request", lambda *_: {"response": "nowhere"})
    with pytest.raises(EngineError, match="R: "):
        ask_r(model)
