"""The report of an audit as one page: judgements first, then what they rest on, numbers last."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pp_compare.identities import IDENTITIES
from pp_compare.report.audit.columns import COLUMNS, packed
from pp_compare.report.audit.estimates import LEGEND, Estimates, Interval, estimates_of
from pp_compare.report.audit.figures import agreement_figure
from pp_compare.report.audit.findings import (
    Finding,
    findings,
    models_worst_first,
    severity,
    unexpected,
    worst_first,
)
from pp_compare.report.audit.gallery import Picture
from pp_compare.report.audit.outcome import STYLE, counted, outcome, standings, told
from pp_compare.report.audit.terminal import sources_line
from pp_compare.report.audit.terminal_tables import SHOWN_DIGITS
from pp_compare.report.digest import (
    DETAILED,
    digits_of,
    engines_of,
    least_digits,
    scatter_of,
    variance_digits,
)
from pp_compare.report.league.tables import ability_table, league_of
from pp_compare.report.page import render, trusted
from pp_compare.report.paragraph import paragraphs
from pp_compare.report.record import CaseReport, Report
from pp_compare.report.table import Table
from pp_compare.verdict.deviations import Deviation
from pp_compare.verdict.digits import MAX_DIGITS, digits_text
from pp_compare.verdict.judgement import STANDINGS, Judgement, Standing

SHADES = 5
"""Steps of colour from no digits to all."""
NARROW: dict[Standing, str] = {
    "right, other definition": "right, other",
    "short of the optimum, harmless": "short, harmless",
}
"""Standings in the table of models, where they are long."""
MARK_STYLES = {"!": "fail", "*": "known", "": ""}


@dataclass(frozen=True)
class Cell:
    """Text of a cell, the number it is sorted by, its style; a smaller text below, with its own."""

    text: str
    key: float = math.nan
    style: str = ""
    below: str = ""
    below_style: str = "soft"


@dataclass(frozen=True)
class ModelRow:
    """One model in the table of models."""

    title: str
    formula: str
    why: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Said:
    """A judgement as the page tells it, with what its deviations are."""

    judgement: Judgement
    style: str
    says: list[str]
    known: list[tuple[str, str]]


@dataclass(frozen=True)
class ModelPart:
    """One model told by itself: judgements, estimates, figures."""

    case: CaseReport
    groups: str
    said: list[Said]
    estimates: Estimates
    rows: list[tuple[str, list[Cell]]]
    legend: list[tuple[str, str]]
    figures: list[tuple[Picture, str]]


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
        parts=[_part(case, entries, pictures) for case in report.cases] if few else [],
        survey=None if few else _survey(report, entries),
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


# ---- a few models, each by itself ---------------------------------------------------------------


def _part(
    case: CaseReport, registry: Mapping[str, Deviation], pictures: Sequence[Picture]
) -> ModelPart:
    estimates = estimates_of(case)
    return ModelPart(
        case,
        _groups(case),
        [_said(judgement, registry) for judgement in worst_first(case)],
        estimates,
        _estimate_rows(estimates),
        [(mark, LEGEND[mark]) for mark in estimates.marks],
        [(p, trusted(p.svg)) for p in pictures if p.title == case.title],
    )


def _said(judgement: Judgement, registry: Mapping[str, Deviation]) -> Said:
    known = _known(judgement.deviations, registry)
    return Said(judgement, STYLE[judgement.standing], told(judgement), known)


def _estimate_rows(estimates: Estimates) -> list[tuple[str, list[Cell]]]:
    """Estimates with their intervals below them."""
    found = []
    for row in estimates.rows:
        cells = [
            Cell(f"{_number(n.value)} {n.mark}".rstrip(), style=MARK_STYLES[n.mark])
            for n in row.numbers
        ]
        kind, _, label = row.title.partition(" ")
        if kind == "beta":
            both = zip(cells, estimates.intervals[label], strict=True)
            cells = [_with_interval(cell, interval) for cell, interval in both]
        found.append((row.title, cells))
    return found


def _with_interval(cell: Cell, interval: Interval) -> Cell:
    ends = f"{_number(interval.lower, 4)} to {_number(interval.upper, 4)} {interval.mark}".rstrip()
    return replace(cell, below=ends, below_style=MARK_STYLES[interval.mark] or "soft")


def _number(value: float, digits: int = SHOWN_DIGITS) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}g}"


def _groups(case: CaseReport) -> str:
    return ", ".join(f"{count} {name}" for name, count in case.n_groups.items())


# ---- many models --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Survey:
    """Many models at once: standings, findings by harm, models worst first."""

    standings: Table
    findings: list[tuple[Finding, str, list[tuple[str, str]]]]
    models: list[ModelRow]
    agreement: str | None
    abilities: Table | None


def _survey(report: Report, registry: Mapping[str, Deviation]) -> Survey:
    points = scatter_of(report)
    league = league_of(report)
    several = len(league.standings) > 1
    found = [(f, STYLE[f.standing], _known(f.deviations, registry)) for f in findings(report)]
    return Survey(
        _standings(report),
        found,
        [_model(case, engines_of(report)) for case in models_worst_first(report)],
        trusted(agreement_figure(points)) if len(points.rows) > 1 else None,
        ability_table(league) if several else None,
    )


def _known(names: Iterable[str], registry: Mapping[str, Deviation]) -> list[tuple[str, str]]:
    """Known deviations with what they are."""
    return [(name, registry[name].summary if name in registry else "") for name in names]


def _standings(report: Report) -> Table:
    """Engines by standing, in models."""
    found = standings(report)
    used = [s for s in STANDINGS if any(counts[s] for counts in found.values())]
    rows = [(engine, *(str(counts[s]) for s in used)) for engine, counts in found.items()]
    return Table(("engine", *used), tuple(rows))


def _model(case: CaseReport, engines: Sequence[str]) -> ModelRow:
    fewest = least_digits(case)
    cells = [
        *(_engine_cell(case, engine, fewest) for engine in engines),
        Cell(str(case.n_obs), case.n_obs),
        Cell(_groups(case), max(case.n_groups.values(), default=0)),
    ]
    return ModelRow(case.title, case.formula, case.why, tuple(cells))


def _engine_cell(case: CaseReport, engine: str, fewest: dict[tuple[str, str], float]) -> Cell:
    """An engine's standing, the worst sorted first, with its digits below."""
    if engine == "certified" and engine in case.fits:
        fit = case.fits[engine]
        answered = fit.status == "ok"
        return Cell(f"{fit.extra.get('claim')} optimum" if answered else "none", math.inf)
    judgement = next((j for j in case.judgements if j.engine == engine), None)
    if judgement is None:
        return Cell("", math.inf)
    place, harm = severity(judgement)
    pair = (fewest.get((engine, "beta"), math.nan), variance_digits(fewest, engine))
    digits = "" if all(map(math.isnan, pair)) else " / ".join(map(digits_text, pair))
    # Harm is bounded here, so that it orders within a standing and never across.
    key = place + math.atan(harm) / math.pi
    shown = NARROW.get(judgement.standing, judgement.standing)
    return Cell(shown, key, STYLE[judgement.standing], digits)


# ---- what both have -----------------------------------------------------------------------------


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
