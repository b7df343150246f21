"""Run a plan into a folder: what is there is done, the rest is fitted and written part by part.

The folder holds plan.json and ``rows/``. Killed at any moment and started again, a run does what is
missing and nothing twice; two runs at once in one folder are refused.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from pp_compare.campaign import store
from pp_compare.campaign.plan import Plan, from_document, read_bounded, require_allowed, to_document
from pp_compare.campaign.progress import Progress
from pp_compare.errors import InputError, quoted
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
    say: Callable[[str], None] = lambda _: None,
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
    say : callable
        Called with what had to be repaired, in a sentence.

    Raises
    ------
    InputError
        Where the folder holds another plan, is in use by another run, or cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        _keep_plan(plan, folder)
        rows = folder / "rows"
        for name in store.repair(rows):
            say(f"{name} was damaged: removed, its data sets are fitted again")
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


def read_campaign_plan(folder: Path, allow: Collection[str] = ()) -> Plan:
    """The plan that a folder was run from.

    Parameters
    ----------
    folder : Path
    allow : collection of str
        Engines by their path that it may name, as of `read_plan`.

    Raises
    ------
    InputError
        Where the folder is not one of a campaign, or names an engine that is not allowed.
    """
    path = folder / "plan.json"
    try:
        plan = from_document(json.loads(read_bounded(path)))
    except (InputError, ValueError, RecursionError, AttributeError, TypeError) as error:
        why = quoted(str(error), 200)
        raise InputError(f"{quoted(str(folder))} is not the folder of a campaign: {why}") from None
    require_allowed(plan, allow, path)
    return plan


def _keep_plan(plan: Plan, folder: Path) -> None:
    if (folder / "plan.json").exists():
        there = read_campaign_plan(folder, plan.engines)
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
