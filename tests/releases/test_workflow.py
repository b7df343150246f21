"""The nightly workflow's own shell, with programs that write down how they are called."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

WORKFLOW = Path(__file__).parents[2] / ".github" / "workflows" / "releases.yml"

CHECK = """
pathlib.Path("report").mkdir()
pathlib.Path("report/releases.md").write_text("| table |")
pathlib.Path("report/releases.json").write_text('{"verdict": ["a to b: 1 worse."]}')
sys.exit(int(os.environ["ANSWER"]))
"""
GH = """
if sys.argv[1:3] == ["issue", "list"]:
    print(os.environ["OPEN"])
"""


def steps() -> dict[str, dict[str, Any]]:
    workflow = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    jobs = workflow["jobs"].values()
    return {step["name"]: step for job in jobs for step in job["steps"] if "name" in step}


@dataclass
class Runner:
    """Runs steps as GitHub does, in a folder of its own."""

    folder: Path

    def program(self, name: str, body: str) -> None:
        """Put a program on the PATH; it writes its arguments into ``NAME.calls``."""
        path = self.folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        note = f"print(json.dumps(sys.argv[1:]), file=open({str(self.calls(name))!r}, 'a'))\n"
        code = path.with_suffix(".code")
        code.write_text(f"import json, os, pathlib, sys\n{note}{body}")
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{code}" "$@"\n')
        path.chmod(0o755)

    def calls(self, name: str) -> Path:
        return self.folder / f"{name}.calls"

    def called(self, name: str) -> list[list[str]]:
        path = self.calls(name)
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def run(self, step: str, **variables: str) -> subprocess.CompletedProcess[str]:
        script = self.folder / "step.sh"
        script.write_text(steps()[step]["run"])
        path = f"{self.folder / 'bin'}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}"
        given = {
            "PATH": path + os.environ["PATH"],
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
            "GITHUB_RUN_ID": "7",
            "NIGHTLY": "https://nightly.example/simple",
            "TITLE": "A title",
        }
        return subprocess.run(
            ["bash", "-e", str(script)],
            cwd=self.folder,
            env=given | variables,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    made = Runner(tmp_path)
    made.program("pp-compare", CHECK)
    made.program("gh", GH)
    return made


INDEX = """
import io, urllib.request
pages = {"https://pypi.org/pypi/statsmodels/json": b'{"info": {"version": "0.15.0"}}'}
urllib.request.urlopen = lambda address: io.BytesIO(pages[address])
"""


def test_the_released_one_is_the_version_that_the_index_names(runner: Runner) -> None:
    (runner.folder / "sitecustomize.py").write_text(INDEX)
    runner.program("python", f"os.execv({sys.executable!r}, [{sys.executable!r}, *sys.argv[1:]])")
    done = runner.run("The released one", PYTHONPATH=str(runner.folder))
    assert done.returncode == 0, done.stderr
    assert (runner.folder / "output").read_text() == "version=0.15.0\n"


@pytest.mark.parametrize("status", ["0", "1", "2", "3"])
def test_the_check_keeps_its_status_and_fails_beyond_1(runner: Runner, status: str) -> None:
    done = runner.run("Check", CANDIDATES="statsmodels", RELEASED="0.15.0", ANSWER=status)
    assert (done.returncode == 0) == (status in "01")
    assert (runner.folder / "output").read_text() == f"status={status}\n"
    assert (runner.folder / "summary").read_text() == "| table |"


def test_text_of_an_input_is_words_and_no_command(runner: Runner) -> None:
    given = '"0.15.0 with numpy==1.26.4" $(touch made) `touch made` ; touch made'
    runner.run("Check", CANDIDATES=given, RELEASED="0.15.0", ANSWER="0")
    (words,) = runner.called("pp-compare")
    assert words[:4] == ["releases", "0.15.0", "0.15.0 with numpy==1.26.4", "$(touch"]
    assert words[words.index("--index") + 1] == "https://nightly.example/simple"
    assert not (runner.folder / "made").exists()


def test_an_open_quote_is_no_check_of_nothing(runner: Runner) -> None:
    done = runner.run("Check", CANDIDATES='"0.15.0', RELEASED="0.15.0", ANSWER="0")
    assert done.returncode != 0
    assert runner.called("pp-compare") == []


@pytest.mark.parametrize(
    ("status", "number", "expected"),
    [
        ("1", "", ["issue", "create", "--title", "A title", "--body-file", "body.md"]),
        ("1", "12", ["issue", "edit", "12", "--body-file", "body.md"]),
        ("0", "12", ["issue", "close", "12", "--comment", "No longer: see run 7."]),
        ("0", "", None),
    ],
)
def test_one_issue_is_opened_kept_or_closed(
    runner: Runner, status: str, number: str, expected: list[str] | None
) -> None:
    runner.run("Check", CANDIDATES="statsmodels", RELEASED="0.15.0", ANSWER=status)
    done = runner.run("Keep one issue up to date", STATUS=status, OPEN=number)
    assert done.returncode == 0, done.stderr
    asked, *rest = runner.called("gh")
    assert asked[:4] == ["issue", "list", "--state", "open"]
    assert 'in:title "A title"' in asked
    assert rest == ([] if expected is None else [expected])
    assert (runner.folder / "body.md").read_text() == "- a to b: 1 worse.\n\n| table |"
