"""One step of an explanation, and the whole of it."""

from __future__ import annotations

from dataclasses import dataclass

from pp_compare.report.table import Table


@dataclass(frozen=True)
class Step:
    """One step: a title, what happens in it, and the numbers."""

    title: str
    text: str
    table: Table | None = None


@dataclass(frozen=True)
class Story:
    """An explanation in words: what is explained, the answer, the steps, and why."""

    title: str
    model: str
    answer: str
    steps: tuple[Step, ...]
    why: tuple[str, ...]
