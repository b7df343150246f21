"""The report of an audit as one page: verdict, what matters, figures, and every number."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pp_compare.identities import IDENTITIES
from pp_compare.report.audit.columns import COLUMNS, packed
from pp_compare.report.audit.figures import agreement_figure, heatmap
from pp_compare.report.audit.gallery import Picture
from pp_compare.report.audit.terminal import sources_line
from pp_compare.report.digest import (
    Finding,
    digits_of,
    engines_of,
    findings,
    least_digits,
    scatter_of,
    variance_digits,
    worst,
)
from pp_compare.report.league.tables import ability_table, league_of, standing_table
from pp_compare.report.page import render, trusted
from pp_compare.report.record import CaseReport, Report
from pp_compare.report.table import Table
from pp_compare.verdict.deviations import Deviation
from pp_compare.verdict.digits import digits_text, least


@dataclass(frozen=True)
class Cell:
    """Text of a cell, the number it is sorted by, and the verdict that colours it."""

    text: str
    key: float
    verdict: str = ""


@dataclass(frozen=True)
class ModelRow:
    """One model in the table of models."""

    title: str
    formula: str
    why: str
    cells: tuple[Cell, ...]


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
    registry : iterable of Deviation
        Says what the known deviations are.
    pictures : sequence of Picture
        Figures of single models (`pp_compare.report.audit.gallery`).
    """
    entries = {entry.id: entry for entry in registry}
    counts = report.counts()
    return render(
        "report.html",
        script="report.js",
        title=f"pp_compare: {'FAIL' if report.exit_status else 'PASS'}",
        report=report,
        counts=counts,
        source=sources_line(report),
        engines=engines_of(report),
        verdict=_verdict(report),
        findings=[(f, _sentence(f), entries.get(f.deviation or "")) for f in findings(report)],
        broken=_broken_identities(report),
        known_identities=_known_identities(report, entries),
        known_probes=_known_probes(report, entries),
        skipped=_skipped(report),
        identities=_identities(report),
        heatmap=_heatmap(report),
        agreement=_agreement(report),
        league=_league(report),
        pictures=[(p, trusted(p.svg)) for p in pictures],
        models=[_model(case, engines_of(report)) for case in report.cases],
        columns=COLUMNS,
        packed=packed(report),
    )


def _verdict(report: Report) -> str:
    """One sentence: what the run says."""
    if report.compared == 0:
        return "Nothing was compared."
    failed = sum(case.failing for case in report.cases)
    if report.counts()["fail"]:
        return f"Something unexpected in {failed} of {len(report.cases)} models."
    if report.stale:
        return "A known deviation no longer shows where it is pinned."
    if report.counts()["known"]:
        return "The engines agree, apart from deviations that are known and explained below."
    return "The engines agree in everything that was compared."


def _sentence(finding: Finding) -> str:
    """The worst number of a finding, in words."""
    line = finding.line
    where = f"Worst in {finding.title}: "
    if line.quantity == "fit":
        return f"{where}{line.candidate} did not answer: {line.reason}"
    name = f"{line.quantity} {line.label}".strip()
    return (
        f"{where}{name} = {line.candidate_value:.8g}, {line.reference} has "
        f"{line.reference_value:.8g} ({digits_text(line.digits)} digits; off by {line.error:.2g}, "
        f"tolerance {line.tolerance:.2g})."
    )


def _broken_identities(report: Report) -> list[str]:
    return [
        f"{case.title}: {check.engine} breaks {check.identity}: off by {check.error:.2g}, rounding "
        f"allows {check.tolerance:.2g}"
        for case in report.cases
        for check in case.identities
        if check.verdict == "fail"
    ]


def _known_identities(report: Report, registry: Mapping[str, Deviation]) -> list[str]:
    """Deviations that show in an identity and in no comparison: each once, with its models."""
    told = {line.deviation for case in report.cases for line in case.comparisons}
    found: dict[tuple[str, str, str], set[str]] = {}
    for case in report.cases:
        for check in case.identities:
            if check.deviation and check.deviation not in told:
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


def _heatmap(report: Report) -> str | None:
    digits = digits_of(report)
    return trusted(heatmap(digits)) if digits.engines else None


def _agreement(report: Report) -> str | None:
    points = scatter_of(report)
    return trusted(agreement_figure(points)) if len(points.rows) else None


def _league(report: Report) -> tuple[Table, Table] | None:
    """Where the engines stopped and what each can fit, where there is more than one to compare."""
    league = league_of(report)
    return (standing_table(league), ability_table(league)) if len(league.standings) > 1 else None


def _model(case: CaseReport, engines: Sequence[str]) -> ModelRow:
    groups = ", ".join(f"{count} {name}" for name, count in case.n_groups.items())
    fewest = least_digits(case)
    cells = [
        *(_engine_cell(case, engine, fewest) for engine in engines),
        Cell(str(case.n_obs), case.n_obs),
        Cell(groups, max(case.n_groups.values(), default=0)),
    ]
    return ModelRow(case.title, case.formula, case.why, tuple(cells))


def _engine_cell(case: CaseReport, engine: str, fewest: dict[tuple[str, str], float]) -> Cell:
    fit = case.fits.get(engine)
    if fit is None:
        return Cell("", math.inf)
    if fit.status != "ok":
        return Cell(fit.status, -1.0, "fail" if fit.status == "error" else "skip")
    if engine == "certified":
        return Cell(f"{fit.extra.get('claim')} optimum", 16.0)
    lines = [line for line in case.comparisons if line.candidate == engine]
    verdict = worst(line.verdict for line in lines)
    pair = (fewest.get((engine, "beta"), math.nan), variance_digits(fewest, engine))
    if all(map(math.isnan, pair)):
        return Cell(verdict, 17.0, verdict)
    return Cell(f"{verdict} {' / '.join(map(digits_text, pair))}", least(pair), verdict)
