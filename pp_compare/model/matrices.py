"""Design matrices from coded variables; the labels of their columns are those of the answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from formulaic.formula import SimpleFormula
from formulaic.parser.types import Factor
from formulaic.parser.types import Term as ParsedTerm

from pp_compare.model import Term
from pp_compare.model.variables import Variable, categorical


@dataclass(frozen=True)
class ColumnFactor:
    """A variable's part in one column of a design matrix; `level` is None for a number."""

    variable: str
    level: str | None
    reduced: bool

    @property
    def label(self) -> str:
        """``x``, ``C(x)[T.b]`` (a contrast with the first level) or ``C(x)[b]`` (an indicator)."""
        if self.level is None:
            return self.variable
        return f"{self.variable}[{'T.' if self.reduced else ''}{self.level}]"


@dataclass(frozen=True)
class Column:
    """One column of a design matrix, as the product of its factors; the intercept has none."""

    factors: tuple[ColumnFactor, ...]

    @property
    def label(self) -> str:
        """``Intercept``, ``x``, ``predictor[T.intervention]``, ``a[T.2]:x``."""
        return ":".join(factor.label for factor in self.factors) or "Intercept"


def design_matrix(
    intercept: bool, terms: tuple[Term, ...], variables: Mapping[str, Variable], n: int
) -> tuple[np.ndarray, tuple[Column, ...]]:
    """Design matrix with treatment contrasts; formulaic decides which terms are coded in full.

    Variables go in as v0, v1, ... and levels as their index, so that no name can be misread.
    """
    names = list(dict.fromkeys(name for term in terms for name in term))
    if not terms:
        return np.ones((n, int(intercept))), (Column(()),) * intercept
    data = pd.DataFrame({f"v{i}": _coded(variables[name]) for i, name in enumerate(names)})
    lookup = {name: Factor(f"v{i}", eval_method="lookup") for i, name in enumerate(names)}
    parsed = [ParsedTerm([lookup[name] for name in term]) for term in terms]
    one = [ParsedTerm([Factor("1", eval_method="literal")])] if intercept else []
    matrix = SimpleFormula(one + parsed).get_model_matrix(data)
    columns = tuple(_column(str(label), names, variables) for label in matrix.columns)
    return np.asarray(matrix, dtype=float), columns


def _coded(variable: Variable) -> pd.Series:
    """The variable with its levels replaced by their index."""
    if variable.levels is None:
        return pd.Series(variable.values)
    return categorical(variable.values, [str(i) for i in range(len(variable.levels))])


_CODED = re.compile(r"v(\d+)(?:\[(T\.)?(\d+)\])?$")


def _column(label: str, names: list[str], variables: Mapping[str, Variable]) -> Column:
    if label == "Intercept":
        return Column(())
    factors = []
    for part in label.split(":"):
        match = _CODED.match(part)
        if match is None:
            raise AssertionError(f"formulaic made a column '{label}' that is not of our coding")
        name = names[int(match.group(1))]
        levels = variables[name].levels
        level = levels[int(match.group(3))] if levels is not None else None
        factors.append(ColumnFactor(name, level, match.group(2) is not None))
    return Column(tuple(factors))
