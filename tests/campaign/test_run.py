"""A run that is killed resumes with nothing lost and nothing twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pp_compare.campaign import store
from pp_compare.campaign.local import LocalFleet
from pp_compare.campaign.plan import from_document, to_document
from pp_compare.campaign.progress import Progress
from pp_compare.campaign.run import read_campaign_plan, run_campaign
from pp_compare.campaign.sandbox import environment
from pp_compare.errors import InputError

ENGINE = "tests.campaign.engines:sound"
PLAN = from_document(
    {"engines": [ENGINE], "replications": 40, "grid": {"clusters": 4, "rows": 3, "icc": [0, 0.5]}}
)
SCRIPT = """
import json, sys
from pathlib import Path
from pp_compare.campaign.local import LocalFleet
from pp_compare.campaign.plan import from_document
from pp_compare.campaign.run import run_campaign
plan = from_document(json.loads(sys.argv[1]))
say = lambda progress: print(progress.done, flush=True)
run_campaign(plan, Path(sys.argv[2]), LocalFleet(plan), part=5, report=say)
"""


def rows(folder: Path) -> list[str]:
    """Every row but for its seconds, as text: nan equals nan."""
    found = []
    for table in store.tables(folder / "rows"):
        found += [repr({**row, "seconds": 0}) for row in table.to_pylist()]
    return found


def test_a_killed_run_resumes(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, json.dumps(to_document(PLAN)), str(tmp_path / "a")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stdout is not None
        reported = next(int(line) for line in process.stdout if int(line) >= 10)
        os.kill(process.pid, signal.SIGKILL)
    kept = store.finished(tmp_path / "a" / "rows")
    assert sum(stop - start for start, stop in kept) >= reported
    assert len(rows(tmp_path / "a")) < 2 * PLAN.size
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "a" / "rows").iterdir()}
    done = run_campaign(PLAN, tmp_path / "a", LocalFleet(PLAN, 2), part=12)
    assert done.done == PLAN.size
    assert all(path.stat().st_mtime_ns == when for path, when in written.items())
    run_campaign(PLAN, tmp_path / "b", LocalFleet(PLAN), part=400)
    assert rows(tmp_path / "a") == rows(tmp_path / "b")
    assert len(rows(tmp_path / "a")) == 2 * PLAN.size
    _nobody_is_left_behind()


def _nobody_is_left_behind() -> None:
    """The processes that fit end with the one that was killed."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        parents = [_parent(path) for path in Path("/proc").glob("[0-9]*/cmdline")]
        if 1 not in parents:
            return
        time.sleep(0.2)
    pytest.fail("a process that fits outlived its run")


def _parent(cmdline: Path) -> int | None:
    """Parent of a process of ours that fits this plan's kind; None of any other process."""
    try:
        ours = b"pp_compare.campaign.child" in cmdline.read_bytes()
        status = (cmdline.parent / "stat").read_text()
    except OSError:
        return None
    return int(status.rpartition(")")[2].split()[1]) if ours else None


class Nothing:
    """A fleet that does nothing."""

    def results(self, ranges: object) -> list[object]:
        return []


def test_a_folder_with_another_plan_is_refused(tmp_path: Path) -> None:
    run_campaign(PLAN, tmp_path, Nothing())  # type: ignore[arg-type]  # stands for any fleet
    assert read_campaign_plan(tmp_path, PLAN.engines) == PLAN
    other = from_document({**to_document(PLAN), "seed": 99})
    with pytest.raises(InputError, match="holds another plan"):
        run_campaign(other, tmp_path, Nothing())  # type: ignore[arg-type]  # as above


def test_two_runs_in_one_folder_are_refused(tmp_path: Path) -> None:
    class Second(Nothing):
        def results(self, ranges: object) -> list[object]:
            with pytest.raises(InputError, match="another run is at work"):
                run_campaign(PLAN, tmp_path, Nothing())  # type: ignore[arg-type]  # as above
            return []

    run_campaign(PLAN, tmp_path, Second())  # type: ignore[arg-type]  # as above


def test_a_folder_that_is_none_of_a_campaign(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not the folder of a campaign"):
        read_campaign_plan(tmp_path)


def row(outcome: str, above: float = 0.0, status: str = "ok") -> dict[str, object]:
    return {"engine": "e", "index": 7, "outcome": outcome, "status": status, "above": above}


def test_progress_says_what_was_done_how_fast_and_what_went_wrong() -> None:
    now = [0.0]
    progress = Progress(100, before=20, clock=lambda: now[0])
    now[0] = 10.0
    found = [row("right"), row("early stop", 0.25), row("failure", float("nan"), "lost")]
    progress.add([*found, {**row("right"), "engine": "certified"}], 20)
    assert progress.line() == (
        "40 of 100 data sets (40%); 2 a second, 30 s left; 1 fits off the optimum, 1 failed; "
        "1 of these ended their process; worst: e on 7, deviance 0.25 too high"
    )
