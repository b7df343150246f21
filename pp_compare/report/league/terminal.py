"""The league in a terminal."""

from __future__ import annotations

from rich.console import Console

from pp_compare.report.document import Document
from pp_compare.report.rich_table import rich_table
from pp_compare.report.verbatim import verbatim


def print_league(console: Console, document: Document) -> None:
    """Print every section of the league."""
    for section in document.sections:
        console.print("", verbatim(section.title, "bold"), sep="\n")
        for paragraph in section.paragraphs:
            console.print(verbatim(paragraph, "dim" if section.table else ""))
        if section.table:
            console.print(rich_table(section.table))
