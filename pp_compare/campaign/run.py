"""Run a plan into a folder: what is there is done, the rest is fitted and written part by part.

The folder holds plan.json and ``rows/``. Killed at any moment and started again, a run does what is
missing and nothing twice; two runs at once in one folder are refused.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from pp_compare.campaign import store
from pp_compare.campaign.plan import Plan, from_document, to_document
from pp_compare.campaign.progress import Progress
from pp_compare.errors import InputError
from pp_compare.resources import write_text

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

PART = 250
"""Data sets a part: what a kill can cost each process, and a file of about 50 kB an engine."""

Range = tuple[int, int]


class Fleet(Protocol):
    """Processes that fit, here or elsewhere."""

    def results(self, ranges: Iterator[Range]) -> Iterator[tuple[Range, bytes]]:
        """Rows of every range as an Arrow stream, in the order in which they come."""


def run_campaign(
    plan: Plan,
    folder: Path,
    fleet: Fleet,
    *,
    part: int = PART,
    report: Callable[[Progress], None] = lambda _: None,
) -> Progress:
    """Run all that is missing of a plan.

    Parameters
    ----------
    plan : Plan
    folder : Path
        Made where it is not there; one with another plan is refused.
    fleet : Fleet
    part : int
        Data sets that are written together.
    report : callable
        Called after each part.

    Raises
    ------
    InputError
        Where the folder holds another plan, is in use by another run, or cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        _keep_plan(plan, folder)
        rows = folder / "rows"
        done = store.finished(rows)
        ranges = store.missing(plan.size, done, part)
        progress = Progress(plan.size, before=sum(stop - start for start, stop in done))
        report(progress)
        for (start, stop), stream in fleet.results(ranges):
            table = store.write_part(rows, start, stop, stream)
            told = ("engine", "index", "outcome", "status", "above")
            progress.add(table.select(told).to_pylist(), stop - start)
            report(progress)
    return progress


def read_campaign_plan(folder: Path) -> Plan:
    """The plan that a folder was run from.

    Raises
    ------
    InputError
        Where the folder is not one of a campaign.
    """
    try:
        text = (folder / "plan.json").read_text(encoding="utf-8")
        return from_document(json.loads(text))
    except (OSError, json.JSONDecodeError) as error:
        raise InputError(f"'{folder}' is not the folder of a campaign: {error}") from None


def _keep_plan(plan: Plan, folder: Path) -> None:
    if (folder / "plan.json").exists():
        there = read_campaign_plan(folder)
        if (there.digest, there.engines) != (plan.digest, plan.engines):
            raise InputError(
                f"'{folder}' holds another plan ({there.name}, {there.size} data sets, engines "
                f"{', '.join(there.engines)}); give this one a folder of its own"
            )
        return
    write_text(folder / "plan.json", json.dumps(to_document(plan), indent=1) + "\n")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder; the kernel lets go of it when this process ends, however it ends."""
    with (folder / ".lock").open("w") as lock:
        if fcntl is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(f"another run is at work in '{folder}'") from None
        lock.write(str(os.getpid()))
        yield
