"""A report made without R, and a browser to open it in."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pp_compare.audits.judging import judge
from pp_compare.audits.selection import Selection
from pp_compare.data.corpus import case
from pp_compare.engines import make_engine
from pp_compare.model import Dataset
from pp_compare.model.design import Design, build_design
from pp_compare.model.formula import parse_formula
from pp_compare.report.record import CaseReport, Provenance, Report

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-quic",
)  # fmt: skip
HOSTILE = "<script>window.ran = 1</script>"
PROVENANCE = Provenance(
    "3.11.7", "Linux", "openblas", {"statsmodels": "0.15.0"}, None, {}, None, "2026-11-22", "audit"
)


def hostile_dataset() -> Dataset:
    """Labels of clusters and the name of the data that a page must show and not run."""
    rng = np.random.default_rng(3)
    clusters = [HOSTILE, "<img src=x onerror='window.ran = 1'>", "$x_1$ & </script>", "d"]
    rows = pd.DataFrame({"g": np.repeat(clusters, [3, 4, 5, 6])})
    rows["y"] = rng.normal(size=18) + np.repeat(rng.normal(size=4), [3, 4, 5, 6])
    return Dataset(f"file {HOSTILE}", rows)


def selections() -> list[Selection]:
    found = [
        Selection(name, case(name).dataset, case(name).formula, method, case(name).why)
        for name, method in (("seed_case1", "REML"), ("two_optima_ml", "ML"), ("Dyestuff", "REML"))
    ]
    hostile = hostile_dataset()
    return [*found, Selection(hostile.name, hostile, "y ~ 1 + (1|g)", "REML", HOSTILE)]


def design_of(selection: Selection) -> Design:
    return build_design(selection.dataset, parse_formula(selection.formula, selection.method))


def judged(selection: Selection) -> CaseReport:
    design = design_of(selection)
    engines = ("statsmodels", "statsmodels:lbfgs", "certified")
    fits = {engine: replace(make_engine(engine).fit(design), engine=engine) for engine in engines}
    return judge(selection, design, fits, ())


@pytest.fixture(scope="session")
def report() -> Report:
    return Report(PROVENANCE, tuple(judged(selection) for selection in selections()), 1.0)


@pytest.fixture(scope="session")
def designs():
    by_title = {(s.case, s.method): s for s in selections()}
    return lambda found: design_of(by_title[found.case, found.method])


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """Chromium; without it these tests fail in CI, and say so elsewhere."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        words = "no chromium or chromedriver: apt-get install chromium chromium-driver"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(words)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options=options, service=Service(driver))
    chrome.set_script_timeout(30)
    yield chrome
    chrome.quit()


@pytest.fixture
def open_page(browser, tmp_path: Path):
    """Write a page, open it at a width, and hold that nothing was logged and nothing overflows."""

    def opened(text: str, width: int = 1280, dark: bool = False) -> object:
        path = tmp_path / "page.html"
        path.write_text(text, encoding="utf-8")
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        browser.get(path.as_uri())
        return browser

    yield opened
    assert browser.get_log("browser") == []
