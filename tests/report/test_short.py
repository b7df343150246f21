"""A report shows itself: ten lines of text, and a fragment for a notebook in which text is text."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
import pytest

from pp_compare.audits.judging import judge
from pp_compare.audits.provenance import collect_provenance
from pp_compare.audits.selection import Selection
from pp_compare.model import Fit
from pp_compare.report.paragraph import paragraph
from pp_compare.report.record import CaseReport, Report, VerdictError
from pp_compare.report.short import BAD_GROUND, GROUND, LINES, WIDTH
from pp_compare.verdict.remedy import Remedy
from tests.examples import corpus_design, design
from tests.faulty_engines import certified, scaled

DESIGN = corpus_design("seed_case1")


def case_of(fit: Fit, name: str = "seed_case1", of=DESIGN) -> CaseReport:
    fit = replace(fit, engine="statsmodels", versions={"statsmodels": "0.15.0"})
    selection = Selection(name, of.dataset, of.spec.formula, of.spec.method)
    return judge(selection, of, {"statsmodels": fit, "certified": certified(of)}, ())


def report_of(*cases: CaseReport, fail_on="wrong") -> Report:
    provenance = collect_provenance([], {}, "a test")
    return Report(provenance, cases, 1.0, fail_on, (DESIGN,) * len(cases))


RIGHT, WRONG = case_of(certified(DESIGN)), case_of(scaled(1.5)(DESIGN))


@pytest.mark.parametrize("cases", [(RIGHT,), (WRONG,), (RIGHT, WRONG) * 40])
def test_a_report_has_ten_lines_with_the_worst_judgement_first(cases) -> None:
    lines = repr(report_of(*cases)).splitlines()
    assert len(lines) <= LINES
    assert max(map(len, lines)) <= WIDTH
    assert ("is wrong" in lines[0]) == (WRONG in cases)
    assert lines[-1].startswith("more: .judgements")


class Reader(HTMLParser):
    """Tags and text of a fragment."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_notebook_shows_text_of_the_data_as_text() -> None:
    frame = DESIGN.dataset.frame.rename(columns={"cluster": "<script>alert(1)</script>"})
    odd = design(frame, "dependent ~ predictor + (1|`<script>alert(1)</script>`)")
    page = report_of(case_of(certified(odd), "<img src=x onerror=alert(2)>", odd))._repr_html_()
    reader = Reader()
    reader.feed(page)
    assert reader.tags <= {
        "div",
        "span",
        "b",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "code",
        "pre",
    }
    assert "random_cov[<script>alert(1)</script>]" in reader.text


def luminance(colour: str) -> float:
    """WCAG 2.1, relative luminance."""
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("ground", [BAD_GROUND, *GROUND.values()])
def test_a_badge_can_be_read_on_any_page(ground: str) -> None:
    assert 1.05 / (luminance(ground) + 0.05) >= 4.5  # white on it, WCAG 2.1 AA


def test_a_report_is_tables_too() -> None:
    report = report_of(RIGHT, WRONG)
    assert len(report.to_frame()) == len(RIGHT.comparisons) + len(WRONG.comparisons)
    assert list(report.judgements) == [*RIGHT.judgements, *WRONG.judgements]
    estimates = report_of(RIGHT).estimates()
    assert isinstance(estimates, pd.DataFrame)
    assert estimates.loc[("beta", "predictor[T.intervention]"), "statsmodels"] == pytest.approx(
        2.347169, abs=1e-6
    )


def test_a_report_raises_for_what_it_is_asked_about() -> None:
    report_of(RIGHT).raise_for_status()
    report_of(WRONG, fail_on="none").raise_for_status()
    with pytest.raises(VerdictError, match="statsmodels is wrong"):
        report_of(WRONG).raise_for_status()


def test_a_report_is_saved_with_its_paragraph(tmp_path) -> None:
    page = report_of(RIGHT).save(tmp_path / "out")
    assert page.is_file()
    assert "What to write" in page.read_text()
    assert (tmp_path / "out" / "paragraph.md").read_text().startswith("The model dependent ~")


def test_the_paragraph_says_what_the_numbers_say() -> None:
    text = paragraph(RIGHT)
    assert "fitted to 64 rows in 8 levels of cluster by REML" in text
    assert "MixedLM (statsmodels 0.15.0) agree with the certified optimum to 12 digits" in text
    assert "proves it to be the global one" in text
    wrong = paragraph(WRONG)
    assert "agree" not in wrong
    assert "The numbers of MixedLM (statsmodels 0.15.0) are not used" in wrong


def test_a_remedy_is_told() -> None:
    (judgement,) = WRONG.judgements
    remedy = Remedy("statsmodels:powell", "model.fit(method='powell')", "0 above the optimum")
    case = replace(WRONG, judgements=(replace(judgement, remedy=remedy),))
    report = report_of(case)
    assert "statsmodels:powell arrives: 0 above" in " ".join(repr(report).split())
    assert "model.fit(method=&#39;powell&#39;)" in report._repr_html_()
