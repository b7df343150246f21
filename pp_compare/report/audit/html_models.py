"""A model told by itself in the page: judgements, estimates with intervals, figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pp_compare.report.audit.estimates import (
    LEGEND,
    MARK_STYLE,
    Estimates,
    Interval,
    estimates_of,
    identified_line,
    optima_lines,
)
from pp_compare.report.audit.findings import worst_first
from pp_compare.report.audit.gallery import Picture
from pp_compare.report.audit.html_cells import Cell, groups_line, known_as
from pp_compare.report.audit.outcome import STYLE, told
from pp_compare.report.audit.terminal_tables import SHOWN_DIGITS
from pp_compare.report.page import trusted
from pp_compare.report.record import CaseReport
from pp_compare.verdict.deviations import Deviation
from pp_compare.verdict.judgement import Judgement


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
    optima: list[str]
    limits: str
    figures: list[tuple[Picture, str]]


def model_part(
    case: CaseReport, registry: Mapping[str, Deviation], pictures: Sequence[Picture]
) -> ModelPart:
    """Gather what the page tells of a model."""
    estimates = estimates_of(case)
    return ModelPart(
        case,
        groups_line(case),
        [_said(judgement, registry) for judgement in worst_first(case)],
        estimates,
        _estimate_rows(estimates),
        [(mark, LEGEND[mark]) for mark in estimates.marks],
        optima_lines(case),
        identified_line(case),
        [(p, trusted(p.svg)) for p in pictures if p.title == case.title],
    )


def _said(judgement: Judgement, registry: Mapping[str, Deviation]) -> Said:
    known = known_as(judgement.deviations, registry)
    return Said(judgement, STYLE[judgement.standing], told(judgement), known)


def _estimate_rows(estimates: Estimates) -> list[tuple[str, list[Cell]]]:
    """Estimates with their intervals below them."""
    found = []
    for row in estimates.rows:
        cells = [
            Cell(f"{_number(n.value)} {n.mark}".rstrip(), style=MARK_STYLE[n.mark])
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
    return replace(cell, below=ends, below_style=MARK_STYLE[interval.mark] or "soft")


def _number(value: float, digits: int = SHOWN_DIGITS) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}g}"
