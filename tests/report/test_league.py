"""The league is what the report says: counted here on fits made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pp_compare.audits.judging import judge
from pp_compare.audits.provenance import collect_provenance
from pp_compare.audits.selection import Selection
from pp_compare.data.corpus import case
from pp_compare.engines import make_engine
from pp_compare.model import Fit, Method, Quantity
from pp_compare.model.formula import parse_formula
from pp_compare.report.document import to_markdown
from pp_compare.report.league.tables import (
    ability_table,
    digits_table,
    kind_of_model,
    league_document,
    league_of,
    standing_table,
)
from pp_compare.report.record import Report
from tests.examples import corpus_design


def changed(fit: Fit, **values: float) -> Fit:
    """The fit with other numbers."""
    quantities = dict(fit.quantities)
    for kind, factor in values.items():
        for name in [n for n in quantities if n.partition("[")[0] == kind]:
            q = quantities[name]
            quantities[name] = Quantity(name, q.values * factor, q.rows, q.columns)
    return replace(fit, quantities=quantities)


def candidates(truth: Fit, wrong: Fit | None) -> dict[str, Fit]:
    """Engines that are right, short of the optimum, of another estimator, and that fail."""
    short = changed(truth, random_cov=1.1)
    moments = replace(changed(truth, random_cov=1.2), estimator="moments")
    found = {
        "slow": replace(truth, seconds=0.4, versions={"slow": "1.0"}),
        "lme4": replace(truth, seconds=0.1, versions={"lme4": "1.1-31", "R": "4.2.2"}),
        "short": replace(short, seconds=0.2, not_given={}),
        "moments": replace(
            moments,
            seconds=0.1,
            quantities={n: q for n, q in moments.quantities.items() if n != "loglik"},
            not_given={"loglik": "it has no likelihood"},
        ),
        "broken": Fit.failed("broken", "ValueError: no"),
        "narrow": Fit.unsupported("narrow", "not this one"),
    }
    if wrong is not None:
        found["wrong"] = replace(wrong, seconds=0.1)
    return {engine: replace(fit, engine=engine) for engine, fit in found.items()}


@pytest.fixture(scope="module")
def report() -> Report:
    cases = []
    methods: list[tuple[str, Method]] = [("seed_case1", "REML"), ("seed_case3", "ML")]
    for name, method in methods:
        known, design = case(name), corpus_design(name, method)
        truth = make_engine("certified").fit(design)
        fits = {**candidates(truth, None), "certified": truth}
        selection = Selection(name, known.dataset, known.formula, method)
        cases.append(judge(selection, design, fits, []))
    fits = [fit for c in cases for fit in c.fits.values()]
    return Report(collect_provenance(fits, {"lme4": "lme4"}, "test"), tuple(cases), 1.0)


def row(table, engine: str) -> dict[str, str]:
    (cells,) = [cells for cells in table.rows if cells[0] == engine]
    return dict(zip(table.columns, cells, strict=True))


def test_each_engine_is_counted_where_it_stopped(report: Report) -> None:
    table = standing_table(league_of(report))
    assert row(table, "lme4")["at the optimum"] == "2"
    assert row(table, "short")["short of it"] == "2"
    assert row(table, "moments")["other estimator"] == "2"
    assert row(table, "broken")["failed"] == "2"
    assert row(table, "narrow")["failed"] == "0"
    assert row(table, "lme4")["version"] == "1.1-31"


def test_times_are_compared_with_the_yardstick(report: Report) -> None:
    table = standing_table(league_of(report))
    assert row(table, "slow")["times lme4"] == "4"
    assert row(table, "slow")["seconds"] == "0.4"
    assert row(table, "broken")["seconds"] == ""


def test_the_certified_engine_takes_no_part_and_the_best_come_first(report: Report) -> None:
    engines = [cells[0] for cells in standing_table(league_of(report)).rows]
    assert "certified" not in engines
    assert engines[:2] == ["lme4", "slow"]


def test_digits_are_those_of_the_report(report: Report) -> None:
    table = digits_table(report, league_of(report))
    assert row(table, "lme4")["random_cov"] == "15.0 / 15.0"
    assert row(table, "short")["random_cov"] == "1.0 / 1.0"
    assert row(table, "moments")["loglik"] == "-"


def test_what_each_can_fit_and_why_not(report: Report) -> None:
    table = ability_table(league_of(report))
    assert row(table, "lme4")["random intercept"] == "REML ML"
    assert row(table, "narrow")["random intercept"] == "-"
    assert row(table, "narrow")["models"] == "0 of 2"
    text = to_markdown(league_document(report, {"absent": "not installed"}))
    assert "narrow left out: not this one (2 models)" in text
    assert "moments has no loglik: it has no likelihood (2 models)" in text
    assert "absent took no part: not installed" in text


def test_a_worse_local_optimum_is_counted() -> None:
    known, design = case("two_optima_ml"), corpus_design("two_optima_ml", "ML")
    truth = make_engine("certified").fit(design)
    # The other optimum of this case: tau2 / sigma2 = 1.41298592176, with the sigma found there.
    sigma = 1.9398734766
    other = dict(truth.quantities)
    effects = other["random_cov[cluster]"]
    value = np.array([[1.41298592176 * sigma**2]])
    other["random_cov[cluster]"] = Quantity(effects.name, value, effects.rows, effects.columns)
    other["sigma"] = Quantity("sigma", np.array(sigma))
    fits = {"wrong": replace(truth, engine="wrong", quantities=other), "certified": truth}
    selection = Selection(known.name, known.dataset, known.formula, "ML")
    provenance = collect_provenance(fits.values(), {}, "test")
    league = league_of(Report(provenance, (judge(selection, design, fits, []),), 1.0))
    assert row(standing_table(league), "wrong")["wrong optimum"] == "1"


@pytest.mark.parametrize(
    ("formula", "kind"),
    [
        ("y ~ x + (1|g)", "random intercept"),
        ("y ~ x + (x||g)", "independent effects"),
        ("y ~ x + (0 + x|g)", "independent effects"),
        ("y ~ x + (x|g)", "correlated effects"),
        ("y ~ x + (1|a/b)", "several groups"),
        ("y ~ x + (x|a) + (1|b)", "several groups, correlated"),
    ],
)
def test_kinds_of_models(formula: str, kind: str) -> None:
    assert kind_of_model(parse_formula(formula)) == kind
