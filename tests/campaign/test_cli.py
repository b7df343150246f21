from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from pp_compare.cli import main

ALLOWED = ("--allow-engine", "tests.campaign.engines:short")
PLAN = """
engines = ["tests.campaign.engines:short"]
replications = 4
[grid]
clusters = 5
rows = 4
"""


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["pp-compare", "campaign", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


def test_a_campaign_runs_reports_and_reports_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p.toml").write_text(PLAN)
    out = str(tmp_path / "out")
    allowed = ("--allow-engine", "tests.campaign.engines:short")
    arguments = (str(tmp_path / "p.toml"), "--out", out, "--processes", "1", "--json", "-")
    assert run(monkeypatch, *arguments) == 2
    assert "would run code that a file chose" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    arguments += allowed
    assert run(monkeypatch, *arguments) == 0
    said = capsys.readouterr()
    assert "4 of 4 data sets (100%)" in said.err
    (engine,) = json.loads(said.out)["engines"]
    assert engine["rates"]["early stop"]["count"] == 4
    assert engine["silent"]["count"] == 4
    first = {name: (tmp_path / "out" / name).read_text() for name in ("report.json", "report.html")}
    assert run(monkeypatch, "--out", out, "--report-only", *allowed) == 0
    assert "early stop in 100 %" in capsys.readouterr().out
    assert all((tmp_path / "out" / name).read_text() == text for name, text in first.items())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "give a plan, or with --out the folder of a campaign"),
        (("none.toml",), "cannot read 'none.toml'"),
        (("--out", "{tmp}", "--report-only"), "is not the folder of a campaign"),
        (("{tmp}/p.toml", "--limit", "0"), "--limit is a number of seconds above 0"),
        (("{tmp}/p.toml", *ALLOWED, "--processes", "-1"), "--processes is from 0 to 1024"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    arguments: tuple[str, ...],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "p.toml").write_text(PLAN)
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *(a.format(tmp=tmp_path) for a in arguments)) == 2
    err = capsys.readouterr().err
    assert says in err
    assert len(err.splitlines()) == 1
