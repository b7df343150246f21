"""One model on one data set, to be audited."""

from __future__ import annotations

from dataclasses import dataclass

from pp_compare.model import Dataset, Method
from pp_compare.model.design import Design, RankPolicy, build_design
from pp_compare.model.formula import parse_formula
from pp_compare.model.glmm import Family, GlmmDesign, build_glmm_design
from pp_compare.model.variables import NaPolicy


@dataclass(frozen=True, eq=False)
class Selection:
    """One model on one data set, to be audited.

    Parameters
    ----------
    case : str
    dataset : Dataset
    formula : str
        As in lme4.
    method : {"REML", "ML"}
    why : str
        The reason the case exists.
    weights : str or None
        A column of prior weights.
    rank : {"raise", "drop"}
        What to do with columns that the others span (`build_design`).
    """

    case: str
    dataset: Dataset
    formula: str
    method: Method
    why: str = ""
    weights: str | None = None
    rank: RankPolicy = "raise"

    def design(self, na: NaPolicy) -> Design:
        """Its rows and matrices.

        Raises
        ------
        DataError, FormulaError
            For a model that cannot be fitted to the data.
        """
        spec = parse_formula(self.formula, self.method, self.weights)
        return build_design(self.dataset, spec, na, self.rank)


@dataclass(frozen=True, eq=False)
class GlmmSelection:
    """A generalised model on a data set, to be audited."""

    case: str
    dataset: Dataset
    formula: str
    family: Family
    weights: str | None = None
    why: str = ""
    na: NaPolicy = "raise"
    rank: RankPolicy = "raise"

    def design(self) -> GlmmDesign:
        """Its rows and matrices.

        Raises
        ------
        DataError, FormulaError
            For a model that cannot be fitted to the data.
        """
        return build_glmm_design(
            self.dataset, self.formula, self.family, self.weights, self.na, self.rank
        )
