"""Design matrices by R's rules, and the labels of their columns, which are those of the answers.

A factor in a term is coded by contrasts where an earlier term, or the intercept, holds what is left
of the term without it, and else by an indicator of each level (Chambers and Hastie 1992, section
2.4.1; ``TermCode`` in R's model.c). Patsy and formulaic instead look for a basis without redundant
columns: they agree wherever every interaction has its margins.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from itertools import product

import numpy as np
import pandas as pd
from formulaic.formula import SimpleFormula
from formulaic.parser.types import Factor as ParsedFactor
from formulaic.parser.types import Term as ParsedTerm

from pp_compare.errors import DataError
from pp_compare.model.factor import Factor, contrast_matrix
from pp_compare.model.spec import Term
from pp_compare.model.words import Matrix

Coded = np.ndarray | Factor | Matrix
"""A variable of a model: numbers, a factor, or several numeric columns."""

MOST_COLUMNS = 1000
"""Of one model matrix: wider ones are a factor with a level a row, and take hours."""
MOST_ENTRIES = 10**8
"""Of one model matrix: 800 MB."""


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
    intercept: bool, terms: Sequence[Term], variables: Mapping[str, Coded], n: int
) -> tuple[np.ndarray, tuple[Column, ...]]:
    """The model matrix that R's ``model.matrix()`` makes, column by column.

    Raises
    ------
    DataError
        Where it would have more than `MOST_COLUMNS` columns or `MOST_ENTRIES` entries; nothing has
        been made then.
    """
    _refuse_wide(terms, variables, n)
    made, columns = [np.ones((n, int(intercept)))], [Column(())] * intercept
    for term, full in zip(terms, _codings(intercept, terms, variables), strict=True):
        pieces = [_piece(name, variables[name], name in full) for name in term]
        # The first variable varies fastest, as in R.
        for choice in product(*(range(len(factors)) for _, factors in reversed(pieces))):
            parts = list(zip(pieces, reversed(choice), strict=True))
            values = reduce(np.multiply, (columns_of[:, k] for (columns_of, _), k in parts))
            made.append(values[:, None])
            columns.append(Column(tuple(factors[k] for (_, factors), k in parts)))
    return np.hstack(made), tuple(columns)


def _refuse_wide(terms: Sequence[Term], variables: Mapping[str, Coded], n: int) -> None:
    widths = [math.prod(_width(variables[name]) for name in term) for term in terms]
    columns = sum(widths) + 1
    if columns > MOST_COLUMNS or columns * n > MOST_ENTRIES:
        widest = ":".join(terms[int(np.argmax(widths))])
        raise DataError(
            f"the model matrix would have about {columns} columns for {n} rows, the most of them "
            f"for '{widest}'; at most {MOST_COLUMNS} columns and {MOST_ENTRIES:.0e} numbers are "
            "made here. Is it a factor that was meant as a number?"
        )


def _width(variable: Coded) -> int:
    if isinstance(variable, Factor):
        return len(variable.levels)
    return len(variable.names) if isinstance(variable, Matrix) else 1


def _codings(
    intercept: bool, terms: Sequence[Term], variables: Mapping[str, Coded]
) -> list[set[str]]:
    """The factors of each term that are coded by indicators."""
    found = []
    for j, term in enumerate(terms):
        rest = {name: set(term) - {name} for name in term}
        covered = {name for name, r in rest.items() if not r or any(r <= set(t) for t in terms[:j])}
        found.append({x for x in term if isinstance(variables[x], Factor)} - covered)
    if not intercept:
        # R codes the first factor that it finds in full, whatever the rule says of it.
        for full, term in zip(found, terms, strict=True):
            factors = [name for name in term if isinstance(variables[name], Factor)]
            if factors:
                full.add(factors[0])
                break
    return found


def _piece(name: str, variable: Coded, full: bool) -> tuple[np.ndarray, list[ColumnFactor]]:
    """The columns of one variable in one term."""
    if isinstance(variable, np.ndarray):
        return variable[:, None], [ColumnFactor(name, None, False)]
    if isinstance(variable, Matrix):
        return variable.values, [ColumnFactor(name, part, False) for part in variable.names]
    if full:
        indicators = np.eye(len(variable.levels))[variable.codes]
        return indicators, [ColumnFactor(name, level, False) for level in variable.levels]
    coding, names = contrast_matrix(variable)
    if variable.coding.kind == "treatment":
        parts = [ColumnFactor(name, level, True) for level in variable.levels[1:]]
    else:
        parts = [ColumnFactor(name, part, False) for part in names]
    return coding[variable.codes], parts


def formulaic_labels(
    intercept: bool, terms: Sequence[Term], variables: Mapping[str, Coded]
) -> set[str]:
    """Labels of the columns that formulaic, and so statsmodels, makes of terms with these factors.

    Variables go in as v0, v1, ... and levels as their index, so that no name can be misread.
    """
    names = list(dict.fromkeys(name for term in terms for name in term))
    numbered = tuple(tuple(names.index(name) for name in term) for term in terms)
    made = _formulaic_columns(intercept, numbered, tuple(_levels(variables[n]) for n in names))
    return {_relabelled(label, names, variables) for label in made}


def _levels(variable: Coded) -> int | None:
    return len(variable.levels) if isinstance(variable, Factor) else None


@lru_cache(maxsize=256)
def _formulaic_columns(
    intercept: bool, terms: tuple[tuple[int, ...], ...], levels: tuple[int | None, ...]
) -> tuple[str, ...]:
    """What formulaic calls its columns: one row is enough, and many data sets ask for the same."""
    data = pd.DataFrame({f"v{i}": _one_value(k) for i, k in enumerate(levels)})
    factors = [ParsedFactor(f"v{i}", eval_method="lookup") for i in range(len(levels))]
    parsed = [ParsedTerm([factors[i] for i in term]) for term in terms]
    one = [ParsedTerm([ParsedFactor("1", eval_method="literal")])] if intercept else []
    return tuple(map(str, SimpleFormula(one + parsed).get_model_matrix(data).columns))


def _one_value(levels: int | None) -> pd.Series:
    if levels is None:
        return pd.Series([1.0])
    return pd.Series(pd.Categorical(["0"], categories=[str(i) for i in range(levels)]))


def _relabelled(label: str, names: list[str], variables: Mapping[str, Coded]) -> str:
    parts = []
    for part in label.split(":") if label != "Intercept" else []:
        word, _, level = part.partition("[")
        name, reduced = names[int(word[1:])], level.startswith("T.")
        variable, code = variables[name], level.removeprefix("T.").rstrip("]")
        found = variable.levels[int(code)] if isinstance(variable, Factor) else None
        parts.append(ColumnFactor(name, found, reduced))
    return Column(tuple(parts)).label
