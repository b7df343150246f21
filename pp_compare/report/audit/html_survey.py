"""Many models in one page: standings, what is off by harm, the models worst first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pp_compare.report.audit.figures import agreement_figure
from pp_compare.report.audit.findings import Finding, findings, models_worst_first
from pp_compare.report.audit.html_cells import Cell, groups_line, known_as
from pp_compare.report.audit.outcome import STYLE, standings
from pp_compare.report.digest import (
    engines_of,
    least_digits,
    scatter_of,
    severity,
    variance_digits,
)
from pp_compare.report.league.tables import ability_table, league_of
from pp_compare.report.page import trusted
from pp_compare.report.record import CaseReport, Report
from pp_compare.report.table import Table
from pp_compare.verdict.deviations import Deviation
from pp_compare.verdict.digits import digits_text
from pp_compare.verdict.judgement import STANDINGS, Standing

NARROW: dict[Standing, str] = {
    "right, other definition": "right, other",
    "short of the optimum, harmless": "short, harmless",
}
"""Standings in the table of models, where they are long."""


@dataclass(frozen=True)
class ModelRow:
    """One model in the table of models."""

    title: str
    formula: str
    why: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Survey:
    """Many models at once: standings, findings by harm, models worst first."""

    standings: Table
    findings: list[tuple[Finding, str, list[tuple[str, str]]]]
    models: list[ModelRow]
    agreement: str | None
    abilities: Table | None


def survey_of(report: Report, registry: Mapping[str, Deviation]) -> Survey:
    """Gather what the page tells of many models."""
    points = scatter_of(report)
    league = league_of(report)
    several = len(league.standings) > 1
    found = [(f, STYLE[f.standing], known_as(f.deviations, registry)) for f in findings(report)]
    return Survey(
        _standings(report),
        found,
        [_model(case, engines_of(report)) for case in models_worst_first(report)],
        trusted(agreement_figure(points)) if len(points.rows) > 1 else None,
        ability_table(league) if several else None,
    )


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
        Cell(groups_line(case), max(case.n_groups.values(), default=0)),
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
