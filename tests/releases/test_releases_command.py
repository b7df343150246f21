"""`pp-compare releases` as its users meet it."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import pytest

from pp_compare.releases import named
from tests.cli.test_commands import run
from tests.releases.adapters import ANOVA, write

BAD = {
    "nothing": ([], "name a version, a wheel"),
    "no file": (["./no.whl"], "no file 'no.whl'"),
    "rule": (["0.14.6", "--fail-on", "sometimes"], "--fail-on is worse, any, none"),
    "day": (["0.14.6", "--exclude-newer", "soon"], "--exclude-newer is a day"),
    "floor": (
        ["0.14.6", "--generated", "0", "--case", "Rail", "--floor", "sea"],
        "--floor is again, kernel=NAME or threads=N",
    ),
    "setting": (["0.14.6", "--setting", "magic"], "no setting 'magic'"),
    "case": (["0.14.6", "--case", "nothing"], "no case 'nothing'"),
    "count": (["0.14.6", "--case", "Rail", "--generated", "-1"], "--generated is a number from 0"),
    "companion": (["0.14.6", "--with", "--index-url=x"], "is no requirement"),
    "its companion": (["0.14.6 with numpy 2"], "'numpy 2' is no requirement"),
    "package": (["1.0", "--package", "toy"], "--package toy needs --adapter FILE"),
    "adapter": (["1.0", "--package", "toy", "--adapter", "no.py"], "no file 'no.py'"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_requests_are_one_line_and_status_2(
    what: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments, words = BAD[what]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(named, "provide", lambda *_: pytest.fail("nothing to be installed"))
    assert run(monkeypatch, "releases", *arguments, "--cache", tmp_path) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def toy_wheel(folder: Path, version: str) -> Path:
    """Only a version: the arithmetic is the adapter's, with numpy from beside it."""
    path = folder / f"toy-{version}-py3-none-any.whl"
    info = f"toy-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("toy.py", f"__version__ = '{version}'\nDIVISOR = {int(version[0])}\n")
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: toy\nVersion: {version}\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", f"toy.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n")
    return path


def test_two_wheels_of_another_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    site = next(path for path in sys.path if (Path(path) / "numpy").is_dir())
    text = f"import sys\nsys.path.append({site!r})\nimport toy\n" + ANOVA
    text = text.replace('"1.0"', "toy.__version__").replace(
        "within / n)", "within / n / toy.DIVISOR)"
    )
    adapter = write(tmp_path, text)
    wheels = [toy_wheel(tmp_path, version) for version in ("1.0", "2.0")]
    status = run(
        monkeypatch, "releases", *wheels, "--package", "toy", "--adapter", adapter,
        "--case", "Dyestuff", "--method", "reml", "--generated", "0", "--floor", "again",
        "--cache", tmp_path / "cache", "--out", tmp_path / "out",
    )  # fmt: skip
    assert status == 1
    shown = capsys.readouterr().out
    assert "worse   blup" in shown
    (found,) = json.loads((tmp_path / "out" / "releases.json").read_text())["differences"]
    worse = {c["subject"] for c in found["changes"] if c["direction"] == "worse"}
    assert worse == {"right became wrong", "blup", "henderson-random-row"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        f"releases.{kind}" for kind in ("json", "md", "html", "xml")
    }
