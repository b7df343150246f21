"""The workflows and the action: what they are allowed, and that their own steps run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pp_compare.resources import resource

SUITE = Path(__file__).parents[1]
GITHUB = SUITE / ".github"
FILES = sorted([*(GITHUB / "workflows").glob("*.yml"), *(GITHUB / "actions").glob("*/action.yml")])
WORKFLOWS = [path for path in FILES if path.parent.name == "workflows"]


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def steps(path: Path) -> Iterator[dict[str, Any]]:
    found = read(path)
    for part in [found["runs"]] if "runs" in found else found["jobs"].values():
        yield from part.get("steps", ())


def named(path: str, name: str) -> str:
    return next(s["run"] for s in steps(GITHUB / path) if s.get("name") == name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name + "/" + path.name)
def test_every_action_is_pinned_by_its_commit(path: Path) -> None:
    lines = re.findall(r"uses: (\S+)(.*)", path.read_text(encoding="utf-8"))
    for action, comment in lines:
        ours = action.startswith("./") or action.startswith("OWNER/")
        assert ours or re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action), action
        assert ours or re.fullmatch(r" # v\d+\.\d+\.\d+", comment), action


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name + "/" + path.name)
def test_no_text_of_others_is_part_of_a_command(path: Path) -> None:
    """An expression in a script is pasted before the shell reads it; in env it is a value."""
    for step in steps(path):
        assert "${{" not in step.get("run", ""), step
        if "actions/checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_what_installs_may_not_write(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        writes = [k for k, v in job.get("permissions", {}).items() if v == "write"]
        installs = any("install" in step.get("run", "") for step in job.get("steps", ()))
        # The build of a release attests what it built, and publishing installs the tool for it.
        assert not (writes and installs) or (path.name, name) in {
            ("release.yml", "build"),
            ("release.yml", "publish"),
        }


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_run_is_double(path: Path) -> None:
    """A push to a branch with a pull request would otherwise be tested twice."""
    on = read(path)[True]  # YAML 1.1 reads the word "on" as a truth value
    if "pull_request" in on:
        assert on["push"] == {"branches": ["main"]}


def run(script: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """As GitHub runs it, with the programs of this environment."""
    (folder / "step.sh").write_text(script)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-eo", "pipefail", "step.sh"],
        cwd=folder,
        env={**os.environ, "PATH": path, "GITHUB_OUTPUT": str(folder / "output"), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_step_that_audits(tmp_path: Path) -> None:
    shutil.copy(resource("fixtures", "data", "seed_case1.csv"), tmp_path / "my data.csv")
    done = run(
        named("actions/pp-compare/action.yml", "Audit"),
        tmp_path,
        DATA="my data.csv",
        FORMULA="dependent ~ predictor + (1|cluster)",
        OPTIONS="--method reml --engine statsmodels --engine 'certified'",
        OUT="the report",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "output").read_text() == "status=0\n"
    assert (tmp_path / "the report" / "report.html").is_file()


def test_the_step_that_audits_fails_as_the_audit_does(tmp_path: Path) -> None:
    script = named("actions/pp-compare/action.yml", "Audit")
    given = {"DATA": "none.csv", "FORMULA": "y ~ x + (1|g)", "OPTIONS": "", "OUT": "$(touch made)"}
    done = run(script, tmp_path, **given)
    assert done.returncode == 2
    assert (tmp_path / "output").read_text() == "status=2\n"
    assert not (tmp_path / "made").exists()


def test_the_step_that_checks_a_package(tmp_path: Path) -> None:
    done = run(
        named("workflows/check.yml", "Conformance").replace("-n auto", ""),
        tmp_path,
        PYTEST_ADDOPTS="",
        ENGINE="statsmodels:tight",
        LEVEL="quick",
        OPTIONS="--pp-case seed_case1 -k 'seed_case1-REML-beta and not beta_'",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d+ passed", done.stdout)


def test_the_step_that_publishes_the_site_keeps_the_versions_there_are(tmp_path: Path) -> None:
    """Against a repository of its own, in the place of the one on GitHub."""
    script = named("workflows/docs.yml", "Publish")
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "bare"], check=True)
    for k, tag in enumerate(["", "v0.9.0", "v0.10.0", ""]):
        folder = tmp_path / str(k)
        (folder / "site").mkdir(parents=True)
        (folder / "site" / "index.html").write_text(f"{k}")
        shutil.copytree(SUITE / ".ci", folder / ".ci")
        done = run(script, folder, ADDRESS=str(tmp_path / "bare"), TAG=tag)
        assert done.returncode == 0, done.stderr
    shown = tmp_path / "3" / "pages"
    told = {folder.parent.name: folder.read_text() for folder in shown.glob("*/index.html")}
    assert told == {"dev": "3", "0.9.0": "1", "0.10.0": "2", "latest": "2"}
    listed = json.loads((shown / "versions.json").read_text())
    assert [(e["version"], e["aliases"]) for e in listed] == [
        ("dev", []), ("0.10.0", ["latest"]), ("0.9.0", []),
    ]  # fmt: skip
    assert "url=latest/" in (shown / "index.html").read_text()
