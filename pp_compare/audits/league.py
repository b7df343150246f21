"""The league, run: every engine that starts here, on the same models, one fit at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pp_compare.audits.audit import Progress, audit
from pp_compare.audits.selection import Selection
from pp_compare.engines import engine_names
from pp_compare.engines.worker import Workers
from pp_compare.errors import UnavailableError
from pp_compare.report.record import Report

NOT_RANKED = frozenset({"certified", "recorded"})
"""The truth itself, and what is only played back."""
START_LIMIT = 120.0
"""Seconds that an engine may take to start: R and PyMC load for several."""


@dataclass(frozen=True, eq=False)
class Run:
    """A report, and the engines that took no part in it, with the reason."""

    report: Report
    unavailable: Mapping[str, str] = field(default_factory=dict)


def run_league(
    selections: Sequence[Selection],
    engines: Sequence[str] | None = None,
    *,
    limit: float = 60.0,
    command: str = "",
    progress: Progress = lambda _title, _done, _of: None,
) -> Run:
    """Audit the models with the engines, the certified one among them, serially.

    Parameters
    ----------
    selections : sequence of Selection
    engines : sequence of str, optional
        Engine ids; by default all that are installed. An engine that this machine cannot run is
        left out, with the reason.
    limit : float
        Seconds that a fit may take.
    command : str
        For the provenance.
    progress : callable
        As of `pp_compare.audits.audit.audit`.

    Raises
    ------
    InputError
        For an engine or a setting that there is not.
    UnavailableError
        Where no engine can be run here.
    """
    asked = engines or [name for name in engine_names() if name not in NOT_RANKED]
    unavailable = _unavailable([engine for engine in asked if engine != "certified"])
    chosen = [engine for engine in asked if engine not in unavailable and engine != "certified"]
    if not chosen:
        reasons = "; ".join(f"{engine}: {why}" for engine, why in unavailable.items())
        raise UnavailableError(f"none of the engines runs here: {reasons}")
    # One process: engines that share the machine with each other would be timed together.
    report = audit(
        selections,
        (*chosen, "certified"),
        limit=limit,
        processes=1,
        command=command,
        progress=progress,
    )
    return Run(report, unavailable)


def _unavailable(engines: Sequence[str]) -> dict[str, str]:
    """Why an engine does not start here; the process they are made in is replaced if it dies."""
    found = {}
    with Workers(START_LIMIT) as workers:
        for engine in engines:
            try:
                workers.make(engine)
            except UnavailableError as error:
                found[engine] = str(error)
    return found
