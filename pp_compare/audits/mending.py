"""Give each judgement that an engine's numbers cannot be used what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from pp_compare.audits.judging import Judged
from pp_compare.audits.remedies import find_remedy
from pp_compare.engines.worker import Workers
from pp_compare.model.design import Design
from pp_compare.report.record import CaseReport
from pp_compare.verdict.judgement import GOOD, Judgement, with_remedy
from pp_compare.verdict.remedy import Remedy


def mended(
    found: Sequence[Judged],
    designs: Sequence[Design],
    workers: Workers,
    limit: float,
    progress: Callable[[str], None],
) -> list[CaseReport]:
    """The reports, each engine that is not right with a remedy that was run, or why there is none.

    Parameters
    ----------
    found : sequence of Judged
    designs : sequence of Design
        Of each of them.
    workers : Workers
        Attempts run there, as many at once as it has processes.
    limit : float
        Seconds after which no further attempt for one engine is started.
    progress : callable
        Called with the engine when a remedy is looked for.
    """

    def mend(case: Judged, design: Design, judgement: Judgement) -> Judgement:
        if not judgement.bad or case.model is None or case.tolerances is None:
            return judgement
        progress(f"a remedy for {judgement.engine}")
        remedy = find_remedy(judgement, design, case.model, case.tolerances, workers, limit)
        if isinstance(remedy, str):
            remedy = Remedy("", "", f"{remedy}; {_instead(case.report)}")
        return with_remedy(judgement, remedy)

    with ThreadPoolExecutor(max_workers=4) as threads:
        waiting = [
            (case.report, [threads.submit(mend, case, design, j) for j in case.report.judgements])
            for case, design in zip(found, designs, strict=True)
        ]
        return [
            replace(report, judgements=tuple(answer.result() for answer in answers))
            for report, answers in waiting
        ]


def _instead(report: CaseReport) -> str:
    """Engines of the run that are right on the model."""
    right = [j.engine for j in report.judgements if j.standing in GOOD]
    if right:
        return f"{' and '.join(right)} can be used here"
    return "the certified numbers can be used" if "certified" in report.fits else "no other can"
