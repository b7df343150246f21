"""Factors and their contrasts: R's ``contr.*`` functions, and patsy's names for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from pp_compare.model.bases import orthogonal_polynomials

Kind = Literal["treatment", "sum", "helmert", "poly"]

CONTRASTS: dict[str, Kind] = {
    "contr.treatment": "treatment", "Treatment": "treatment", "contr.sum": "sum", "Sum": "sum",
    "contr.helmert": "helmert", "Helmert": "helmert", "contr.poly": "poly", "Poly": "poly",
}  # fmt: skip
"""Names of contrasts in R and in patsy, which agree on what they mean."""


@dataclass(frozen=True)
class Contrast:
    """How the levels of a factor become fewer columns.

    Parameters
    ----------
    kind : {"treatment", "sum", "helmert", "poly"}
    reference : str or int, optional
        Of treatment contrasts: a level, or its number from 1; the first by default.
    """

    kind: Kind = "treatment"
    reference: str | int | None = None


@dataclass(frozen=True, eq=False)
class Factor:
    """A column of levels.

    Parameters
    ----------
    codes : ndarray of int, shape (n,)
    levels : tuple of str
        In the order in which they are coded.
    ordered : bool
    contrast : Contrast, optional
        None for R's default: treatment, and polynomial where the levels are ordered.
    """

    codes: np.ndarray
    levels: tuple[str, ...]
    ordered: bool = False
    contrast: Contrast | None = None

    @property
    def coding(self) -> Contrast:
        """The contrast that counts."""
        return self.contrast or Contrast("poly" if self.ordered else "treatment")

    def text(self) -> np.ndarray:
        """The level of each row."""
        return np.asarray(np.array(self.levels, dtype=object)[self.codes])


def contrast_matrix(factor: Factor) -> tuple[np.ndarray, tuple[str, ...]]:
    """The columns, (levels, levels - 1), and their names: R's, but for the prefix of a kind."""
    kind, k = factor.coding.kind, len(factor.levels)
    if kind == "treatment":
        return np.eye(k)[:, 1:], tuple(f"T.{level}" for level in factor.levels[1:])
    if kind == "sum":
        names = tuple(f"S.{i + 1}" for i in range(k - 1))
        return np.vstack([np.eye(k - 1), -np.ones(k - 1)]), names
    if kind == "helmert":
        columns = np.where(np.tri(k, k - 1, -1) > 0, 0.0, -1.0)
        columns = np.triu(columns)  # column j: -1 in its first j rows, j in the row after them
        columns[np.arange(1, k), np.arange(k - 1)] = np.arange(1, k)
        return columns, tuple(f"H.{i + 1}" for i in range(k - 1))
    return orthogonal_polynomials(np.arange(1.0, k + 1), k - 1), tuple(map(_power, range(1, k)))


def _power(degree: int) -> str:
    return {1: ".L", 2: ".Q", 3: ".C"}.get(degree, f"^{degree}")


def releveled(factor: Factor, reference: str | int) -> Factor:
    """The factor with one level moved to the front, where treatment contrasts want it.

    Raises
    ------
    ValueError
        For a level that there is not.
    """
    known = factor.levels
    at = reference - 1 if isinstance(reference, int) else -1
    if not isinstance(reference, int) and reference in known:
        at = known.index(reference)
    if not 0 <= at < len(known):
        raise ValueError(f"no level '{reference}'; there are: {', '.join(known[:20])}")
    order = [at, *(i for i in range(len(known)) if i != at)]
    codes = np.argsort(order)[factor.codes]
    return Factor(codes, tuple(known[i] for i in order), factor.ordered, factor.contrast)


def without_unused(factor: Factor) -> Factor:
    """The factor with the levels that occur alone, as R's model frames have it."""
    used, codes = np.unique(factor.codes, return_inverse=True)
    levels = tuple(factor.levels[i] for i in used)
    return Factor(codes.ravel().astype(np.int64), levels, factor.ordered, factor.contrast)


def factor_of_column(column: pd.Series) -> Factor:
    """A column with the levels that occur: in the categorical's own order, else sorted."""
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        column = column.cat.remove_unused_categories()
        codes = column.cat.codes.to_numpy().astype(np.int64)
        levels = tuple(level_label(value) for value in column.cat.categories)
        return Factor(codes, levels, bool(dtype.ordered))
    numeric = pd.api.types.is_numeric_dtype(column)
    return factor_of_values(column if numeric else column.astype(str))


def factor_of_values(values: pd.Series | np.ndarray) -> Factor:
    """Numbers or text as a factor; its levels sorted as Python sorts."""
    codes, uniques = pd.factorize(values, sort=True)
    return Factor(codes.astype(np.int64), tuple(level_label(value) for value in uniques))


def level_label(value: object) -> str:
    """Whole numbers without a decimal point; other numbers so that they read back exactly."""
    if not isinstance(value, float | np.floating):
        return str(value)
    number = float(value)
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)
