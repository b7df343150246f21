"""`pp-compare check` and `pp-compare compare`, as people call them."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from pp_compare import case
from pp_compare.cli import main
from pp_compare.cli.app import app
from tests.fitted.test_r_record import written

PRINTOUTS = Path(__file__).parents[1] / "fitted" / "printouts"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Run a command line; gives status, what it printed and what it said."""

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["pp-compare", *words])
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0), *capsys.readouterr()

    return call


@pytest.fixture
def sleep(tmp_path: Path) -> str:
    path = tmp_path / "sleep.csv"
    path.write_text(case("sleepstudy").dataset.exact_csv())
    return str(path)


def test_a_printout_is_checked_against_its_data(run, sleep: str, tmp_path: Path) -> None:
    text = (PRINTOUTS / "lmer_sleep.txt").read_text()
    status, out, _ = run("check", str(PRINTOUTS / "lmer_sleep.txt"), "--data", sleep, "--text")
    assert status == 0
    assert "all 22 numbers of the printout of lme4" in out
    assert "The model Reaction ~ Days + (Days | Subject) was fitted" in " ".join(out.split())
    wrong = tmp_path / "wrong.txt"
    wrong.write_text(text.replace("10.467", "10.767"))
    status, out, _ = run("check", str(wrong), "--data", sleep, "--out", str(tmp_path / "out"))
    assert status == 1
    assert "Estimate of Days 10.767 for 10.46729" in " ".join(out.split())
    assert (tmp_path / "out" / "report.html").is_file()


def test_a_file_of_r_is_checked(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pp_compare.audits.mending.find_remedy", lambda *_: "not tried here")
    status, out, _ = run("check", str(written(tmp_path)))
    assert status == 1
    assert "lme4 is wrong: reported -2 log-likelihood 14 for 12.9" in out


def test_rounded_numbers_are_compared(run, tmp_path: Path) -> None:
    numbers = tmp_path / "paper.json"
    numbers.write_text('{"(Intercept)": "251.4", "Days": 10.47, "REMLcrit": 1743.6}')
    status, out, _ = run("compare", str(numbers), "--case", "sleepstudy", "--method", "reml")
    assert (status, out.count("right")) == (0, 3)
    numbers.write_text('{"(Intercept)": "251.4", "Days": 10.57}')
    status, out, _ = run("compare", str(numbers), "--case", "sleepstudy")
    assert status == 1
    assert "1 of 2 numbers cannot be what a sound fit shows" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["check", "absent.json"], "no file 'absent.json'"),
        (["check", "absent.txt"], "no file 'absent.txt'"),
        (["check", str(PRINTOUTS / "lmer_sleep.txt")], "has no data in it: pass data="),
        (["compare", str(PRINTOUTS / "lmer_sleep.txt")], "either --case NAME or --data FILE"),
        (["compare", __file__, "--case", "sleepstudy"], "no printout of summary"),
    ],
)
def test_bad_usage_is_told_in_one_line(run, words: list[str], said: str) -> None:
    status, out, err = run(*words)
    assert (status, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) == 1


def test_how_to_cite() -> None:
    done = CliRunner().invoke(app, ["--cite"])
    assert done.exit_code == 0
    assert "@software{pp_compare," in done.output
