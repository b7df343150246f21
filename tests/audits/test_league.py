"""The league, run: who takes part, who does not and why, and the page that is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from pp_compare.audits.league import run_league
from pp_compare.audits.selection import Selection
from pp_compare.cli.app import app
from pp_compare.data.corpus import case
from pp_compare.errors import UnavailableError

ABSENT = "tests.adapters.absent:make"


@pytest.fixture(scope="module")
def selections() -> list[Selection]:
    known = case("seed_case1")
    return [Selection(known.name, known.dataset, known.formula, "REML")]


def test_an_engine_that_is_not_here_is_left_out_with_its_reason(selections) -> None:
    seen: list[tuple[str, int, int]] = []
    run = run_league(selections, ["statsmodels", ABSENT], progress=lambda *told: seen.append(told))
    assert run.unavailable == {ABSENT: "engine 'absent' is nowhere: stay as you are"}
    (done,) = run.report.cases
    assert list(done.fits) == ["statsmodels", "certified"]
    # Fits are counted; a model that is judged is none.
    assert seen == [
        ("seed_case1 REML, statsmodels", 1, 2),
        ("seed_case1 REML, certified", 2, 2),
        ("judging seed_case1 REML", 2, 2),
    ]


def test_without_any_engine_there_is_no_league(selections) -> None:
    with pytest.raises(UnavailableError, match=r"none of the engines runs here: .*stay as you are"):
        run_league(selections, [ABSENT])


def test_the_command_writes_the_league(tmp_path: Path) -> None:
    page = tmp_path / "league.md"
    asked = ["league", "seed_case1", "--method", "ml", "--engine", "statsmodels"]
    done = CliRunner().invoke(app, [*asked, "--markdown", str(page)])
    assert done.exit_code == 0, done.output
    assert "Where they stop" in done.output
    rows = [x for x in page.read_text().splitlines() if x.startswith("| statsmodels | 0.")]
    worth, line = rows
    assert worth.split(" | ")[2:] == ["1", "0", "0", "0", "0", "0", "0 |"]  # right
    # One model, at the optimum, and nothing else.
    assert line.split(" | ")[2:8] == ["1", "0", "0", "0", "0", "0"]
