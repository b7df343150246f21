"""The same model with predictors in other units, and its answers brought back to the user's.

A predictor divided by s multiplies its coefficient by s and leaves the model what it is; only the
optimiser sees another function. REML's criterion has log|X'V^-1 X| in it, which shifts by a
constant (Harville 1974, *Biometrika* 61, 383-385).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pp_compare.model.design import Design
from pp_compare.model.evaluate import data_columns
from pp_compare.model.fit import Fit
from pp_compare.model.matrices import Column
from pp_compare.model.quantity import Quantity
from pp_compare.model.variables import Variable, node_of

Factors = Mapping[str, float]
"""What each predictor is divided by."""


@dataclass(frozen=True)
class Rescaling:
    """Predictors by name, and what each is divided by."""

    factors: Factors

    def design(self, design: Design) -> Design:
        """The design with those predictors divided; names and rows stay."""
        variables = {n: self._divided(n, v) for n, v in design.variables.items()}
        X = design.X / self._of(design.columns)
        blocks = tuple(replace(b, Z=b.Z / self._of(b.columns)) for b in design.blocks)
        return replace(design, X=X, blocks=blocks, variables=variables)

    def _divided(self, name: str, variable: Variable) -> Variable:
        factor = self.factors.get(name)
        return variable if factor is None else replace(variable, values=variable.values / factor)

    def back(self, design: Design, fit: Fit) -> Fit:
        """A fit of the divided design in the units of `design`."""
        found = {name: self._back(design, quantity) for name, quantity in fit.quantities.items()}
        if "loglik" in found and design.spec.method == "REML":
            shift = float(np.log(self._of(design.columns)).sum())
            found["loglik"] = Quantity("loglik", found["loglik"].values - shift)
        return replace(fit, quantities=found)

    def _back(self, design: Design, quantity: Quantity) -> Quantity:
        kind, _, group = quantity.name.partition("[")
        values = quantity.values
        if kind in {"beta", "beta_se"}:
            values = values / self._of(design.columns)
        elif kind == "beta_cov":
            values = values / np.outer(*(self._of(design.columns),) * 2)
        elif kind in {"random_cov", "blup"}:
            blocks = [block for block in design.blocks if block.group == group[:-1]]
            unit = np.concatenate([self._of(block.columns) for block in blocks])
            values = values / (np.outer(unit, unit) if kind == "random_cov" else unit)
        return replace(quantity, values=values)

    def _of(self, columns: Sequence[Column]) -> np.ndarray:
        """What each column of a design matrix is divided by."""
        return np.array([np.prod([1.0, *self._parts(column)]) for column in columns])

    def _parts(self, column: Column) -> list[float]:
        return [self.factors.get(factor.variable, 1.0) for factor in column.factors]


def to_unit_size(design: Design, random_only: bool) -> Rescaling | None:
    """Powers of ten that bring the root mean square of numeric predictors nearest to one.

    Parameters
    ----------
    design : Design
    random_only : bool
        Only those with a random slope.

    Returns
    -------
    Rescaling or None
        None where every such predictor is of that size. A predictor that is also the argument of a
        function, or a grouping factor, stays as it is.
    """
    terms = [term for block in design.blocks for term in block.term.terms]
    terms += [] if random_only else design.spec.fixed
    names = dict.fromkeys(name for term in terms for name in term)
    free = _free(design)
    sizes = {n: _power_of_ten(design.variables[n].values) for n in names if n in free}
    factors = {name: size for name, size in sizes.items() if size != 1.0}
    return Rescaling(factors) if factors else None


def _free(design: Design) -> set[str]:
    """Plain numeric columns that nothing else is made of."""
    plain = {n for n in design.variables if n in design.dataset.frame.columns}
    computed = set(design.variables) - plain
    used = {column for name in computed for column in data_columns(node_of(name))}
    numeric = {n for n in plain if design.variables[n].levels is None}
    return numeric - used - set(design.groups) - {design.spec.response}


def _power_of_ten(values: np.ndarray) -> float:
    size = np.abs(values).max()
    if not size > 0:
        return 1.0
    mean_square = float(((values / size) ** 2).mean())
    return float(10.0 ** round(np.log10(size) + np.log10(mean_square) / 2))
