"""The command line as its users meet it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pp_compare import cli
from pp_compare.data.corpus import load_dataset
from pp_compare.data.files import read_dataset
from tests.examples import clusters

GOOD = "y ~ x + (1|g)"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["pp-compare", *map(str, arguments)])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    return int(exit_.value.code or 0)


def rows(**changes: object) -> str:
    frame = clusters(1, [5, 6, 7, 8]).round(4).astype(object)
    for column, value in changes.items():
        if callable(value):
            frame[column] = value(frame)
        else:
            frame.loc[4, column] = value
    return frame.to_csv(index=False)


BAD_DATA = {
    "text in the response": (rows(y="oops"), GOOD, "'y' is not numeric: row 5 holds 'oops'"),
    "missing value": (rows(y=np.nan), GOOD, "1 of 26 rows have a missing or infinite"),
    "word for a number": (rows(x="inf"), GOOD, "'x' is not numeric: row 5 holds 'inf' while 25"),
    "a colour of the terminal": (rows(y="\x1b[31m"), GOOD, r"row 5 holds '\x1b[31m'"),
    "no column": (rows(), "y ~ z + (1|g)", "no column 'z' in data; its columns are: y, x, w, g"),
    "one cluster": (rows(g=lambda f: ["a"] * len(f)), GOOD, "'g' has one level, 'a'"),
    "singletons": (rows(g=lambda f: range(len(f))), GOOD, "every level of 'g' has one row"),
    "constant": (rows(y=lambda f: [3] * len(f)), GOOD, "'y' is constant: 3 in all 26 rows"),
    "rank": (rows(w=lambda f: 2 * f.x), "y ~ x + w + (1|g)", "3 columns but rank 2: 'w'"),
    "parenthesis": (rows(), "y ~ x + (1|g", "a '(' is never closed"),
    "no random term": (rows(), "y ~ x", "no random term such as (1|g)"),
    "code": (rows(), "y ~ system('touch pwned') + (1|g)", "'system' is no function that a formula"),
    "empty": ("", GOOD, "'data.csv' is empty"),
    "header only": ("y,x,g\n", GOOD, "has a header but no rows"),
    "ragged": ("y,x,g\n1,2,3\n1,2,3,4\n", GOOD, "row 2 of 'data.csv' has 4 cells, its header 3"),
}


@pytest.mark.parametrize("what", BAD_DATA)
def test_bad_data_is_one_line_and_status_2(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text, formula, words = BAD_DATA[what]
    monkeypatch.chdir(tmp_path)
    Path("data.csv").write_text(text)
    assert run(monkeypatch, "audit", "--data", "data.csv", "--formula", formula) == 2
    error = capsys.readouterr().err.strip()
    assert words in error
    assert "Traceback" not in error
    assert len(error.splitlines()) == 1
    assert not Path("pwned").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "nothing.csv", "--formula", GOOD], "no file 'nothing.csv'"),
        (["--data", "nothing.csv"], "--data and --formula belong together"),
        (["--formula", GOOD], "--data and --formula belong together"),
        (["no_such_case"], "no case 'no_such_case'; the cases are: seed_case1"),
        (["seed_case1", "--method", "mle"], "--method is reml or ml, not 'mle'"),
        (["seed_case1", "--na", "omit"], "--na is raise or drop, not 'omit'"),
        (["seed_case1", "--tag", "no_such_tag"], "no case is left to audit"),
        (["seed_case1", "--no-such-option"], "No such option"),
    ],
)
def test_bad_usage_is_status_2(
    arguments: list[str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, "audit", *arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error


@pytest.mark.parametrize("engine", ["lm5", "statsmodels:newton", "certified:fast", "no.module:x"])
def test_an_unknown_engine_or_setting_is_status_2(
    engine: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "audit", "seed_case1", "--engine", engine) == 2
    assert "no engine" in (error := capsys.readouterr().err) or "no setting" in error


def test_an_audit_of_ones_own_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = clusters(7, [4, 9, 5, 12, 3, 8], between=2.0)
    frame.loc[2, "x"] = np.nan
    frame.to_csv(tmp_path / "mine.csv", index=False)
    status = run(
        monkeypatch,
        *("audit", "--data", tmp_path / "mine.csv", "--formula", GOOD, "--na", "drop"),
        *("--method", "reml", "--engine", "statsmodels", "--engine", "certified"),
        *("--out", tmp_path / "out"),
    )
    assert status == 0
    shown = capsys.readouterr().out
    first, second, *_ = shown.splitlines()
    levels = "g00, g01, g02, g03, g04, g05"
    assert first == f"Read file mine.csv. numbers: y, x; factor: g, 6 levels ({levels})."
    assert second.startswith("No R engine took part; statsmodels")
    assert "40 rows, 1 rows dropped, 6 g" in shown
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    (case,) = report["cases"]
    assert (case["case"], case["n_obs"], case["n_groups"]) == ("mine", 40, {"g": 6})
    data = read_dataset(tmp_path / "out" / "cases" / "mine" / "data.csv").frame
    pd.testing.assert_frame_equal(data, frame, check_exact=True, check_dtype=False)


def test_report_json_has_the_documented_shape_and_exact_numbers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status = run(
        monkeypatch,
        *("audit", "seed_case1", "no_between_variance", "--method", "reml", "--json", "-"),
        *("--engine", "statsmodels:lbfgs", "--engine", "certified"),
    )
    report = json.loads(capsys.readouterr().out)
    assert status == 0
    assert report["schema"] == "pp-compare/report/2"
    assert {"python", "platform", "blas", "packages", "R", "r_source", "started", "command"} <= set(
        report["provenance"]
    )
    summary = report["summary"]
    assert summary["compared"] == summary["pass"] + summary["known"] + summary["fail"]
    case = report["cases"][0]
    fit = case["fits"]["certified"]
    assert fit["quantities"]["beta"]["labels"] == ["Intercept", "predictor[T.intervention]"]
    assert fit["quantities"]["beta"]["values"] == [0.9616119928382079, 2.3471688736170777]
    assert case["data_sha256"] == load_dataset("seed_case1").sha256()
    line = case["comparisons"][0]
    assert {"candidate", "reference", "quantity", "label", "error", "digits", "tolerance"} < set(
        line
    )
    # statsmodels issue 10239: converged, and yet the intercept is 2.0 and not 5.467.
    wrong = report["cases"][1]
    assert wrong["fits"]["statsmodels:lbfgs"]["converged"] is True
    beta = [x for x in wrong["comparisons"] if x["quantity"] == "beta"]
    assert {x["deviation"] for x in beta} == {"statsmodels-10239"}
    assert max(x["error"] for x in beta) > 3


def test_a_pinned_deviation_that_no_longer_shows_is_status_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stale = """
engine = "statsmodels"
quantities = ["sigma"]
causes = ["objective"]
summary = "a defect that was repaired"
seen = "x"
true = "y"
upstream = "not reported"
checked = "2026-01-01"
examples = [{ case = "seed_case1", method = "REML" }]
"""
    (tmp_path / "repaired.toml").write_text(stale)
    monkeypatch.setattr("pp_compare.verdict.deviations.resource", lambda *_: tmp_path)
    arguments = ("seed_case1", "--method", "reml", "--engine", "statsmodels")
    assert run(monkeypatch, "audit", *arguments) == 1
    assert "retire them: repaired" in capsys.readouterr().out


def test_the_cases_are_listed_with_their_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "cases") == 0
    shown = capsys.readouterr().out
    assert "sleepstudy" in shown
    assert "The question this project grew from" in shown
