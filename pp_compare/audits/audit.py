"""The audit: fit every case with every engine, hold the fits together, and report.

Selection -> Design -> Fit (one an engine) -> identities, truth, parity -> CaseReport -> Report
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from pp_compare.audits.judging import PARITY_REFERENCES, judged, unjudged
from pp_compare.audits.mending import mended
from pp_compare.audits.provenance import collect_provenance
from pp_compare.audits.selection import Selection
from pp_compare.engines.worker import Workers
from pp_compare.errors import UnavailableError
from pp_compare.model.variables import NaPolicy
from pp_compare.report.record import FailOn, Report
from pp_compare.verdict.deviations import Deviation, load_deviations

DEFAULT_ENGINES = ("lme4", "nlme", "statsmodels", "certified")
RECORDED_STACK = "bookworm"
"""Recorded references that stand in for lme4 and nlme where there is no R."""

Progress = Callable[[str, int, int], None]
"""Takes what is under way, how many fits are done, and of how many."""


def audit(
    selections: Sequence[Selection],
    engines: Sequence[str] = DEFAULT_ENGINES,
    *,
    na: NaPolicy = "raise",
    limit: float = 60.0,
    processes: int = 1,
    registry: Sequence[Deviation] | None = None,
    fail_on: FailOn = "news",
    remedies: bool = False,
    command: str = "",
    progress: Progress = lambda _title, _done, _of: None,
) -> Report:
    """Audit the selections with the engines.

    Parameters
    ----------
    selections : sequence of Selection
    engines : sequence of str
        Engine ids. ``lme4`` and ``nlme`` are played back from the recorded references where R is
        not available; a setting of theirs is not.
    na : {"raise", "drop"}
    limit : float
        Seconds a fit may take; then its process is killed.
    processes : int
        Fits that run at once.
    registry : sequence of Deviation, optional
        Known deviations; those of the project by default.
    fail_on : {"wrong", "news", "any", "none"}
        What the exit status asks about (`Report.exit_status`).
    remedies : bool
        Whether to look for what mends each engine whose numbers cannot be used: its other
        optimisers, limits, start values and predictors rescaled are run, one after the other.
    command : str
        For the provenance.
    progress : callable
        Called when a fit is done, with its model and engine, for each model that is judged, and for
        each remedy that is looked for; with how many fits are done, of how many.

    Raises
    ------
    DataError, FormulaError
        For a selection that no mixed model can be fitted to.
    InputError, UnavailableError
        For an engine that there is not, or not here.
    """
    started = time.perf_counter()
    known = load_deviations() if registry is None else tuple(registry)
    designs = [selection.design(na) for selection in selections]
    with Workers(limit, processes) as workers:
        cast = available_engines(engines, workers)
        pending = [
            {engine: workers.start_fit(source, design) for engine, source in cast.sources.items()}
            for design in designs
        ]
        pending_cases, total, done = [], len(designs) * len(cast.sources), 0
        for selection, design, waiting in zip(selections, designs, pending, strict=True):
            fits = {}
            for engine, fit in waiting.items():
                fits[engine] = replace(fit(), engine=engine)
                done += 1
                progress(f"{selection.case} {selection.method}, {engine}", done, total)
            failed = partial(unjudged, selection, design, fits)
            judging = workers.start(judged, selection, design, fits, known, otherwise=failed)
            pending_cases.append(judging)
        found = []
        for selection, verdict in zip(selections, pending_cases, strict=True):
            progress(f"judging {selection.case} {selection.method}", done, total)
            found.append(verdict())
        cases = [one.report for one in found]
        if remedies:
            cases = mended(
                found, designs, workers, limit, lambda title: progress(title, done, total)
            )
    answers = [fit for case in cases for fit in case.fits.values()]
    provenance = collect_provenance(
        answers, cast.sources, command, roads=cast.roads, missing=cast.missing
    )
    return Report(provenance, tuple(cases), time.perf_counter() - started, fail_on, tuple(designs))


@dataclass(frozen=True)
class Cast:
    """Who plays each engine's part.

    Parameters
    ----------
    sources : dict of str to str
        The engine id that does, by that of the part.
    roads : dict of str to str
        How R is reached, of those that are in R.
    missing : dict of str to str
        What was not found, of those that are played back for want of it.
    """

    sources: dict[str, str] = field(default_factory=dict)
    roads: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


def available_engines(engines: Sequence[str], workers: Workers) -> Cast:
    """The engine that plays each part: itself, or the recorded one where there is no R.

    Raises
    ------
    InputError, UnavailableError
        For an engine that there is not, or not here and not recorded.
    """
    cast = Cast()
    making = {engine: workers.start_make(engine) for engine in engines}
    for engine, made in making.items():
        cast.sources[engine] = engine
        try:
            cast.roads[engine] = made()
        except UnavailableError as error:
            if engine not in PARITY_REFERENCES:
                raise
            cast.missing[engine] = str(error)
            cast.sources[engine] = f"recorded:{RECORDED_STACK}/{engine}"
            workers.make(cast.sources[engine])
    return cast
