"""One model on one data set, to be audited."""

from __future__ import annotations

from dataclasses import dataclass

from pp_compare.model import Dataset, Method


@dataclass(frozen=True, eq=False)
class Selection:
    """One model on one data set, to be audited."""

    case: str
    dataset: Dataset
    formula: str
    method: Method
    why: str = ""
