"""A table of text in a terminal."""

from __future__ import annotations

from rich.table import Table as RichTable
from rich.text import Text

from pp_compare.report.table import Table
from pp_compare.report.verbatim import verbatim

SHOWN = 40
"""Rows of a table that a terminal gets; the page has all of them."""
WIDEST = 10
"""Columns of a table that a terminal gets."""


def rich_table(table: Table) -> RichTable:
    """A table of text for a terminal; what is too much for one is left to the page."""
    found = RichTable(box=None, pad_edge=False, header_style="bold")
    columns = table.columns[:WIDEST]
    if len(table.columns) > WIDEST:
        found.caption = Text(f"{len(table.columns) - WIDEST} more columns in the page")
    for i, heading in enumerate(columns):
        found.add_column(
            verbatim(heading), justify="right" if i >= table.labels else "left", overflow="fold"
        )
    for row in table.rows[:SHOWN]:
        found.add_row(*map(verbatim, row[:WIDEST]))
    return found
