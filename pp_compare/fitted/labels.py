"""The names that R, patsy and statsmodels give to a column, an effect or a group, read as ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import permutations, product

from pp_compare.errors import InputError
from pp_compare.model.design import Design
from pp_compare.model.matrices import Column, ColumnFactor
from pp_compare.model.variables import Variable

MOST_FACTORS = 4
"""Of an interaction whose factors are tried in every order: 24 orders."""


class Labels:
    """Our label for a label of somebody else's.

    Parameters
    ----------
    design : Design
    """

    def __init__(self, design: Design) -> None:
        self._design = design
        self._fixed = _table(design.columns, design.variables)

    def fixed(self, label: str) -> str:
        """Our label of a fixed effect.

        Raises
        ------
        InputError
            For a label that is no fixed effect's, or that could be two.
        """
        return _only(self._fixed, label, "fixed effect", self._design.labels)

    def group(self, name: str) -> str:
        """Our name of a grouping factor: ``a:b``, R's ``b %in% a``, lme4's ``b:a`` and ``a.1``."""
        wanted = sorted(_parts(name))
        found = [g for g in self._design.group_levels if sorted(g.split(":")) == wanted]
        inner = [g for g in self._design.group_levels if g == wanted[0]]
        if not found and "%in%" in name:  # the inner factor alone, where its labels are unique
            first = name.partition("%in%")[0].strip()
            found = [g for g in self._design.group_levels if first in g.split(":")]
        if len(found) == 1:
            return found[0]
        if len(inner) == 1:
            return inner[0]
        known = ", ".join(f"'{g}'" for g in self._design.group_levels)
        raise InputError(f"no grouping factor '{name}'; there are: {known}")

    def effect(self, group: str, label: str) -> str:
        """Our label of a random effect of a grouping factor (in our name of it)."""
        blocks = [block for block in self._design.blocks if block.group == group]
        columns = [column for block in blocks for column in block.columns]
        names = [column.label for column in columns]
        known = _table(columns, self._design.variables)
        if label in {group, "Group"} and label not in known:
            label = "Intercept"  # statsmodels calls the intercept by its group
        return _only(known, label, f"random effect of '{group}'", names)


def _parts(name: str) -> list[str]:
    parts = name.replace("%in%", ":").split(":")
    return [_base(part.strip()) for part in parts]


def _base(name: str) -> str:
    """lme4 calls the second term of a group ``g.1``."""
    head, dot, tail = name.rpartition(".")
    return head if dot and tail.isdigit() else name


def _table(columns: Iterable[Column], variables: Mapping[str, Variable]) -> dict[str, set[str]]:
    """Our labels by everything that a column is called somewhere."""
    found: dict[str, set[str]] = {}
    for column in columns:
        for name in {column.label, *_names(column, variables)}:
            found.setdefault(name, set()).add(column.label)
    return found


def _names(column: Column, variables: Mapping[str, Variable]) -> set[str]:
    if not column.factors:
        return {"Intercept", "(Intercept)", "const", "1"}
    parts = [_factor_names(factor, variables[factor.variable]) for factor in column.factors]
    orders = permutations(parts) if len(parts) <= MOST_FACTORS else [tuple(parts)]
    return {":".join(names) for order in orders for names in product(*order)}


def _factor_names(factor: ColumnFactor, variable: Variable) -> list[str]:
    """``arm[T.b]`` of patsy, ``armb`` of R; ``C(x)``, ``factor(x)`` and ``as.factor(x)`` alike."""
    bare = factor.variable
    names = {bare, variable.alias, bare.replace("`", "")}
    if bare.startswith("C(") and bare.endswith(")"):
        inner = bare[2:-1].strip("`")
        names |= {f"factor({inner})", f"as.factor({inner})", inner}
    if factor.level is None:
        return sorted(names | {bare.replace("^", "**"), bare.replace("^", " ** ")})
    levels = {factor.level} | ({f"{factor.level}.0"} if factor.level.isdigit() else set())
    brackets = {f"[{mark}{level}]" for mark in ("T.", "") for level in levels}
    return sorted(name + end for name in names for end in {*levels, *brackets})


def _only(known: Mapping[str, set[str]], label: str, kind: str, ours: Iterable[str]) -> str:
    found = known.get(label.strip(), set())
    if len(found) == 1:
        return next(iter(found))
    there = ", ".join(f"'{name}'" for name in ours)
    if found:
        raise InputError(f"'{label}' may be more than one {kind}: {', '.join(sorted(found))}")
    raise InputError(f"'{label}' is no {kind} of this model; there are: {there}")
