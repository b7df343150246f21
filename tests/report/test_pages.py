"""The pages, opened and used in headless Chromium."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from pp_compare.inferences.explain import Explanation, ModelExplanation, explain
from pp_compare.report.audit.findings import findings, models_worst_first, worst_first
from pp_compare.report.audit.gallery import gallery
from pp_compare.report.audit.html import report_html
from pp_compare.report.audit.outcome import outcome
from pp_compare.report.explain.answer import told
from pp_compare.report.explain.html import explanation_html
from pp_compare.report.explain.model_html import model_html
from pp_compare.report.record import Report
from tests.examples import corpus_design
from tests.report.conftest import HOSTILE, PROVENANCE, design_of, selections

pytestmark = pytest.mark.needs_browser

WIDTHS = (1280, 390)


def texts(browser, selector: str) -> list[str]:
    return browser.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", selector
    )


def wait_for(browser, condition: str, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not browser.execute_script(f"return {condition}"):
        assert time.monotonic() < end, condition
        time.sleep(0.02)


def unpacked(browser) -> None:
    wait_for(browser, "!document.getElementById('explorer').hidden")


def is_wider_than_the_window(browser) -> bool:
    return browser.execute_script(
        "return document.documentElement.scrollWidth > document.documentElement.clientWidth"
    )


def cut_off(browser) -> list[str]:
    """Texts of figures that reach out of their figure."""
    return browser.execute_script("""
      return [...document.querySelectorAll("svg[role=img]")].flatMap((svg) => {
        const box = svg.getBoundingClientRect();
        return [...svg.querySelectorAll("text")].filter((text) => {
          const t = text.getBoundingClientRect();
          return t.left < box.left - 1 || t.right > box.right + 1
            || t.top < box.top - 1 || t.bottom > box.bottom + 1;
        }).map((text) => text.textContent);
      });""")


def slide(browser, value: float) -> None:
    browser.execute_script(
        "const s = document.getElementById('pooling'); s.value = arguments[0];"
        "s.dispatchEvent(new Event('input'))",
        value,
    )


def said(browser) -> str:
    return texts(browser, "#said")[0]


@cache
def explained(name: str) -> tuple[Explanation, str]:
    e = explain(corpus_design(name), title=name)
    return e, explanation_html(e)


@cache
def explained_model(name: str) -> tuple[ModelExplanation, str]:
    e = explain(corpus_design(name), title=name)
    assert isinstance(e, ModelExplanation)
    return e, model_html(e)


@pytest.fixture(scope="module")
def page(report, designs) -> str:
    """A few models, each told by itself."""
    return report_html(report, (), gallery(report, designs))


@pytest.fixture(scope="module")
def survey(report: Report) -> Report:
    """So many models that the page tells what is off once."""
    copies = [replace(c, case=f"{c.case} {i}") for i in range(2) for c in report.cases]
    return replace(report, cases=tuple(copies))


@pytest.fixture(scope="module")
def survey_page(survey: Report) -> str:
    return report_html(survey, ())


@pytest.mark.parametrize("name", ["seed_case1", "Gasoline"])
def test_the_slider_fits_the_model_in_the_page(open_page, name: str):
    e, text = explained(name)
    browser = open_page(text)

    def expected(line: str) -> str:
        # The page shows five significant digits.
        pairs = zip(e.design.labels, e.lines[line], strict=True)
        return ", ".join(f"{label} {float(f'{value:.5g}'):g}" for label, value in pairs)

    assert said(browser).endswith(expected("partial pooling"))
    slide(browser, 0)
    assert said(browser) == f"tau2 / sigma2 = 0: {expected('complete pooling')}"
    moved = browser.execute_script("return document.getElementById('mixed').getAttribute('d')")
    browser.find_element("id", "estimate").click()
    assert said(browser).endswith(expected("partial pooling"))
    back = browser.execute_script("return document.getElementById('mixed').getAttribute('d')")
    assert moved != back
    predicted = [float(text) for text in texts(browser, "#moved td:nth-child(5)")]
    assert predicted == pytest.approx(e.pooling.partially_pooled, rel=5e-5)  # five digits are shown


@pytest.mark.parametrize("name", ["seed_case1", "Gasoline"])
def test_the_slider_has_a_scale_a_mark_and_moves_the_weights(open_page, name: str):
    e, text = explained(name)
    browser = open_page(text)
    k = told(e)
    reach = float(texts(browser, "#weights text")[-2])

    def drawn() -> np.ndarray:
        """Weights of the mixed model as the bars show them: each second one."""
        bars = browser.execute_script(
            "return [...document.querySelectorAll('#weights rect')].map((r) =>"
            " [r.x.baseVal.value, r.width.baseVal.value])"
        )
        zero, half = 339.0, 209.0
        moving = bars[1::2]
        return (
            np.array([(x + w - zero if x >= zero - 1e-6 else x - zero) for x, w in moving]) / half
        )

    assert drawn() * reach == pytest.approx(e.weights.mixed[k], abs=1e-4 * reach)
    numbers = [float(text) for text in texts(browser, "#scale text") if text != "estimate"]
    assert numbers == sorted(numbers)
    assert numbers[0] == 0
    thumb = browser.execute_script(
        "const s = document.getElementById('pooling'); return s.value / s.max"
    )
    mark = browser.execute_script("return document.getElementById('mark').getBBox()")
    assert (mark["x"] + mark["width"] / 2 - 8) / 544 == pytest.approx(thumb, abs=1e-3)
    slide(browser, 0)
    assert drawn() * reach == pytest.approx(e.weights.lm[k], abs=1e-4 * reach)


def test_the_slider_of_slopes_moves_line_effects_and_weights(open_page):
    e, text = explained_model("Pixel")
    browser = open_page(text)
    beta = ", ".join(
        f"{label} {float(f'{value:.5g}'):g}"
        for label, value in zip(e.design.labels, e.lines["partial pooling"], strict=True)
    )
    assert said(browser) == f"covariances times 1: {beta}"
    shown = [float(text) for text in texts(browser, "#moved2 td:nth-child(5)")]
    assert shown == pytest.approx(e.effects[1].predicted, rel=5e-5)  # five digits are shown
    slide(browser, 0)
    lm = e.lines["complete pooling"]
    values = [float(x) for x in re.findall(r"(-?[\d.]+)(?:,|$)", said(browser))]
    assert values == pytest.approx(lm, rel=5e-5)
    assert set(texts(browser, "#moved2 td:nth-child(4)")) == {"0"}
    assert not is_wider_than_the_window(open_page(text, 390, dark=True))
    assert cut_off(browser) == []


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["seed_case1", "two_optima_reml", "Gasoline"])
def test_an_explanation_fits_the_window(open_page, name: str, width: int):
    browser = open_page(explained(name)[1], width)
    assert not is_wider_than_the_window(browser)
    assert cut_off(browser) == []


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
@pytest.mark.parametrize("which", ["page", "survey_page"])
def test_the_report_fits_the_window(open_page, request, which: str, width: int, dark: bool):
    browser = open_page(request.getfixturevalue(which), width, dark)
    unpacked(browser)
    assert not is_wider_than_the_window(browser)
    assert cut_off(browser) == []
    paper = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(20, 23, 27)" if dark else "rgb(255, 255, 255)")


def test_the_judgements_come_first_and_the_worst_of_them(open_page, page: str, report: Report):
    browser = open_page(page)
    (said,) = texts(browser, ".verdict strong")
    assert said == f"{outcome(report).word}. {outcome(report).sentence}"
    for i, case in enumerate(report.cases, 1):
        part = f"main > section:nth-of-type({i}) .judgements > li > p:first-child"
        assert texts(browser, part) == [judgement.sentence for judgement in worst_first(case)]
    text = browser.execute_script("return document.querySelector('main').textContent")
    order = [report.cases[0].judgements[0].sentence, "Estimates, with 95 % intervals",
             "How many digits are right", "Every number", "With what this was made"]  # fmt: skip
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    # What means nothing for one model is not there.
    assert "What each engine can fit" not in text
    assert "Standings" not in text


def test_wrong_numbers_are_marked_in_words_too(open_page, page: str, report: Report):
    browser = open_page(page)
    at = [case.case for case in report.cases].index("two_optima_ml") + 1
    cells = texts(browser, f"main > section:nth-of-type({at}) .estimates td.fail")
    assert cells
    assert all("!" in cell for cell in cells)
    assert "wrong, by more than is harmless" in "".join(texts(browser, ".legend"))


def test_a_survey_tells_standings_then_what_is_off_then_models_worst_first(
    open_page, survey_page: str, survey: Report
):
    browser = open_page(survey_page)
    titles = texts(browser, "h2")
    assert titles[:3] == ["Standings", "What is off, worst first", "Models"]
    assert texts(browser, "ol.judgements > li strong") == [
        f"{finding.engine}: {finding.standing}" for finding in findings(survey)
    ]
    assert texts(browser, "#models button.link") == [
        case.title for case in models_worst_first(survey)
    ]
    assert "wrong" in texts(browser, "#models tbody tr:first-child td.fail")[0]


def test_verdict_and_digits_stay_in_view(open_page, page: str):
    """On a phone a wide table scrolls under them."""
    browser = open_page(page, 390)
    unpacked(browser)
    left = """
      const box = document.getElementById("all").parentElement;
      box.scrollLeft = 400;
      return [...document.querySelectorAll("#all tbody tr:first-child td")].slice(0, 3)
        .map((cell) => cell.getBoundingClientRect().left - box.getBoundingClientRect().left);"""
    verdict, digits, model = browser.execute_script(left)
    assert -1 <= verdict < 5
    assert verdict < digits < 120
    assert model < 0


def test_no_number_is_broken_when_printed(open_page, page: str):
    browser = open_page(page)
    unpacked(browser)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    sheet = {"width": 700, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", sheet)
    broken = browser.execute_script("""
      return [...document.querySelectorAll("td")].filter((cell) => {
        if (!/^-?[0-9.e+-]+( [!*])?$/.test(cell.textContent)) return false;
        const lines = new Set();
        const range = document.createRange();
        range.selectNodeContents(cell);
        for (const box of range.getClientRects()) lines.add(Math.round(box.top));
        return lines.size > 1;
      }).map((cell) => cell.textContent);""")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert broken == []


def test_numbers_are_sorted_filtered_and_searched(open_page, page: str, report: Report):
    browser = open_page(page)
    unpacked(browser)
    headers = texts(browser, "#all th")
    digits = headers.index("digits") + 1
    total = sum(len(c.comparisons) + len(c.identities) for c in report.cases)
    assert texts(browser, "#count")[0] == f"1 to 100 of {total} ({total} in all)"
    button = browser.find_element("css selector", f"#all th:nth-child({digits}) button")
    for order in ("ascending", "descending"):
        browser.execute_script("arguments[0].click()", button)
        shown = [float(t) for t in texts(browser, f"#all td:nth-child({digits})") if t]
        assert shown == sorted(shown, reverse=order == "descending")
    browser.execute_script(
        "const s = document.querySelector('select[data-column=cause]');"
        "s.value = [...s.options].find((o) => o.text === 'wrong optimum').value;"
        "s.dispatchEvent(new Event('change'))"
    )
    causes = texts(browser, f"#all td:nth-child({headers.index('cause') + 1})")
    assert set(causes) == {"wrong optimum"}
    browser.find_element("id", "find").send_keys("criterion")
    rows = texts(browser, "#all tbody tr")
    assert rows
    assert all("criterion" in row and "wrong optimum" in row for row in rows)
    browser.find_element("id", "clear").click()
    assert texts(browser, "#count")[0].endswith(f"of {total} ({total} in all)")
    browser.execute_script("document.getElementById('next').click()")
    assert texts(browser, "#count")[0].startswith("101 to 200")


def test_a_model_shows_its_estimates_side_by_side(open_page, survey_page: str, survey: Report):
    browser = open_page(survey_page)
    unpacked(browser)
    browser.execute_script("document.querySelector('#models button.link').click()")
    first = models_worst_first(survey)[0]
    assert texts(browser, "#one-title") == [first.title]
    assert texts(browser, "#estimates th")[-1] == "certified"
    rows = texts(browser, "#estimates tbody tr td:first-child")
    at = rows.index("beta Intercept")
    shown = float(texts(browser, "#estimates tbody tr td:last-child")[at])
    truth = first.fits["certified"]["beta"][0]
    assert shown == pytest.approx(truth, rel=1e-11)  # twelve digits are shown


def test_everything_works_by_keyboard(open_page, survey_page: str):
    from selenium.webdriver.common.keys import Keys

    browser = open_page(survey_page)
    unpacked(browser)
    link = browser.find_element("css selector", "#models button.link")
    link.send_keys(Keys.ENTER)
    assert browser.execute_script("return document.activeElement.id") == "one"
    header = browser.find_element("css selector", "#models th:nth-child(2) button")
    header.send_keys(Keys.SPACE)
    sort = browser.execute_script(
        "return document.querySelector('#models th:nth-child(2)').getAttribute('aria-sort')"
    )
    assert sort == "ascending"


def test_text_from_data_is_shown_and_never_run(open_page, page: str):
    browser = open_page(page)
    unpacked(browser)
    assert browser.execute_script("return window.ran") is None
    assert any(HOSTILE in text for text in texts(browser, "h2"))
    hostile = selections()[-1]
    e = explain(design_of(hostile), title=hostile.case)
    browser = open_page(explanation_html(e))
    assert browser.execute_script("return window.ran") is None
    assert HOSTILE in texts(browser, "h1")[0]
    assert HOSTILE in texts(browser, "#moved td:first-child")
    assert HOSTILE in "".join(texts(browser, "figure svg text"))


def test_the_policy_stops_a_script_that_got_past_the_escaping(browser, tmp_path, page: str):
    """What the page's policy is for; without the policy the same script runs."""
    path = tmp_path / "attack.html"
    attacked = page.replace("<h1>", f"{HOSTILE}<h1>", 1)
    for text, ran in ((attacked, None), (attacked.replace("Content-Security-Policy", "X"), 1)):
        path.write_text(text, encoding="utf-8")
        browser.get(path.as_uri())
        assert browser.execute_script("return window.ran") == ran
    browser.get_log("browser")


def test_nothing_is_loaded(page: str):
    assert "src=" not in page.replace("<img src=x", "").replace("&lt;img src=x", "")
    assert "@import" not in page
    assert 'rel="stylesheet"' not in page


@pytest.fixture(scope="module")
def many(report: Report) -> Report:
    """500 models, each with numbers of its own."""
    rng, first = np.random.default_rng(5), report.cases[0]
    cases = []
    for i in range(500):
        scale = 1 + rng.normal(size=len(first.comparisons)) * 1e-6
        lines = tuple(
            replace(
                line,
                candidate_value=line.candidate_value * s,
                reference_value=line.reference_value * scale[0],
                error=line.error * s,
                digits=line.digits * s,
            )
            for line, s in zip(first.comparisons, scale, strict=True)
        )
        cases.append(replace(first, case=f"model {i}", comparisons=lines))
    return Report(PROVENANCE, tuple(cases), 1.0)


def test_500_models_are_small_and_sort_without_a_wait(open_page, many: Report):
    page = report_html(many, ())
    assert len(page.encode()) < 10e6
    browser = open_page(page)
    unpacked(browser)
    times = browser.execute_script("""
      const all = (id) => [...document.querySelectorAll(`#${id} th button`)];
      return [...all("models"), ...all("all")].map((button) => {
        const start = performance.now();
        button.click();
        return performance.now() - start;
      });""")
    # 200 ms: what is slower than that is felt as a wait (Card, Moran and Newell 1983: 50 to 200).
    assert np.median(times) < 200
