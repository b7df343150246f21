"""Inference by its definitions: published tables, R's own values, and an independent derivation."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from flint import arb, ctx

from pp_compare.certified.components.blocks import RandomBlock
from pp_compare.certified.general.approximations import scaled_f
from pp_compare.certified.general.optimum import general_optimum
from pp_compare.certified.models import certified_model
from pp_compare.data.files import read_dataset
from pp_compare.engines import make_engine
from pp_compare.errors import EngineError, InputError, UnavailableError
from pp_compare.inferences import r_inference
from pp_compare.inferences.inference import ModelInference, joint_wald, own_inference
from pp_compare.inferences.marginal import marginal_rows
from pp_compare.inferences.r_inference import SOURCES, all_inference, recorded_inference
from pp_compare.inferences.r_inference import r_inference as ask_r
from pp_compare.inferences.table import DEFINITIONS, Estimate, InferenceTable, by_t
from pp_compare.model import Method
from pp_compare.model.design import build_design
from pp_compare.model.formula import parse_formula
from pp_compare.report.explain.inference_tables import defined_tables
from pp_compare.resources import resource
from tests.examples import clusters, corpus_design, design

PUBLISHED = json.loads(resource("fixtures", "published", "seed.json").read_text())["cases"]
SEEDS = ("seed_case1", "seed_case2", "seed_case3")
NUMBERS = ("estimate", "se", "df_above", "df", "statistic", "p", "lower", "upper")


@cache
def own(name: str, method: Method = "REML") -> Mapping[str, InferenceTable]:
    tables, _ = own_inference(corpus_design(name, method), "predictor")
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
    themselves in these cases, and its Satterthwaite differentiates numerically. lme4 draws a spline
    through some ten points of a profile: four digits of a standard error, of which an interval
    has four.
    """
    ours, theirs = own(name, method), recorded(name, method)
    assert set(ours) == set(theirs)
    for definition, table in ours.items():
        for a, b in zip(table.lines, theirs[definition].lines, strict=True):
            assert a.term == b.term
            for field in NUMBERS:
                x, y = getattr(a, field), getattr(b, field)
                if math.isnan(y) or math.isinf(y):
                    assert x == y or (math.isnan(x) and math.isnan(y))
                    continue
                scale = max(abs(y), b.se if math.isfinite(b.se) else 0.0)
                bound = 1e-5 * scale
                if definition == "profile" and field != "estimate":
                    bound = 1e-4 * (b.upper - b.lower) / 4
                assert abs(x - y) <= bound, (definition, a.term, field, x, y)


def test_two_definitions_differ_where_they_are_two():
    """A test above that is passed by any definition would say nothing."""
    tables = own("seed_case1")
    df = [
        tables[name].lines[0].df
        for name in ("kenward-roger", "satterthwaite", "containment", "wald")
    ]
    assert len({round(value, 2) for value in df}) == 4


# By design: Kenward and Roger's df are those of the exact F tests of these balanced experiments.
EXACT = {
    "sleepstudy": ({"Intercept": 17, "Days": 17}, {"Days": 17}),  # subjects less one
    "BodyWeight": ({"Time": 13, "Diet[T.2]": 13}, {"Diet": 13, "Time:Diet": 13}),  # rats less diets
    "Oats": ({"nitro": 51}, {"nitro": 51, "nitro:Variety": 51}),
    "Machines": ({"Machine[T.B]": 10}, {"Machine": 10}),
}


@pytest.mark.parametrize("name", EXACT)
def test_degrees_of_freedom_of_balanced_experiments(name: str):
    contrasts, terms = EXACT[name]
    found = ModelInference(corpus_design(name))
    rows = dict(zip(found.design.labels, np.eye(len(found.design.labels)), strict=True))
    for definition in (found.kenward_roger, found.satterthwaite):
        for label, df in contrasts.items():
            # Rounded from balls of 28 digits.
            assert definition(label, rows[label]).df == pytest.approx(df, rel=1e-15)
    tests = found.term_tests()
    for test in ("f:kenward-roger", "f:satterthwaite"):
        lines = {line.term: line for line in tests[test]}
        for term, df in terms.items():
            assert lines[term].df == pytest.approx(df, rel=1e-15)


def test_the_assay_has_twenty_degrees_of_freedom_in_every_test_of_its_blocks():
    """Of the interaction, which is tested against rows within samples and dilutions of a block."""
    found = ModelInference(corpus_design("Assay"))
    lines = {line.term: line for line in found.term_tests()["f:kenward-roger"]}
    assert lines["sample:dilut"].df == pytest.approx(20, rel=1e-15)


def test_machines_by_worker_where_the_formula_divides_by_zero():
    """Hotelling's T2 of two contrasts on five degrees of freedom: F(2, 4), its V2 exactly 0.

    A worker's machines vary together in any way, so the test of no difference is the one of two
    means in six workers: T2 (6 - 2) / (2 (6 - 1)) by numpy.
    """
    model = corpus_design("Machines_by_worker")
    found = ModelInference(model)
    line = found.term_tests()["f:kenward-roger"][0]
    frame = model.dataset.frame
    means = frame.groupby(["Worker", "Machine"]).score.mean().unstack()
    differences = means.to_numpy()[:, 1:] - means.to_numpy()[:, :1]
    average = differences.mean(axis=0)
    T2 = 6 * average @ np.linalg.solve(np.cov(differences.T), average)
    assert line.df == pytest.approx(4, rel=1e-15)
    assert line.statistic == pytest.approx(T2 * 4 / 10, rel=1e-12)


def test_the_paired_design_of_mmrm_issue_510():
    """Student's sleep data: Kenward-Roger leaves the standard error of the paired t test, df 9.

    https://github.com/openpharma/mmrm/issues/510, where it was 0.3386 by second derivatives in
    another parametrisation; V is linear here, and 0.388958... is sd(differences) / sqrt(10).
    """
    first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    frame = pd.DataFrame(
        {"extra": [*first, *second], "group": ["1"] * 10 + ["2"] * 10,
         "ID": [f"s{i}" for i in range(10)] * 2}
    )  # fmt: skip
    found = ModelInference(design(frame, "extra ~ group + (1|ID)"))
    line = found.kenward_roger("group", np.array([0.0, 1.0]))
    # The doubles of these decimals; the last digits of 0.38895872388739524381 are of the decimals.
    assert line.se == pytest.approx(0.38895872388739524381, rel=1e-14)
    assert line.df == pytest.approx(9, rel=1e-14)
    assert line.estimate == pytest.approx(1.58, rel=1e-14)


@pytest.mark.parametrize(("family", "limit"), [("analysis of variance", 1.0), ("T2", 2 / 4)])
def test_the_scale_has_a_limit_where_it_is_zero_by_zero(family: str, limit: float):
    """At m = 2, l = 3: A1 = l A2 is analysis of variance, A1 = 2 A2 / (l + 1) Hotelling's T2."""
    with ctx.workprec(128):
        A2 = arb(3)
        A1 = 3 * A2 if limit == 1 else 2 * A2 / 4
        m, scale = scaled_f(A1, A2, 3)
        near = scaled_f(A1 * (1 + arb(2) ** -40), A2 * (1 + arb(2) ** -40), 3)
    assert float(m) == 2
    assert float(scale) == pytest.approx(limit)
    assert float(near[1]) == pytest.approx(limit, rel=1e-10)


def test_a_boundary_is_named_and_satterthwaite_is_along_it():
    tables, remarks = own_inference(corpus_design("no_between_variance"))
    found = {table.definition: table.lines for table in tables}
    assert "satterthwaite" not in found
    assert {"kenward-roger", "kenward-roger-face", "wald"} <= set(found)
    # What is left is least squares: 37 rows, 2 columns.
    for name in ("satterthwaite-face", "kenward-roger-face"):
        assert [line.df for line in found[name]] == [35, 35]
    assert "the variance of Intercept by cluster is 0" in remarks[0]


@pytest.mark.parametrize("name", ["Orthodont", "Penicillin"])
def test_profile_ends_lie_where_the_deviance_has_risen_by_the_quantile(name: str):
    """The certified ML deviance of ``y - end x`` without x, of which nothing above is made."""
    model = corpus_design(name, "ML")
    table = next(t for t in own_inference(model)[0] if t.definition == "profile")
    lowest = certified_model(model).optimum.deviance
    x, others = model.X[:, -1], model.X[:, :-1]
    blocks = [RandomBlock(block.codes, block.Z) for block in model.blocks]
    for end in (table.lines[-1].lower, table.lines[-1].upper):
        held = general_optimum(model.y - end * x, others, blocks, reml=False)
        # Rounding of y - end x, and the root's 1e-9 times its slope.
        assert float(held.deviance) - lowest == pytest.approx(3.841458820694124, rel=1e-7)


def test_kenward_roger_is_for_reml():
    assert "kenward-roger" not in own("seed_case1", "ML")


def test_containment_tells_levels_apart():
    """12 clusters of 5: w has 12 - 2, x and the intercept 60 - 12 - 1."""
    model = design(clusters(1, [5] * 12), "y ~ x + w + (1|g)")
    table = next(t for t in own_inference(model)[0] if t.definition == "containment")
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
    table = next(t for t in own_inference(model)[0] if t.definition == "containment")
    assert [line.df for line in table.lines] == CONTAINED[formula]


def test_the_intercept_has_the_largest_containment_of_its_levels():
    """nlme: df 5 and p 0.0125 where the clusters leave more than the rows, 6 - 1 and 9 - 6 - 1."""
    data = read_dataset(Path(__file__).parents[1] / "cases" / "containment_intercept.csv")
    model = build_design(data, parse_formula("y ~ x + (1|g)", "REML"))
    table = next(t for t in own_inference(model)[0] if t.definition == "containment")
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
    assert set(DEFINITIONS) >= {*SOURCES, "joint-wald"}
    assert all(d.endswith("-face") for d in set(DEFINITIONS) - {*SOURCES, "joint-wald"})


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
    request = {"lme4": {"response": "nowhere"}, "levels": {}}, model.frame
    monkeypatch.setattr(r_inference, "_request", lambda *_: request)
    with pytest.raises(EngineError, match="R: "):
        ask_r(model)
