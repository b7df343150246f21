"""A part of a model, fixed or random, as every engine can be asked for it.

What R makes of the formula is the model matrix. Engines have formula machinery of their own, which
is to be used where it makes the same: where all factors have treatment contrasts and formulaic's
columns are R's. Where not, as for ``contr.sum``, ordered factors or ``a:b`` without its margins,
each column of the matrix is handed over as a variable of its own, computed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from pp_compare.model.factor import Factor
from pp_compare.model.matrices import Coded, Column, ColumnFactor, design_matrix, formulaic_labels
from pp_compare.model.spec import Term
from pp_compare.model.words import Matrix


@dataclass(frozen=True, eq=False)
class Part:
    """The fixed part, or the effects of one random term.

    Parameters
    ----------
    intercept : bool
    terms : tuple of Term
        Products of `variables`, of which R and formulaic make the columns of `matrix`.
    columns : tuple of Column, length p
    matrix : ndarray, shape (n, p)
    variables : mapping of str to ndarray or Factor
        Those of the terms, by name; a factor has treatment contrasts.
    dropped : tuple of str
        Labels of columns that were left out because the others add up to them.
    """

    intercept: bool
    terms: tuple[Term, ...]
    columns: tuple[Column, ...]
    matrix: np.ndarray
    variables: Mapping[str, np.ndarray | Factor]
    dropped: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the columns."""
        return tuple(column.label for column in self.columns)


def make_part(
    intercept: bool, terms: Sequence[Term], variables: Mapping[str, Coded], n: int
) -> Part:
    """The part that R makes of terms, written as plainly as it can be.

    Raises
    ------
    DataError
        As `design_matrix`.
    """
    matrix, columns = design_matrix(intercept, terms, variables, n)
    used = {name: variables[name] for term in terms for name in term}
    if any(isinstance(v, Factor) and v.coding.kind != "treatment" for v in used.values()):
        return computed(columns, matrix)
    labels, own = {column.label for column in columns}, (matrix, columns)
    plain_terms, plain = _expanded(terms, used)
    if any(isinstance(variable, Matrix) for variable in used.values()):
        own = design_matrix(intercept, plain_terms, plain, n)
    if labels != {column.label for column in own[1]}:
        return computed(columns, matrix)
    differ = _has_interaction(plain_terms, plain) and labels != formulaic_labels(
        intercept, plain_terms, plain
    )
    if differ:
        return computed(columns, matrix)
    position = {column.label: k for k, column in enumerate(own[1])}
    order = [position[column.label] for column in columns]  # R's
    return Part(intercept, plain_terms, tuple(own[1][k] for k in order), own[0][:, order], plain)


def computed(columns: Sequence[Column], matrix: np.ndarray, dropped: Sequence[str] = ()) -> Part:
    """A part of which each column but the intercept is a variable of its own."""
    labels = [column.label for column in columns]
    intercept = any(not column.factors for column in columns)
    order = sorted(range(len(labels)), key=lambda k: bool(columns[k].factors))
    own = [k for k in order if columns[k].factors]
    return Part(
        intercept,
        tuple((labels[k],) for k in own),
        (Column(()),) * intercept + tuple(_single(labels[k]) for k in own),
        matrix[:, order],
        {labels[k]: np.ascontiguousarray(matrix[:, k]) for k in own},
        tuple(dropped),
    )


def _single(label: str) -> Column:
    return Column((ColumnFactor(label, None, False),))


def _expanded(
    terms: Sequence[Term], variables: Mapping[str, Coded]
) -> tuple[tuple[Term, ...], dict[str, np.ndarray | Factor]]:
    """The terms with a variable for each column of a matrix such as ``poly(x, 2)``."""
    found: dict[str, np.ndarray | Factor] = {}
    names: dict[str, list[str]] = {}
    for name, variable in variables.items():
        if isinstance(variable, Matrix):
            labels = [ColumnFactor(name, part, False).label for part in variable.names]
            names[name] = labels
            found |= {x: variable.values[:, k].copy() for k, x in enumerate(labels)}
        else:
            names[name] = [name]
            found[name] = variable
    return tuple(x for term in terms for x in product(*(names[name] for name in term))), found


def _has_interaction(terms: Sequence[Term], variables: Mapping[str, Coded]) -> bool:
    """Whether R and formulaic may differ: of main effects they make the same."""
    return any(isinstance(variables[x], Factor) for t in terms if len(t) > 1 for x in t)
