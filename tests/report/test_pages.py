"""The pages, opened and used in headless Chromium."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from pp_compare.inferences.explain import Explanation, explain
from pp_compare.report.audit.gallery import gallery
from pp_compare.report.audit.html import report_html
from pp_compare.report.explain.html import explanation_html
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


@pytest.fixture(scope="module")
def page(report, designs) -> str:
    return report_html(report, (), gallery(report, designs))


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


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["seed_case1", "two_optima_reml", "Gasoline"])
def test_an_explanation_fits_the_window(open_page, name: str, width: int):
    browser = open_page(explained(name)[1], width)
    assert not is_wider_than_the_window(browser)
    assert cut_off(browser) == []


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_the_report_fits_the_window(open_page, page: str, width: int, dark: bool):
    browser = open_page(page, width, dark)
    unpacked(browser)
    assert not is_wider_than_the_window(browser)
    assert cut_off(browser) == []
    paper = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(20, 23, 27)" if dark else "rgb(255, 255, 255)")


def test_the_verdict_comes_first_and_says_what_is_wrong(open_page, page: str, report: Report):
    failing = [c for c in report.cases if any(x.verdict == "fail" for x in c.comparisons)]
    assert 0 < len(failing) < len(report.cases)
    browser = open_page(page)
    verdict = f"FAIL. Something unexpected in {len(failing)} of {len(report.cases)} models."
    assert texts(browser, ".verdict strong") == [verdict]
    first = texts(browser, "ol li")
    assert any("wrong optimum" in line and "two_optima_ml" in line for line in first)


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


def test_a_model_shows_its_estimates_side_by_side(open_page, page: str, report: Report):
    browser = open_page(page)
    unpacked(browser)
    browser.execute_script("document.querySelector('#models button.link').click()")
    assert texts(browser, "#one-title") == ["seed_case1 REML"]
    assert texts(browser, "#estimates th")[-1] == "certified"
    rows = texts(browser, "#estimates tbody tr td:first-child")
    assert "beta predictor[T.intervention]" in rows
    at = rows.index("beta Intercept")
    shown = float(texts(browser, "#estimates tbody tr td:last-child")[at])
    truth = report.cases[0].fits["certified"]["beta"][0]
    assert shown == pytest.approx(truth, rel=1e-11)  # twelve digits are shown


def test_everything_works_by_keyboard(open_page, page: str):
    from selenium.webdriver.common.keys import Keys

    browser = open_page(page)
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
    assert any(HOSTILE in text for text in texts(browser, "#models td:first-child"))
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
