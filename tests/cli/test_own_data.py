"""An audit of one's own data: what it says first, and how it ends."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_commands import run
from tests.examples import clusters

CASES = Path(__file__).parents[1] / "cases"
pytestmark = pytest.mark.needs_r


@dataclass
class Command:
    """The command, run here."""

    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    folder: Path
    cases: Path = CASES

    def __call__(self, file: str, formula: str, *more: str) -> tuple[int, str, list[Any]]:
        """Exit status, what is printed, and the judgements."""
        data = ("--data", self.cases / f"{file}.csv", "--formula", formula, "--method", "reml")
        report = self.folder / "report.json"
        status = run(self.monkeypatch, "audit", *data, *more, "--json", report)
        (case,) = json.loads(report.read_text(encoding="utf-8"))["cases"]
        return status, self.capsys.readouterr().out, case["judgements"]


@pytest.fixture
def audit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Command:
    return Command(monkeypatch, capsys, tmp_path)


def test_a_wrong_number_ends_in_1_known_or_not_and_says_what_to_do(audit: Command) -> None:
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


def test_where_all_are_right_it_ends_in_0(audit: Command) -> None:
    status, shown, judgements = audit("zero_covariance_digits", "y ~ arm + x + (1|g)")
    assert status == 0
    assert [judgement["standing"] for judgement in judgements] == ["right"] * 3
    assert all(f"{engine} is right" in shown for engine in ("lme4", "nlme", "statsmodels"))


def test_a_model_without_an_optimum_is_said_to_have_none(audit: Command) -> None:
    status, shown, judgements = audit("no_optimum_exact_lines", "y ~ x + (x|g)")
    assert status == 0
    assert {judgement["standing"] for judgement in judgements} == {"not judged"}
    assert "each group of 'g' lies on a line of its own" in " ".join(shown.split())
    assert "1.453" not in shown  # what was once printed as certified


def test_columns_that_the_others_span_are_dropped_for_all_when_asked(
    audit: Command, tmp_path: Path
) -> None:
    frame = clusters(1, [5, 6, 7, 8]).round(4).assign(twice=lambda f: 2 * f["x"])
    frame.to_csv(tmp_path / "spanned.csv", index=False)
    data = ("--engine", "lme4", "--engine", "statsmodels", "--engine", "certified")
    command = replace(audit, cases=tmp_path)
    status, shown, judgements = command("spanned", "y ~ x + twice + (1|g)", *data, "--rank", "drop")
    assert status == 0
    assert "columns that the others span dropped: twice" in " ".join(shown.split())
    assert all(judgement["standing"].startswith("right") for judgement in judgements)


def test_weights_reach_the_engines_that_have_them(audit: Command, tmp_path: Path) -> None:
    frame = clusters(2, [5, 6, 7, 8]).round(4)
    frame["size"] = [1 + k % 4 for k in range(len(frame))]
    frame.to_csv(tmp_path / "weighted.csv", index=False)
    command = replace(audit, cases=tmp_path)
    status, _, judgements = command("weighted", "y ~ x + (1|g)", "--weights", "size")
    found = {judgement["engine"]: judgement["standing"] for judgement in judgements}
    assert status == 0
    assert found == {"lme4": "right", "nlme": "right", "statsmodels": "not judged"}
