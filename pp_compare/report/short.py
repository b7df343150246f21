"""A report in ten lines, as text and for a notebook; the judgement first."""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pp_compare.report.digest import severity
from pp_compare.report.frames import estimates_frame
from pp_compare.report.page import render
from pp_compare.report.record import CaseReport, Report
from pp_compare.report.verbatim import visible
from pp_compare.verdict.digits import digits_text, least
from pp_compare.verdict.judgement import STANDINGS, Judgement

WIDTH = 100
"""Characters of a line."""
LINES = 10
TOLD = 3
"""Judgements that are told one by one, the worst first."""
MORE = ".judgements  .to_frame()  .estimates()  .save(folder)  .raise_for_status()"


def worst_first(report: Report) -> list[tuple[CaseReport, Judgement]]:
    """Every judgement with its model, those first with which a reader cannot go on."""
    pairs = [(case, judgement) for case in report.cases for judgement in case.judgements]
    return sorted(pairs, key=lambda pair: severity(pair[1]))


def short_text(report: Report) -> str:
    """At most `LINES` lines: what each engine's numbers are worth, and of which model."""
    lines = [line for told in _told(report) for line in _wrapped(told)]
    tail = [*_model_lines(report), f"more: {MORE}"]
    kept = lines[: LINES - len(tail)]
    if len(kept) < len(lines):
        kept[-1] = kept[-1][: WIDTH - 4] + " ..."
    return "\n".join([*kept, *tail])


def _told(report: Report) -> list[str]:
    found = worst_first(report)
    several = len(report.cases) > 1
    said = [
        visible(f"{f'{case.title}: ' if several else ''}{_with_remedy(judgement)}")
        for case, judgement in found[:TOLD]
    ]
    if len(found) > TOLD:
        said.append(f"and {len(found) - TOLD} more: {_counted([j for _, j in found[TOLD:]])}")
    return said or ["Nothing was judged."]


def _with_remedy(judgement: Judgement) -> str:
    remedy = judgement.remedy
    return judgement.sentence + (f"; {remedy.sentence}" if remedy else "")


def _counted(judgements: Sequence[Judgement]) -> str:
    counts = Counter(judgement.standing for judgement in judgements)
    return ", ".join(f"{counts[s]} {s}" for s in STANDINGS if counts[s])


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ") or [""]


def _model_lines(report: Report) -> list[str]:
    counts = report.counts()
    told = ", ".join(f"{n} {verdict}" for verdict, n in counts.items() if n) or "nothing"
    if len(report.cases) != 1:
        return [f"{len(report.cases)} models; comparisons: {told}"]
    case = report.cases[0]
    return [_cut(f"model: {_model(case)}"), f"{_reference(case)}; comparisons: {told}"]


def _model(case: CaseReport) -> str:
    groups = ", ".join(f"{count} {name}" for name, count in case.n_groups.items())
    dropped = f", {case.rows_dropped} rows dropped" if case.rows_dropped else ""
    return visible(f"{case.formula}, {case.method}; {case.n_obs} rows{dropped}, {groups}")


def _reference(case: CaseReport) -> str:
    certified = case.fits.get("certified")
    claim = certified.extra.get("claim") if certified else None
    if claim == "global":
        return "held against the certified optimum, proved to be the global one"
    return "held against the certified optimum" if claim else "held against the optimum"


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else line[: WIDTH - 4] + " ..."


# ---- a notebook ---------------------------------------------------------------------------------

GROUND = {"right": "#1a7f37", "right, other definition": "#1a7f37", "not judged": "#57606a"}
GROUND |= {"short of the optimum, harmless": "#8a5a00"}
BAD_GROUND = "#b42318"
"""Of the badges: white text has a contrast of at least 5 on each, whatever the page's colour."""
ROWS = 14
"""Rows of estimates that are shown."""


@dataclass(frozen=True)
class Told:
    """One judgement as a notebook shows it."""

    case: str
    standing: str
    ground: str
    sentence: str
    code: tuple[str, ...]
    remedy: str


@dataclass(frozen=True)
class ShortPage:
    """What a notebook shows of a report."""

    told: tuple[Told, ...]
    rest: str
    lines: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    more_rows: int
    digits: str
    more: str = MORE


def short_html(report: Report) -> str:
    """A fragment for a notebook: no script, no colour of its own but the badges', text escaped."""
    return render("short.html", page=_page(report))


def _page(report: Report) -> ShortPage:
    found, one = worst_first(report), len(report.cases) == 1
    shown, rest = found[: 2 * TOLD], [judgement for _, judgement in found[2 * TOLD :]]
    why = [visible(report.cases[0].why)] if one and report.cases[0].why else []
    columns, rows = _estimates(report) if one else ((), ())
    return ShortPage(
        told=tuple(_told_in_page("" if one else case.title, j) for case, j in shown),
        rest=f"and {len(rest)} more: {_counted(rest)}" if rest else "",
        lines=(*_model_lines(report), *why),
        columns=columns,
        rows=rows[:ROWS],
        more_rows=max(0, len(rows) - ROWS),
        digits=_digits(report.cases[0]) if one else "",
    )


def _told_in_page(case: str, judgement: Judgement) -> Told:
    return Told(
        visible(case),
        judgement.standing,
        GROUND.get(judgement.standing, BAD_GROUND),
        visible(judgement.sentence),
        tuple(judgement.remedy.code.splitlines()) if judgement.remedy else (),
        visible(judgement.remedy.sentence) if judgement.remedy else "",
    )


def _estimates(report: Report) -> tuple[tuple[str, ...], tuple[tuple[str, tuple[str, ...]], ...]]:
    frame = estimates_frame(report)
    titles = [visible(" ".join(map(str, at)).strip()) for at in frame.index.tolist()]
    cells = [tuple(_number(value) for value in row) for row in frame.to_numpy().tolist()]
    columns = tuple(visible(str(column)) for column in frame.columns)
    return columns, tuple(zip(titles, cells, strict=True))


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.7g}"


def _digits(case: CaseReport) -> str:
    found = []
    for engine in (judgement.engine for judgement in case.judgements if not judgement.bad):
        side = (engine, "truth", "beta")
        own = [x.digits for x in case.comparisons if (x.candidate, x.kind, x.quantity) == side]
        if own:
            found.append(f"{visible(engine)} {digits_text(least(own))}")
    return ", ".join(found)
