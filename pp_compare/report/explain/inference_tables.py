"""Inference as tables, one a definition, so that two definitions are never in one column."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pp_compare.inferences.inference import DEFINITIONS, Estimate, InferenceTable
from pp_compare.report.table import Table

HEADS = ("estimate", "se", "df", "statistic", "p", "lower", "upper")


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
    # One term's values from all sources stand under each other.
    terms = list(dict.fromkeys(line.term for _, line in lines))
    lines.sort(key=lambda pair: terms.index(pair[1].term))
    rows = tuple((line.term, source, *_cells(line, heads)) for source, line in lines)
    return Table(("term", "source", *heads), rows, labels=2)


def _cells(line: Estimate, heads: Sequence[str]) -> list[str]:
    values = [getattr(line, head) for head in heads]
    return ["" if math.isnan(value) else f"{value:.7g}" for value in values]
