"""The tables of an audit in a terminal: estimates, models, digits, standings.

Engines that do not fit beside each other go into a table below; no number and no engine is cut.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from pp_compare.report.audit.estimates import MARK_STYLE, Estimates, Number
from pp_compare.report.audit.findings import models_worst_first
from pp_compare.report.audit.outcome import SHORT, STYLE, standings
from pp_compare.report.digest import digits_of, engines_of, least_digits, variance_digits
from pp_compare.report.record import CaseReport, Report
from pp_compare.report.verbatim import verbatim
from pp_compare.verdict.digits import digits_text
from pp_compare.verdict.judgement import STANDINGS, Standing

STYLES = {"pass": "green", "known": "yellow", "fail": "bold red", "skip": "dim"}

SHOWN_DIGITS = 7
"""Of an estimate: what R prints; report.json has every bit."""
GAP = 2
"""Between two columns."""
HEADING = 12
"""Room that a heading gets at least, ``cluster_mean``; a longer one goes on below."""
LABELS = 20
"""Room that the names of rows get at least; a longer one goes on below."""


@dataclass(frozen=True)
class Titled:
    """Tables under one title."""

    title: str
    tables: list[Table]


@dataclass(frozen=True)
class Column:
    """A heading with its cells, which are never broken."""

    heading: Text
    cells: Sequence[Text]

    @property
    def width(self) -> int:
        """Room it needs."""
        widest = max((cell.cell_len for cell in self.cells), default=0)
        return max(widest, min(self.heading.cell_len, HEADING))


def in_parts(
    width: int, labels: Sequence[Text], columns: Sequence[Column], again: int = 0
) -> list[Table]:
    """Tables that fit a width, with all rows in each; the first `again` columns are in each too."""
    longest = max((label.cell_len for label in labels), default=0)
    fixed = sum(column.width + GAP for column in columns[:again])
    widest = max((column.width + GAP for column in columns[again:]), default=0)
    room = min(longest, max(LABELS, width - fixed - widest))
    parts: list[list[Column]] = [[]]
    left = width - room - fixed
    for column in columns[again:]:
        if parts[-1] and column.width + GAP > left:
            parts.append([])
            left = width - room - fixed
        parts[-1].append(column)
        left -= column.width + GAP
    first = columns[:again]
    return [_table(room, labels, [*first, *part]) for part in parts]


def _table(room: int, labels: Sequence[Text], columns: Sequence[Column]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    table.add_column("", width=room, overflow="fold")
    for column in columns:
        table.add_column(
            column.heading, justify="right", width=column.width, overflow="fold", vertical="bottom"
        )
    for i, label in enumerate(labels):
        table.add_row(label, *(column.cells[i] for column in columns))
    return table


def estimates_tables(estimates: Estimates, width: int) -> list[Table]:
    """Fixed effects, standard errors, variance components and criterion, an engine a column."""
    labels = [verbatim(row.title) for row in estimates.rows]
    columns = [
        Column(verbatim(engine), [_estimate(row.numbers[i]) for row in estimates.rows])
        for i, engine in enumerate(estimates.engines)
    ]
    again = int("certified" in estimates.engines[:1])
    return in_parts(width, labels, columns, again)


def _estimate(number: Number) -> Text:
    """A number and its mark, which has a place of its own, so that the numbers stand in line."""
    if math.isnan(number.value) and not number.mark:
        return Text("-  ", "dim")
    text = f"{number.value:.{SHOWN_DIGITS}g} {number.mark or ' '}"
    return Text(text, STYLES.get(MARK_STYLE[number.mark], ""))


def models_tables(report: Report, width: int) -> Titled:
    """A line a model, the worst first: each engine's standing, digits of effects and variances."""
    cases = models_worst_first(report)
    fewest = [least_digits(case) for case in cases]
    engines = [engine for engine in engines_of(report) if engine != "certified"]
    columns = [
        Column(verbatim(e), [_cell(c, e, f) for c, f in zip(cases, fewest, strict=True)])
        for e in engines
    ]
    columns.append(Column(Text("optimum"), [_claim(case) for case in cases]))
    title = "Models, worst first: standing, digits of the fixed effects / of the variances"
    return Titled(title, in_parts(width, [verbatim(case.title) for case in cases], columns))


def _cell(case: CaseReport, engine: str, fewest: dict[tuple[str, str], float]) -> Text:
    judgement = next((j for j in case.judgements if j.engine == engine), None)
    if judgement is None:
        return Text("")
    pair = (fewest.get((engine, "beta"), math.nan), variance_digits(fewest, engine))
    digits = "/".join("-" if math.isnan(each) else str(int(each)) for each in pair)
    shown = SHORT[judgement.standing] + ("" if digits == "-/-" else f" {digits}")
    return Text(shown, STYLES[STYLE[judgement.standing]])


def _claim(case: CaseReport) -> Text:
    fit = case.fits.get("certified")
    if fit is None:
        return Text("")
    return verbatim(str(fit.extra.get("claim")) if fit.status == "ok" else "none", "dim")


def digits_tables(report: Report, width: int) -> Titled:
    """Digits right by engine and quantity; over several models their median and minimum."""
    digits = digits_of(report)
    several = len(report.cases) > 1
    over = ": median / minimum over the models" if several else ""

    def cell(middle: float, low: float) -> Text:
        both = f"{digits_text(middle)}/{digits_text(low)}" if several else digits_text(middle)
        return Text("-" if math.isnan(middle) else both)

    columns = [
        Column(Text(kind), [cell(*pair) for pair in zip(middle, low, strict=True)])
        for kind, middle, low in zip(
            digits.kinds, digits.median.T.tolist(), digits.least.T.tolist(), strict=True
        )
    ]
    title = f"Digits right against the certified optimum, 0 to 15{over}"
    labels = [verbatim(engine) for engine in digits.engines]
    return Titled(title, in_parts(width, labels, columns) if columns else [])


def standings_tables(report: Report, width: int) -> Titled:
    """How many models each engine is right on, short, wrong or without an answer."""
    found = standings(report)
    used = [s for s in STANDINGS if any(counts[s] for counts in found.values())]
    columns = [
        Column(Text(s), [Text(str(c[s]) if c[s] else "-", _tint(s, c[s])) for c in found.values()])
        for s in used
    ]
    labels = [verbatim(engine) for engine in found]
    return Titled("Standings, in models", in_parts(width, labels, columns))


def _tint(standing: Standing, count: int) -> str:
    return STYLES[STYLE[standing]] if count else "dim"
