"""What the parts of the page share: a cell of a table, groups and known deviations in words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pp_compare.report.record import CaseReport
from pp_compare.verdict.deviations import Deviation


@dataclass(frozen=True)
class Cell:
    """Text of a cell, the number it is sorted by, its style; a smaller text below, with its own."""

    text: str
    key: float = math.nan
    style: str = ""
    below: str = ""
    below_style: str = "soft"


def groups_line(case: CaseReport) -> str:
    """How many levels each grouping factor has."""
    return ", ".join(f"{count} {name}" for name, count in case.n_groups.items())


def known_as(names: Iterable[str], registry: Mapping[str, Deviation]) -> list[tuple[str, str]]:
    """Known deviations with what they are."""
    return [(name, registry[name].summary if name in registry else "") for name in names]
