"""Names and levels that look like markup: shown as they are, in every table and title."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pp_compare.audits.judging import judge
from pp_compare.audits.selection import Selection
from pp_compare.data.files import read_dataset
from pp_compare.engines import make_engine
from pp_compare.inferences.explain import Explanation, explain
from pp_compare.inferences.explain_glmm import GlmmExplanation, glmm_explanation_of
from pp_compare.inferences.inference import own_inference
from pp_compare.model import Dataset, Fit
from pp_compare.model.answer import labelled
from pp_compare.model.design import Design, build_design
from pp_compare.model.formula import parse_formula
from pp_compare.model.glmm import build_glmm_design
from pp_compare.report.audit.evidence import camis_table, qualification
from pp_compare.report.audit.gallery import gallery
from pp_compare.report.audit.html import report_html
from pp_compare.report.audit.json import to_json
from pp_compare.report.audit.terminal import print_report
from pp_compare.report.campaign.terminal import print_campaign
from pp_compare.report.document import to_markdown, to_page
from pp_compare.report.explain.glmm_figures import glmm_figures
from pp_compare.report.explain.glmm_html import glmm_html
from pp_compare.report.explain.html import explanation_html
from pp_compare.report.explain.terminal import print_explanation, print_inference
from pp_compare.report.league.tables import league_document
from pp_compare.report.league.terminal import print_league
from pp_compare.report.record import Report
from pp_compare.report.rich_table import rich_table
from pp_compare.report.table import Table
from pp_compare.verdict.deviations import load_deviations
from tests.campaign.test_statistics import plan
from tests.campaign.test_statistics import report as campaign_report
from tests.refusing_console import RefusingConsole, printed
from tests.report.conftest import PROVENANCE

CASES = Path(__file__).parents[1] / "cases"
LEVELS = ("[low]", "[/high]", "a | `b`", "<b>&lt;", "two\nlines", "\x1b[31mred", ":heart:")
"""Markup of rich, a table, code, a tag, a line break, a colour of a terminal, a picture."""


def odd_dataset() -> Dataset:
    """Every level of LEVELS as a group and as a level of a factor; nothing singular."""
    n = len(LEVELS)
    rows = pd.DataFrame({"[g]": [x for x in LEVELS for _ in range(4)]})
    rows["d"] = [LEVELS[(i // 4 + i % 4) % n] for i in range(4 * n)]
    rows["y"] = [float((7 * i * i + 3 * (i // 4)) % 23) for i in range(4 * n)]
    return Dataset("[data] :heart:", rows)


def audited(dataset: Dataset, formula: str, *engines: str) -> Report:
    selection = Selection(dataset.name, dataset, formula, "REML", f"[why] {LEVELS[3]}")
    design = build_design(dataset, parse_formula(formula, "REML"))
    fits = {
        engine: replace(make_engine(engine).fit(design), engine=engine)
        for engine in (*engines, "certified")
    }
    return Report(PROVENANCE, (judge(selection, design, fits, load_deviations()),), 1.0)


@pytest.fixture(scope="module")
def odd() -> Report:
    return audited(odd_dataset(), "y ~ 0 + d + (1|`[g]`)", "statsmodels", "statsmodels:lbfgs")


@pytest.fixture(scope="module")
def odd_explanation() -> tuple[Explanation, Design]:
    design = build_design(odd_dataset(), parse_formula("y ~ d + (1|`[g]`)", "REML"))
    return explain(design, title="[data] :heart:"), design


def unbroken(text: str) -> str:
    """Without the breaks that a width made: a line of data is compared as a whole."""
    return "".join(text.split())


@pytest.mark.parametrize("width", [80, 200])
def test_groups_in_square_brackets_keep_their_names(width: int) -> None:
    dataset = read_dataset(CASES / "markup_groups.csv")
    report = audited(dataset, "y ~ 1 + (1|plate) + (1|sample)")
    shown = printed(lambda console: print_report(console, report, ()), width)
    rows = {" ".join(x[:-1]): float(x[-1]) for x in map(str.split, shown.splitlines()) if x[1:]
            and x[0].startswith("random_cov")}  # fmt: skip
    assert rows["random_cov[plate] Intercept"] == pytest.approx(4.1489, abs=1e-4)
    assert rows["random_cov[sample] Intercept"] == pytest.approx(0.9422, abs=1e-4)


def test_a_level_that_closes_markup_is_a_level() -> None:
    dataset = read_dataset(CASES / "markup_close.csv")
    report = audited(dataset, "y ~ 0 + dose + (1|g)", "statsmodels")
    shown = printed(lambda console: print_report(console, report, load_deviations()))
    assert "beta dose[[/high]]" in shown
    assert "beta dose[[low]]" in shown


@pytest.mark.parametrize("width", [80, 200])
def test_an_audit_in_a_terminal(odd: Report, width: int) -> None:
    shown = printed(lambda console: print_report(console, odd, load_deviations()), width)
    assert "\x1b" not in shown
    text = unbroken(shown)
    for seen in ("[low]", "[/high]", "a|`b`", "<b>&lt;", r"two\nlines", r"\x1b[31mred", ":heart:"):
        assert f"d[{seen}]" in text
    assert "random_cov[[g]]" in text
    assert "[data]:heart:" in text


def test_an_explanation_in_a_terminal(odd_explanation: tuple[Explanation, Design]) -> None:
    e, design = odd_explanation
    shown = printed(lambda console: print_explanation(console, e))
    shown += printed(lambda console: print_inference(console, own_inference(design)[0], ["[r]"]))
    assert "\x1b" not in shown
    for seen in ("[/high]", "a | `b`", r"two\nlines", r"\x1b[31mred", "[r]", "[data] :heart:"):
        assert seen in shown


@pytest.fixture(scope="module")
def odd_glmm() -> GlmmExplanation:
    frame = odd_dataset().frame.assign(y=[i * i % 3 % 2 for i in range(4 * len(LEVELS))])
    dataset = Dataset("[data] :heart:", frame)
    design = build_glmm_design(dataset, "y ~ 1 + (1|`[g]`)", "binomial")
    values = {"beta": np.array([0.1]), "random_cov[[g]]": np.array([[0.5]])}
    fit = Fit("[engine]", "ok", labelled(design.design, values))
    return glmm_explanation_of(design, fit)


def test_a_generalised_explanation_in_a_terminal_and_as_a_page(odd_glmm: GlmmExplanation) -> None:
    shown = printed(lambda console: print_explanation(console, odd_glmm))
    assert "\x1b" not in shown
    for seen in ("[/high]", "a | `b`", r"two\nlines", r"\x1b[31mred", "[data] :heart:"):
        assert seen in shown
    page = glmm_html(odd_glmm, glmm_figures(odd_glmm))
    assert "<b>" not in page
    assert "\x1b" not in page
    assert "[/high]" in page


def test_a_league_in_a_terminal(odd: Report) -> None:
    document = league_document(odd, {"[none]": "not [here]"})
    shown = printed(lambda console: print_league(console, document))
    assert "[none]: not [here]" in " ".join(shown.split()) or "not [here]" in shown


def test_a_campaign_in_a_terminal(tmp_path: Path) -> None:
    found = campaign_report(plan(replications=10), tmp_path, 20)
    worst = replace(found.worst[-1], messages="[/high] :heart:", outcome="failure")
    engines = tuple(replace(e, engine=f"[{e.engine}]") for e in found.engines)
    odd = replace(found, worst=(worst,), engines=engines, name="[plan]", axes={"[x]": "[1, 2]"})
    shown = printed(lambda console: print_campaign(console, odd))
    for seen in ("[/high] :heart:", "[plan]", "[x]: [1, 2]", "[a]"):
        assert seen in shown


def test_a_table_of_many_columns() -> None:
    table = Table(tuple(f"[c{i}]" for i in range(14)), (tuple(f"[/x{i}]" for i in range(14)),))
    shown = printed(lambda console: console.print(rich_table(table)))
    assert "[c9]" in shown
    assert "[/x9]" in shown
    assert "4 more columns in the page" in shown


def test_the_console_of_these_tests_refuses_a_string_with_markup() -> None:
    with pytest.raises(AssertionError, match="a string, not a Text"):
        RefusingConsole().print("[plate] 1")


def test_markdown_and_pages_show_the_levels_and_run_nothing(
    odd: Report, odd_explanation: tuple[Explanation, Design]
) -> None:
    documents = [qualification(odd, ()), camis_table(odd, ()), league_document(odd, {})]
    for document in documents:
        for line in to_markdown(document).splitlines():
            assert not line.startswith("|") or _columns(line) == _columns_of(document, line)
        assert "<b>" not in to_page(document) + to_markdown(document)
    e, design = odd_explanation
    pictures = gallery(odd, lambda _: design)
    pages = [report_html(odd, load_deviations(), pictures), explanation_html(e)]
    for page in pages:
        assert "<b>" not in page
        assert "\x1b" not in page
        assert "[data] :heart:" in page
    assert "[/high]" in pages[1]
    assert json.loads(to_json(odd))["cases"][0]["case"] == "[data] :heart:"


def _columns(line: str) -> int:
    return line.replace(r"\|", "").count("|") - 1


def _columns_of(document: object, line: str) -> int:
    heads = {len(section.table.columns) for section in document.sections if section.table}
    return _columns(line) if _columns(line) in heads else -1
