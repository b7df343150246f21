"""Commands that are killed at any moment: no process stays, no half-written file, all goes on."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.needs_r]

KILLS = 20
MARK = "PP_COMPARE_TEST_RUN"
PLAN = """
engines = ["lme4", "statsmodels"]
replications = 60
[grid]
clusters = [5, 8]
icc = [0.1, 0.4]
"""
COMMANDS = {
    "audit": ["audit", "seed_case1", "seed_case2", "--out", "out", "--bundle", "bundles"],
    "reproduce": ["reproduce", "seed_case1", "two_optima_ml", "--out", "out"],
    "search": ["search", "--seconds", "30", "--bundle", "out"],
    "releases": ["releases", "--rscript", "Rscript", "--case", "seed_case1", "--generated", "12",
                 "--cache", "cache", "--floor", "none", "--out", "out"],
    "building": ["releases", "0.14.6", "0.15.0", "--case", "smallest", "--method", "ml",
                 "--generated", "0", "--cache", "cache", "--floor", "none", "--out", "out"],
    "campaign": ["campaign", "plan.toml", "--out", "out", "--processes", "2"],
}  # fmt: skip
ENDS = {
    "audit": (0, 1),
    "building": (0, 1),
    "reproduce": (0,),
    "search": (0, 1),
    "releases": (0, 1),
    "campaign": (0,),
}


def environment(folder: Path, mark: str) -> dict[str, str]:
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    return {**os.environ, MARK: mark, "TMPDIR": str(temporary), "OPENBLAS_NUM_THREADS": "1"}


def start(command: list[str], folder: Path, mark: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "pp_compare", *command],
        cwd=folder, env=environment(folder, mark), start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def alive(mark: str) -> list[str]:
    """Command lines of the processes that were started by a run, however far down."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (process / "environ").read_bytes():
                state = (process / "stat").read_text().rpartition(")")[2].split()[0]
                if state not in "ZX":
                    found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def all_end(mark: str, seconds: float) -> list[str]:
    end = time.monotonic() + seconds
    while (left := alive(mark)) and time.monotonic() < end:
        time.sleep(0.1)
    return left


def half_written(folder: Path) -> list[str]:
    """JSON that does not parse under a name that is not a temporary one."""
    found = []
    for path in folder.rglob("*.json"):
        if path.name.startswith(".") or ".making-" in str(path):
            continue
        try:
            json.loads(path.read_text())
        except ValueError:
            found.append(str(path))
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_kills_at_random_moments_leave_nothing(name: str, tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(PLAN)
    rng = random.Random(f"18 {name}")
    for _ in range(KILLS):
        how = rng.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
        mark = uuid.uuid4().hex
        process = start(COMMANDS[name], tmp_path, mark)
        # Python itself prints a traceback on Ctrl-C before any of our code is reached.
        time.sleep(rng.uniform(0.7 if how == signal.SIGINT else 0.1, 12.0))
        process.send_signal(how)
        _, error = process.communicate(timeout=60)
        assert all_end(mark, 20.0) == [], how
        assert b"Traceback" not in error, error.decode()
        assert half_written(tmp_path) == []
        if name == "building":
            half_made(tmp_path / "cache" / "environments")
    mark = uuid.uuid4().hex
    process = start(COMMANDS[name], tmp_path, mark)
    _, error = process.communicate(timeout=900)
    assert process.returncode in ENDS[name], error.decode()
    assert all_end(mark, 20.0) == []
    assert half_written(tmp_path) == []
    made = tmp_path / "cache" / "environments"
    left = [
        path
        for path in tmp_path.rglob(".*")
        if path.name not in {".lock", ".gitignore"}
        and (made not in path.parents or path.parent == made)
    ]
    assert left == []
    assert list((tmp_path / "tmp").iterdir()) == []
    if name == "campaign":
        rows_are_complete(tmp_path / "out" / "rows")


def half_made(environments: Path) -> None:
    """Every environment under its own name is whole; it is removed, so that the next is made."""
    for path in [p for p in environments.glob("*") if not p.name.startswith(".making-")]:
        about = json.loads((path / "pp-compare.json").read_text())
        assert {"statsmodels", "numpy"} <= set(about["versions"])
        shutil.rmtree(path)


def rows_are_complete(folder: Path) -> None:
    from pp_compare.campaign import store

    keys = [
        (row["index"], row["engine"])
        for table in store.tables(folder, ["index", "engine"])
        for row in table.to_pylist()
    ]
    assert len(keys) == len(set(keys)) == 240 * 3
