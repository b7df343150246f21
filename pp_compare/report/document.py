"""A document of sections and tables, as Markdown and as a page."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pp_compare.report.page import render
from pp_compare.report.table import Table
from pp_compare.report.verbatim import visible


@dataclass(frozen=True)
class Section:
    """A heading with paragraphs and perhaps code and a table; `level` 2 is a chapter, 3 a part."""

    title: str
    paragraphs: tuple[str, ...] = ()
    table: Table | None = None
    level: int = 2
    code: str = ""


@dataclass(frozen=True)
class Document:
    """A title and its sections."""

    title: str
    sections: tuple[Section, ...]


def to_markdown(document: Document) -> str:
    """GitHub's Markdown; text from data stays text."""
    blocks = [f"# {escaped(document.title)}"]
    for section in document.sections:
        blocks.append(f"{'#' * section.level} {escaped(section.title)}")
        blocks += [escaped(paragraph) for paragraph in section.paragraphs]
        if section.code:
            blocks.append(_markdown_code(section.code))
        if section.table:
            blocks.append(_markdown_table(section.table))
    return "\n\n".join(blocks) + "\n"


def to_page(document: Document) -> str:
    """The same as a self-contained page."""
    return render("document.html", title=document.title, sections=document.sections)


def _markdown_code(code: str) -> str:
    """An indented block: no line of it can end it, as a fence within it would."""
    return "\n".join(f"    {visible(line)}" for line in code.splitlines())


def _markdown_table(table: Table) -> str:
    rule = "|".join([" --- "] * len(table.columns))
    lines = [_line(table.columns), f"|{rule}|", *map(_line, table.rows)]
    return "\n".join(lines)


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(escaped(cell) for cell in cells) + " |"


def escaped(text: str) -> str:
    r"""No character of `text` means anything in Markdown or in HTML."""
    one_line = visible(" ".join(text.split()))
    safe = one_line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~#])", r"\\\1", safe)
