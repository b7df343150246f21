"""The models that a trial is made of: named cases under REML or ML, chosen by level or by name."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import pandas as pd

from pp_compare.audits.selection import Selection
from pp_compare.data.corpus import METHODS, Case, all_cases, case
from pp_compare.errors import InputError
from pp_compare.model import Dataset, Method
from pp_compare.model.design import Design, build_design

Level = Literal["quick", "full", "search"]
QUICK = frozenset({"seed", "handmade", "lme4"})
"""Tags of the cases of the first level: one grouping factor and two, slopes, factors, the edges."""


def short_subject(subject: str, factors: int) -> str:
    """``blup`` of ``blup[g]`` where there is one grouping factor, else ``blup-g``."""
    kind, bracket, group = subject.partition("[")
    return f"{kind}-{group.removesuffix(']')}" if bracket and factors > 1 else kind


@dataclass(frozen=True)
class Model:
    """A named case under one criterion.

    Parameters
    ----------
    case : Case
    method : {"REML", "ML"}
    """

    case: Case
    method: Method

    @property
    def id(self) -> str:
        """``sleepstudy-REML``."""
        return f"{self.case.name}-{self.method}"

    def short(self, subject: str) -> str:
        """``blup`` of ``blup[g]`` where there is one grouping factor, else ``blup-g``."""
        return short_subject(subject, len(self.case.spec(self.method).groups))

    @property
    def is_named(self) -> bool:
        """Whether the case is one of the named ones, which anybody has."""
        return self.case in all_cases()

    @property
    def formula(self) -> str:
        """As in lme4: ``Reaction ~ Days + (Days|Subject)``."""
        return self.case.formula

    @property
    def frame(self) -> pd.DataFrame:
        """A copy of the data, to do with as one likes."""
        return self.case.dataset.frame.copy()

    @cached_property
    def design(self) -> Design:
        """The rows, labels and matrices that every engine is given."""
        return build_design(self.case.dataset, self.case.spec(self.method))

    @property
    def selection(self) -> Selection:
        """As the audit takes it."""
        return Selection(
            self.case.name, self.case.dataset, self.formula, self.method, self.case.why
        )


def models_of(
    level: Level = "quick", names: Sequence[str] = (), methods: Collection[Method] = METHODS
) -> tuple[Model, ...]:
    """Models of the named cases, or of a level where no name is given.

    Parameters
    ----------
    level : {"quick", "full", "search"}
        The cases of `QUICK`; all but the large ones; all.
    names : sequence of str
        Of cases; then the level is not asked.
    methods : collection of {"REML", "ML"}

    Raises
    ------
    InputError
        For a case or a level that there is not.
    """
    if level not in get_args(Level):
        raise InputError(f"the level is {', '.join(get_args(Level))}, not '{level}'")
    cases = [case(name) for name in names] or [c for c in all_cases() if _within(c, level)]
    return tuple(Model(c, m) for c in cases for m in c.methods if m in methods)


def model_of_data(data: pd.DataFrame, formula: str, method: Method, name: str = "data") -> Model:
    """A model on data of one's own."""
    dataset = Dataset(name, data)
    return Model(Case(name, lambda: dataset, formula), method)


def _within(known: Case, level: Level) -> bool:
    if level == "quick":
        return bool(known.tags & QUICK)
    return level == "search" or "large" not in known.tags
