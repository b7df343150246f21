"""The audit of a generalised mixed model: every engine, each held against both truths."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from pp_compare.audits.audit import Cast, Progress
from pp_compare.audits.glmm_cast import available_glmm_engines, source_of
from pp_compare.audits.glmm_judging import CERTIFIED, Verdicts, glmm_case_report, verdicts
from pp_compare.audits.provenance import collect_provenance
from pp_compare.audits.selection import GlmmSelection
from pp_compare.engines.glmm.registry import fit_glmm
from pp_compare.engines.schedule import runtime
from pp_compare.engines.worker import Workers
from pp_compare.model import Fit
from pp_compare.model.glmm import GlmmDesign
from pp_compare.report.record import CaseReport, FailOn, Report
from pp_compare.verdict.deviations import Deviation, load_glmm_deviations
from pp_compare.verdict.judgement import Judgement, unjudged, with_remedy
from pp_compare.verdict.remedy import Remedy

PROOF_SECONDS = 900.0
"""For the certified optima of a model: the largest that is proved takes some minutes."""

WRITER = "pp_compare.report.glmm.folder"
"""The module that writes the report into a folder."""


def audit_glmm(
    selections: Sequence[GlmmSelection],
    engines: Sequence[str] | None = None,
    *,
    limit: float = 60.0,
    processes: int = 1,
    registry: Sequence[Deviation] | None = None,
    fail_on: FailOn = "wrong",
    remedies: bool = True,
    command: str = "",
    progress: Progress = lambda _title, _done, _of: None,
) -> Report:
    """Audit generalised mixed models.

    Parameters
    ----------
    selections : sequence of GlmmSelection
    engines : sequence of str, optional
        Engine ids (`pp_compare.engines.glmm`); all that are here by default. ``certified`` is
        always there. Those in R are played back from the recorded references where they do not
        run here.
    limit : float
        Seconds a fit may take; then its process is killed.
    processes, registry, fail_on, command, progress
        As in `pp_compare.audits.audit.audit`.
    remedies : bool
        Whether to run the tight settings of glmer where its numbers cannot be used.

    Raises
    ------
    DataError, FormulaError
        For a model that cannot be fitted to the data.
    InputError, UnavailableError
        For an engine that there is not, or not here.
    """
    started = time.perf_counter()
    known = load_glmm_deviations() if registry is None else tuple(registry)
    designs = [selection.design() for selection in selections]
    with Workers(limit, processes) as workers:
        cast = available_glmm_engines([e for e in engines or () if e != CERTIFIED], workers)
        cases, total, done = [], len(designs) * len(cast.sources), 0
        for selection, design in zip(selections, designs, strict=True):
            pending = {
                name: _started(workers, source, design, name)
                for name, source in cast.sources.items()
            }
            fits = {}
            for name, waiting in pending.items():
                fits[name] = replace(waiting(), engine=name)
                done += 1
                progress(f"{selection.case}, {name}", done, total)
            progress(f"proving {selection.case}", done, total)
            found = _proved(design, fits, workers, known, selection.case)
            case = glmm_case_report(selection, design, fits, found)
            cases.append(_mended(case, design, workers, cast) if remedies else case)
    answers = [fit for case in cases for fit in case.fits.values()]
    provenance = collect_provenance(
        answers, cast.sources, command, roads=cast.roads, missing=cast.missing
    )
    seconds = time.perf_counter() - started
    return Report(provenance, tuple(cases), seconds, fail_on, writer=WRITER)


def _started(workers: Workers, source: str, design: GlmmDesign, name: str) -> Callable[[], Fit]:
    return workers.start(fit_glmm, source, design, otherwise=_failed(name), needed=runtime(source))


def _proved(
    design: GlmmDesign,
    fits: dict[str, Fit],
    workers: Workers,
    registry: Sequence[Deviation] = (),
    case: str = "",
) -> Verdicts:
    started = workers.start(
        verdicts, design, fits, registry, case, otherwise=_unproved(fits), seconds=PROOF_SECONDS
    )
    return started()


def _failed(name: str) -> Callable[[str], Fit]:
    return lambda why: Fit.failed(name, why)


def _unproved(fits: dict[str, Fit]) -> Callable[[str], Verdicts]:
    def otherwise(why: str) -> Verdicts:
        found = tuple(unjudged(fit, f"the proof {why}") for fit in fits.values())
        return Verdicts((), found)

    return otherwise


# ---- what mends ---------------------------------------------------------------------------------


def _mended(case: CaseReport, design: GlmmDesign, workers: Workers, cast: Cast) -> CaseReport:
    """The case with what mends each fit of glmer that cannot be used."""
    return replace(
        case,
        judgements=tuple(_remedied(j, case, design, workers, cast) for j in case.judgements),
    )


def _remedied(
    judgement: Judgement, case: CaseReport, design: GlmmDesign, workers: Workers, cast: Cast
) -> Judgement:
    name, _, setting = judgement.engine.partition(":")
    if name != "lme4" or setting.startswith("tight") or not judgement.bad:
        return judgement
    tight = ":".join(filter(None, ("lme4", "tight", setting)))
    other = next((j for j in case.judgements if j.engine == tight), None)
    if other is None:
        source = source_of(tight, cast)
        if source is None:
            return judgement
        fit = _started(workers, source, design, tight)()
        fits = {tight: replace(fit, engine=tight)}
        other = _proved(design, fits, workers).judgements[0]
    if other.bad or other.standing == "not judged":
        return with_remedy(judgement, Remedy("", "", f"{tight} does not arrive either"))
    return with_remedy(judgement, Remedy(tight, glmer_call(design, setting), other.sentence))


def glmer_call(design: GlmmDesign, setting: str) -> str:
    """The call of glmer() with its tight settings, to paste."""
    nodes = setting.partition(":")[2]
    counted = f", nAGQ = {nodes}" if nodes else ""
    return (
        f"glmer({design.formula}, data, family = {design.family}{counted},\n"
        '  control = glmerControl(optimizer = c("bobyqa", "bobyqa"), tolPwrss = 1e-13,\n'
        "    optCtrl = list(rhoend = 1e-10, maxfun = 1e5)))"
    )
