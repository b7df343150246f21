"""Inference as tables, one a definition, so that two definitions are never in one column."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pp_compare.inferences.table import DEFINITIONS, Estimate, InferenceTable
from pp_compare.report.table import Table

HEADS = ("estimate", "se", "df_above", "df", "statistic", "p", "lower", "upper")
NAMES = {"df_above": "df 1"}
"""Of heads that are words of a program."""
OURS = ("certified", "numpy")
"""Sources that need no optimiser: where they have a line, the others are held against it."""
SEEN = 1e-3
"""What rounding to three digits shows, of a p-value as it is, of an estimate and the ends of its
interval in standard errors, of anything else relative to it. An optimiser that stops at four digits
of the variances moves none of them so far."""


@dataclass(frozen=True)
class DefinedTable:
    """All sources of one definition, with what it is."""

    title: str
    definition: str
    table: Table


def defined_tables(tables: Sequence[InferenceTable]) -> list[DefinedTable]:
    """Group the tables by definition; columns that are empty throughout are left out."""
    found = []
    for definition, text in DEFINITIONS.items():
        chosen = [table for table in tables if table.definition == definition]
        if chosen:
            found.append(DefinedTable(definition, text, _table(chosen)))
    return found


def _table(tables: Sequence[InferenceTable]) -> Table:
    lines = [(table.source, line) for table in tables for line in table.lines]
    heads = [h for h in HEADS if any(not math.isnan(getattr(line, h)) for _, line in lines)]
    names = [NAMES.get(head, head) for head in heads]
    # One term's values from all sources stand under each other.
    terms = list(dict.fromkeys(line.term for _, line in lines))
    lines.sort(key=lambda pair: terms.index(pair[1].term))
    own = {line.term: line for source, line in reversed(lines) if source in OURS}
    marks = [_mark(line, own.get(line.term, line), heads) for _, line in lines]
    rows = [(line.term, source, *_cells(line, heads)) for source, line in lines]
    if not any(marks):
        return Table(("term", "source", *names), tuple(rows), labels=2)
    marked = tuple((*row, mark) for row, mark in zip(rows, marks, strict=True))
    return Table(("term", "source", *names, "differs in"), marked, labels=2)


def _mark(line: Estimate, own: Estimate, heads: Sequence[str]) -> str:
    return ", ".join(NAMES.get(head, head) for head in differing(line, own, heads))


def differing(line: Estimate, own: Estimate, heads: Sequence[str]) -> list[str]:
    """The heads under which a line has another number than ours, as far as a reader sees."""
    return [head for head in heads if _differs(line, own, head)]


def _differs(line: Estimate, own: Estimate, head: str) -> bool:
    theirs, ours = getattr(line, head), getattr(own, head)
    if theirs == ours or math.isnan(ours):
        return False
    unit = 1.0 if head == "p" else abs(ours)
    if head in ("estimate", "lower", "upper") and own.se > 0:
        unit = own.se
    return not abs(theirs - ours) <= SEEN * unit


def _cells(line: Estimate, heads: Sequence[str]) -> list[str]:
    values = [getattr(line, head) for head in heads]
    return ["" if math.isnan(value) else f"{value:.7g}" for value in values]
