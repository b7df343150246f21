"""An audit of one's own data: what it says first, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_commands import run

CASES = Path(__file__).parents[1] / "cases"
pytestmark = pytest.mark.needs_r


def audit(file: str, formula: str, *more: str) -> tuple[int, str, list[dict[str, object]]]:
    """Exit status, what is printed, and the judgements."""
    data = ("--data", str(CASES / f"{file}.csv"), "--formula", formula, "--method", "reml")
    done = run("audit", *data, *more)
    again = run("audit", *data, *more, "--json", "-")
    (case,) = json.loads(again.stdout)["cases"]
    assert again.returncode == done.returncode
    return done.returncode, done.stdout, case["judgements"]


def test_a_wrong_number_ends_in_1_known_or_not_and_says_what_to_do() -> None:
    status, shown, judgements = audit(
        "small_variance", "y ~ x + z + (1|g)", "--engine", "statsmodels", "--engine", "certified"
    )
    assert status == 1
    (judgement,) = judgements
    assert judgement["standing"] == "wrong"
    assert judgement["deviations"]
    assert not judgement["news"]
    assert judgement["remedy"]["engine"] == "statsmodels:powell"
    first = shown.split("\n\n")[1]
    assert "statsmodels is wrong" in first
    assert "7.9 %" in first
    assert 'method="powell"' in shown


def test_where_all_are_right_it_ends_in_0() -> None:
    status, shown, judgements = audit("zero_covariance_digits", "y ~ arm + x + (1|g)")
    assert status == 0
    assert [judgement["standing"] for judgement in judgements] == ["right"] * 3
    assert all(f"{engine} is right" in shown for engine in ("lme4", "nlme", "statsmodels"))


def test_a_model_without_an_optimum_is_said_to_have_none() -> None:
    status, shown, judgements = audit("no_optimum_exact_lines", "y ~ x + (x|g)")
    assert status == 0
    assert {judgement["standing"] for judgement in judgements} == {"not judged"}
    assert "each group of 'g' lies on a line of its own" in " ".join(shown.split())
    assert "1.453" not in shown  # what was once printed as certified
