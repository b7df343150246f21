"""A campaign's report in a terminal."""

from __future__ import annotations

from rich.console import Console, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from pp_compare.report.campaign import words
from pp_compare.report.campaign.record import CampaignReport, Map, Rate
from pp_compare.report.table import Table
from pp_compare.report.verbatim import verbatim

_SHADES = ((0.25, "bold red"), (0.05, "yellow"), (0.0, "default"))


def print_campaign(console: Console, report: CampaignReport) -> None:
    """Print the whole report."""
    console.print(verbatim(words.done(report), "bold"))
    for name, values in report.axes.items():
        console.print(verbatim(f"  {name}: {values}", "dim"))
    console.print("", *map(verbatim, words.verdict(report)), sep="\n")
    console.print("", _grid(words.engine_table(report), "Fits against the certified optimum"))
    for remark in words.remarks(report):
        console.print(verbatim(remark, "dim"))
    if report.disagreements:
        console.print("", _grid(words.disagreement_table(report), "Engines against each other"))
    console.print("", _grid(words.coverage_table(report), "Bias and coverage"))
    for found in report.maps:
        console.print("", *_map(found), sep="\n")
    if report.worst:
        console.print("", _grid(words.worst_table(report.worst), "The worst cases"))


def _grid(table: Table, title: str) -> Grid:
    grid = Grid(
        title=Text(title, "table.title"),
        title_justify="left",
        header_style="bold",
        box=None,
        pad_edge=False,
    )
    for column in table.columns:
        grid.add_column(verbatim(column))
    for row in table.rows:
        grid.add_row(*map(verbatim, row))
    return grid


def _map(found: Map) -> list[RenderableType]:
    """A heading and the rates; only a line where all of them are 0."""
    over = f"{found.across} across" + (f", {found.down} down" if found.down else "")
    if nothing := words.quiet(found):
        return [verbatim(nothing)]
    grid = Grid(header_style="bold", box=None, pad_edge=False)
    grid.add_column(verbatim(found.down))
    for name in found.columns:
        grid.add_column(verbatim(name), justify="right")
    for name, line in zip(found.rows, found.cells, strict=True):
        grid.add_row(verbatim(name), *map(_cell, line))
    return [verbatim(f"{found.engine}: {words.MAP_NOTE.lower()}, % ({over})", "italic"), grid]


def _cell(rate: Rate) -> Text:
    if not rate.of:
        return Text("-", style="dim")
    style = next(style for least, style in _SHADES if rate.value >= least)
    return Text(f"{100 * rate.value:.3g}", style=style)
