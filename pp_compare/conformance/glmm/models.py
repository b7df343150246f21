"""The generalised models that a trial is made of: named cases, chosen by level or by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

import pandas as pd

from pp_compare.conformance.models import Level, short_subject
from pp_compare.data.glmm_corpus import GlmmCase, glmm_case, glmm_cases
from pp_compare.errors import InputError
from pp_compare.model.glmm import GlmmDesign

LONG = frozenset({"toenail", "toenail_interaction", "grouseticks"})
"""Cases whose proofs take half a minute and more; the level ``quick`` leaves them out."""


@dataclass(frozen=True)
class GlmmModelCase:
    """A named generalised model.

    Parameters
    ----------
    case : GlmmCase
    """

    case: GlmmCase

    @property
    def id(self) -> str:
        """``cbpp-binomial``."""
        return f"{self.case.name}-{self.case.family}"

    def short(self, subject: str) -> str:
        """``random_cov`` of ``random_cov[herd]`` where there is one factor, else with its name."""
        return short_subject(subject, len(self.design.design.group_levels))

    @property
    def formula(self) -> str:
        """As in lme4."""
        return self.case.formula

    @property
    def frame(self) -> pd.DataFrame:
        """A copy of the data."""
        return self.case.dataset.frame.copy()

    @cached_property
    def design(self) -> GlmmDesign:
        """The rows, labels and matrices that every engine is given."""
        return self.case.design()


def glmm_models_of(level: Level = "quick", names: Sequence[str] = ()) -> tuple[GlmmModelCase, ...]:
    """Models of the named cases, or of a level where no name is given.

    Parameters
    ----------
    level : {"quick", "full", "search"}
        All but those of `LONG`; all.
    names : sequence of str
        Of cases; then the level is not asked.

    Raises
    ------
    InputError
        For a case or a level that there is not.
    """
    if level not in get_args(Level):
        raise InputError(f"the level is {', '.join(get_args(Level))}, not '{level}'")
    cases = [glmm_case(name) for name in names] or [
        case for case in glmm_cases() if level != "quick" or case.name not in LONG
    ]
    return tuple(GlmmModelCase(case) for case in cases)
