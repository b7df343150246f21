"""One step of an explanation."""

from __future__ import annotations

from dataclasses import dataclass

from pp_compare.report.table import Table


@dataclass(frozen=True)
class Step:
    """One step: a title, what happens in it, and the numbers."""

    title: str
    text: str
    table: Table | None = None
