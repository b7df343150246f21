"""Inference effect by effect: what each definition says, beside what each engine reports."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from pp_compare.inferences.table import DEFINITIONS, Estimate, InferenceTable
from pp_compare.report.explain.inference_tables import HEADS, OURS, SEEN, differing
from pp_compare.report.rich_table import SHOWN, rich_table
from pp_compare.report.table import Table
from pp_compare.report.verbatim import verbatim

OF_EFFECTS = (
    "kenward-roger",
    "kenward-roger-face",
    "satterthwaite",
    "satterthwaite-face",
    "containment",
    "wald",
    "joint-wald",
    "profile",
)
"""Definitions whose lines are the fixed effects'."""
REST = ("f:", "likelihood-ratio", "explained", "means:", "contrasts:")
"""How the others begin."""
SHOWN_HEADS = ("estimate", "se", "df", "p", "lower", "upper")
ALPHA = 0.05
"""Where a reader draws the line between two conclusions."""


@dataclass(frozen=True)
class Effect:
    """One fixed effect, or one definition of what is not of one: its table, and what follows.

    The remarks are sentences that the table's numbers make true.
    """

    term: str
    table: Table
    remarks: tuple[str, ...]


def effects(tables: Sequence[InferenceTable]) -> list[Effect]:
    """Regroup tables of definitions by fixed effect."""
    chosen = [t for name in OF_EFFECTS for t in tables if t.definition == name]
    terms = list(dict.fromkeys(line.term for table in chosen for line in table.lines))
    return [_effect(term, chosen) for term in terms]


def _effect(term: str, tables: Sequence[InferenceTable]) -> Effect:
    found = [
        (table.definition, table.source, line)
        for table in tables
        for line in table.lines
        if line.term == term
    ]
    rows, before = [], ""
    for definition, source, line in found:
        if definition != before:
            rows.append((definition, *[""] * 6))
        before = definition
        rows.append((f"  {source}", *_texts(line, SHOWN_HEADS)))
    table = Table(("", *SHOWN_HEADS), tuple(rows))
    return Effect(term, table, (*_span(found), *_apart(found)))


def _texts(line: Estimate, heads: Sequence[str]) -> list[str]:
    values = [(getattr(line, head), 3 if head == "p" else 5) for head in heads]
    return ["" if math.isnan(value) else f"{value:.{digits}g}" for value, digits in values]


def _span(found: Sequence[tuple[str, str, Estimate]]) -> Iterator[str]:
    """From which p to which, and whether a conclusion depends on the definition."""
    own = [(line.p, d) for d, source, line in found if source in OURS and not math.isnan(line.p)]
    if len(own) < 2:
        return
    (low, by_low), (high, by_high) = min(own), max(own)
    if low == high:
        return
    sides = f"; at {ALPHA} the conclusion depends on the definition" if low < ALPHA <= high else ""
    yield f"p from {low:.3g} ({by_low}) to {high:.3g} ({by_high}){sides}."


def _apart(found: Sequence[tuple[str, str, Estimate]]) -> Iterator[str]:
    """Each reported line that differs from the same definition at the certified optimum."""
    own = {(d, line.term): line for d, source, line in found if source in OURS}
    for definition, source, line in found:
        if source in OURS:
            continue
        ours = own.get((definition, line.term))
        if ours is None:
            yield f"{source}'s {definition} has no certified value to be held against."
        elif heads := differing(line, ours, HEADS):
            parts = (f"{h} {getattr(line, h):.5g} for {getattr(ours, h):.5g}" for h in heads)
            yield f"{source}, {definition} of {line.term}: {', '.join(parts)}."


def print_effects(
    console: Console,
    title: str,
    tables: Sequence[InferenceTable],
    remarks: Sequence[str],
) -> None:
    """Print a model's inference effect by effect, then what is not of one effect."""
    console.print("", verbatim(f"Inference of {title}", "bold"), sep="\n")
    for remark in remarks:
        console.print(verbatim(remark, "dim"))
    for part in (*effects(tables), *_others(tables)):
        console.print("", verbatim(part.term, "bold"), sep="\n")
        _print_whole(console, part.table)
        for remark in part.remarks:
            console.print(verbatim(remark))
    console.print("", Text("Definitions", style="bold"), sep="\n")
    for definition in DEFINITIONS:
        if any(table.definition == definition for table in tables):
            text = Text.assemble(verbatim(definition, "bold"), verbatim(f": {_said(definition)}"))
            console.print(Padding(text, (0, 0, 0, 2)))
    console.print(verbatim(_rule(), "dim"))


def _print_whole(console: Console, table: Table) -> None:
    """Every row, of a table longer than one of a terminal's in pieces."""
    for start in range(0, len(table.rows), SHOWN):
        rows = table.rows[start : start + SHOWN]
        console.print(rich_table(Table(table.columns, rows, table.labels)))


def _said(definition: str) -> str:
    return DEFINITIONS[definition] + "."


def _rule() -> str:
    return (
        "An engine's number is named where it differs from the certified one of the same "
        f"definition by more than {SEEN:g}: of an estimate and an interval in standard errors, of "
        "p as it is, of the rest in proportion."
    )


def _others(tables: Sequence[InferenceTable]) -> Iterator[Effect]:
    """One part a definition of what is not of one fixed effect."""
    for definition in DEFINITIONS:
        chosen = [table for table in tables if table.definition == definition]
        found = [(definition, table.source, line) for table in chosen for line in table.lines]
        if not found or not definition.startswith(REST):
            continue
        lines = [line for _, _, line in found]
        given = {h for h in _OTHER if any(not math.isnan(getattr(line, h)) for line in lines)}
        # A statistic beside its estimate and standard error is more than 80 columns hold.
        heads = [h for h in _OTHER if h in given and not (h == "statistic" and "lower" in given)]
        rows: list[tuple[str, ...]] = []
        for term in dict.fromkeys(line.term for line in lines):
            rows.append((term, *[""] * len(heads)))
            of_term = [(source, line) for _, source, line in found if line.term == term]
            rows += [(f"  {source}", *_texts(line, heads)) for source, line in of_term]
        table = Table(("", *(_OTHER[head] for head in heads)), tuple(rows))
        yield Effect(definition, table, tuple(_apart(found)))


_OTHER = {
    "estimate": "estimate",
    "se": "se",
    "df_above": "df 1",
    "df": "df",
    "statistic": "statistic",
    "p": "p",
    "lower": "lower",
    "upper": "upper",
}
