"""The report of an audit as one page: judgements first, then what they rest on, numbers last."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pp_compare.identities import IDENTITIES
from pp_compare.report.audit.columns import COLUMNS, packed
from pp_compare.report.audit.findings import unexpected
from pp_compare.report.audit.gallery import Picture
from pp_compare.report.audit.html_cells import Cell
from pp_compare.report.audit.html_models import model_part
from pp_compare.report.audit.html_survey import survey_of
from pp_compare.report.audit.outcome import counted, outcome
from pp_compare.report.audit.terminal import sources_line
from pp_compare.report.digest import DETAILED, digits_of, engines_of
from pp_compare.report.page import render, trusted
from pp_compare.report.paragraph import paragraphs
from pp_compare.report.record import Report
from pp_compare.verdict.deviations import Deviation
from pp_compare.verdict.digits import MAX_DIGITS

SHADES = 5
"""Steps of colour from no digits to all."""


@dataclass(frozen=True)
class IdentityCount:
    """How often an identity held."""

    id: str
    statement: str
    held: int
    checked: int


def report_html(
    report: Report, registry: Iterable[Deviation], pictures: Sequence[Picture] = ()
) -> str:
    """The page.

    Parameters
    ----------
    report : Report
        With up to `DETAILED` models each is told by itself; more are a survey.
    registry : iterable of Deviation
        Says what the known deviations are.
    pictures : sequence of Picture
        Figures of single models (`pp_compare.report.audit.gallery`).
    """
    entries = {entry.id: entry for entry in registry}
    said = outcome(report)
    few = len(report.cases) <= DETAILED
    return render(
        "report.html",
        script="report.js",
        title=f"pp_compare: {said.word}",
        report=report,
        outcome=said,
        counted=counted(report),
        source=sources_line(report),
        engines=engines_of(report),
        few=few,
        parts=[model_part(case, entries, pictures) for case in report.cases] if few else [],
        survey=None if few else survey_of(report, entries),
        unexpected=unexpected(report),
        known_identities=_known_identities(report, entries),
        known_probes=_known_probes(report, entries),
        skipped=_skipped(report),
        identities=_identities(report),
        digits=_digits(report),
        several=len(report.cases) > 1,
        pictures=[] if few else [(p, trusted(p.svg)) for p in pictures],
        paragraphs=paragraphs(report) if few else [],
        columns=COLUMNS,
        packed=packed(report),
    )


def _digits(report: Report) -> tuple[tuple[str, ...], list[tuple[str, list[Cell]]]] | None:
    """Digits right, an engine a row: median and minimum over the models, or of the one model."""
    digits = digits_of(report)
    several = len(report.cases) > 1

    def cell(middle: float, low: float) -> Cell:
        if math.isnan(middle):
            return Cell("-")
        shade = min(int(SHADES * middle / MAX_DIGITS), SHADES - 1)
        text = f"{middle:.1f} / {low:.1f}" if several else f"{middle:.1f}"
        return Cell(text, style=f"shade{shade}")

    rows = [
        (engine, [cell(*pair) for pair in zip(middle, low, strict=True)])
        for engine, middle, low in zip(
            digits.engines, digits.median.tolist(), digits.least.tolist(), strict=True
        )
    ]
    return (digits.kinds, rows) if rows else None


def _known_identities(report: Report, registry: Mapping[str, Deviation]) -> list[str]:
    """Deviations that show in an identity and in no comparison: each once, with its models."""
    shown = {line.deviation for case in report.cases for line in case.comparisons}
    found: dict[tuple[str, str, str], set[str]] = {}
    for case in report.cases:
        for check in case.identities:
            if check.deviation and check.deviation not in shown:
                key = (check.deviation, check.engine, check.identity)
                found.setdefault(key, set()).add(case.title)
    return [
        f"{engine} breaks the identity {identity}, known as {name}, in {len(titles)} of "
        f"{len(report.cases)} models. {registry[name].summary if name in registry else ''}"
        for (name, engine, identity), titles in found.items()
    ]


def _known_probes(report: Report, registry: Mapping[str, Deviation]) -> list[str]:
    """Deviations that show in what was asked beside the fits: each once, with the answers."""
    found: dict[tuple[str, str], list[str]] = {}
    for case in report.cases:
        for check in case.probes:
            if check.verdict == "known":
                answers = found.setdefault((check.deviation, check.engine), [])
                answers.append(f"{check.probe}: {check.text} ({case.title})")
    return [
        f"{engine}: {'; '.join(answers)}. Known as {name}. "
        f"{registry[name].summary if name in registry else ''}"
        for (name, engine), answers in found.items()
    ]


def _skipped(report: Report) -> list[tuple[str, list[str]]]:
    found: dict[str, list[str]] = {}
    for case in report.cases:
        for line in case.comparisons:
            if line.verdict == "skip":
                reason = f"{line.candidate}: {line.reason}"
                titles = found.setdefault(reason, [])
                if case.title not in titles:
                    titles.append(case.title)
    return list(found.items())


def _identities(report: Report) -> list[IdentityCount]:
    """Each identity with how often it held and how often it was checked."""
    checks = [
        check for case in report.cases for check in case.identities if check.verdict != "skip"
    ]
    statements = {identity.id: identity.statement for identity in IDENTITIES}
    found = []
    for name in dict.fromkeys(check.identity for check in checks):
        verdicts = [check.verdict for check in checks if check.identity == name]
        found.append(
            IdentityCount(name, statements.get(name, ""), verdicts.count("pass"), len(verdicts))
        )
    return found
