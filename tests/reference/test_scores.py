"""Digits against certified decimals, the grade of an item, and the page that shows them."""

from __future__ import annotations

import csv
import math
import re

import numpy as np
import pytest

from pp_compare.reference.answers import recorded_answers
from pp_compare.reference.make import read_values
from pp_compare.reference.scores import Score, difficulty, digits_right, scores
from pp_compare.report.digits_map import digits_map
from tests.reference.the_set import ROOT, glmm_items, items

PAGE = ROOT.parent / "docs" / "reference-set.md"


@pytest.mark.parametrize(
    ("value", "truth", "radius", "digits"),
    [
        (1.001, "1.0000000000000000000", "5E-20", 3.0),
        (0.999, "1.0000000000000000000", "5E-20", 3.0),
        (0.1, "0.10000000000000000000", "5E-21", 15.0),
        (-1.0, "1.0000000000000000000", "5E-20", 0.0),
        (math.nan, "1.0000000000000000000", "5E-20", 0.0),
        (math.inf, "1.0000000000000000000", "5E-20", 0.0),
        (1e-9, "0", "0", math.nan),
        (1.5, "1.5", "0", 15.0),
        (1.5, "1.500", "0.0005", math.nan),  # no more than 3 digits are known
    ],
)
def test_digits_right(value: float, truth: str, radius: str, digits: float) -> None:
    assert digits_right(value, truth, radius) == pytest.approx(digits, abs=1e-3, nan_ok=True)


def score(above: float = 0.0, status: str = "ok", **digits: float) -> Score:
    of_all = dict.fromkeys(("loglik", "beta", "beta_se", "sigma", "random_cov"), 9.0) | digits
    return Score("x.reml", status, above, of_all, "why not")


@pytest.mark.parametrize(
    ("one", "grade", "reason"),
    [
        (score(), "easy", "9.0 digits"),
        (score(beta_se=1.0), "easy", "9.0 digits"),
        (score(sigma=3.2), "hard", "3.2 digits of sigma"),
        (score(0.5), "notorious", "0.5 above"),
        (score(math.nan, "error"), "notorious", "no answer (why not)"),
        (score(math.nan), "notorious", "no number"),
    ],
)
def test_a_grade_says_its_number(one: Score, grade: str, reason: str) -> None:
    found = difficulty({"engine-1": one})
    assert found["grade"] == grade
    assert reason in found["reason"]


def test_the_tables_of_engines_follow_from_their_answers() -> None:
    (answers,) = (a for a in recorded_answers() if a.name == "lme4-1.1-31")
    truths = {k: v for k, v in read_values(ROOT).items() if k.startswith(("seed", "two", "sleep"))}
    with (ROOT / "engines" / "lme4-1.1-31.csv").open(newline="", encoding="utf-8") as file:
        written = {row[0]: row for row in csv.reader(file)}
    found = scores(answers, truths)
    assert len(found) == len(truths)
    assert [one.row for one in found] == [written[one.item] for one in found]
    assert max(abs(one.above) for one in found if one.item.startswith("seed")) < 1e-6


def test_the_page_says_how_many_items_and_which_engines() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert f"holds {len(items())} models" in text
    assert f"and {len(glmm_items())} generalised ones" in text
    engines = {path.stem for path in (ROOT / "engines").glob("*.csv")}
    assert set(re.findall(r"^\| (\w+-[\d.-]+) \|", text, re.MULTILINE)) == engines


def test_the_map_has_a_row_an_engine() -> None:
    digits = np.array([[1.0, np.nan, -1.0], [15.0, 6.0, 3.0]])
    svg = digits_map({"fixed effects": digits}, ["one-1", "two-2"], "map")
    for word in ("fixed effects", "one-1", "two-2", "no answer", "10 and more"):
        assert word in svg
