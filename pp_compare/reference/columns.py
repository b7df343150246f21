"""A design as a table, and its matrices as products of the table's columns.

Nothing else is needed to fit the model in any language: each column of X and Z is a product, from
left to right in double arithmetic, of numeric columns and of indicators of a level.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pp_compare.errors import DataError
from pp_compare.model.design import Block, Design
from pp_compare.model.matrices import Column, ColumnFactor

Part = dict[str, str]
POWER = re.compile(r"I\((\w+) ?\^ ?(\d)\)")


@dataclass
class Table:
    """The columns of ``data.csv`` as text, filled while a model is described."""

    cells: dict[str, list[str]] = field(default_factory=dict)
    numeric: set[str] = field(default_factory=set)

    def numbers(self, name: str, values: np.ndarray) -> str:
        """The name of a column with these numbers."""
        cells = [shortest(x) for x in values.tolist()]
        while name in self.cells and (name not in self.numeric or self.cells[name] != cells):
            name += "_"
        self.numeric.add(name)
        self.cells[name] = cells
        return name

    def levels(self, name: str, levels: Sequence[str], codes: np.ndarray) -> str:
        """The name of a column with these levels."""
        cells = [levels[k] for k in codes.tolist()]
        while name in self.cells and (name in self.numeric or self.cells[name] != cells):
            name += "_"
        self.cells[name] = cells
        return name

    @property
    def text(self) -> str:
        """As CSV, lines ending in a line feed."""
        rows = [list(self.cells), *map(list, zip(*self.cells.values(), strict=True))]
        return "".join(",".join(_quoted(cell) for cell in row) + "\n" for row in rows)

    @property
    def doubles(self) -> str:
        """The same with each number in hexadecimal, which every language reads to the same bits."""
        exact = {
            name: [float(cell).hex() for cell in cells] if name in self.numeric else cells
            for name, cells in self.cells.items()
        }
        return Table(exact).text


def shortest(x: float) -> str:
    """The shortest decimal that reads back as a double, whole numbers without a point."""
    return str(int(x)) if x == int(x) and abs(x) < 2**53 else repr(float(x))


def describe(design: Design) -> tuple[dict[str, Any], Table]:
    """The model as data, and the table that it refers to.

    Raises
    ------
    DataError
        Where the model has prior weights.
    """
    if design.weights is not None:
        raise DataError("a model with prior weights has no place in the reference set")
    table = Table()
    model: dict[str, Any] = {
        "criterion": f"lmm-{design.spec.method.lower()}",
        "formula": design.spec.formula,
        "reading": "doubles",
        "rows": design.n_obs,
        "response": table.numbers(_response(design), design.y),
    }
    model["random"] = [term_of(design, table, block) for block in design.blocks]
    model["fixed"] = list(columns_of(design, table, design.columns, design.X))
    model["factors"] = {
        v.name: list(v.levels) for v in design.variables.values() if v.levels is not None
    }
    return model, table


def _response(design: Design) -> str:
    return design.spec.response if design.offset is None else f"{design.spec.response}-offset"


def term_of(design: Design, table: Table, block: Block) -> dict[str, Any]:
    """A random term: its columns, and what its levels are made of."""
    names = block.term.group
    groups = [(name, design.groups[name]) for name in names]
    return {
        "group": block.group,
        "by": [table.levels(name, v.levels or (), v.values) for name, v in groups],
        "levels": len(block.levels),
        "columns": list(columns_of(design, table, block.columns, block.Z)),
    }


def columns_of(
    design: Design, table: Table, columns: Sequence[Column], matrix: np.ndarray
) -> Iterator[dict[str, Any]]:
    """Each column of a matrix as a product of the table's columns."""
    for column, values in zip(columns, matrix.T, strict=True):
        parts = _parts(design, table, column, values)
        yield {"label": column.label, "parts": parts}


def _parts(design: Design, table: Table, column: Column, values: np.ndarray) -> list[Part]:
    """How a column is made; where that is not these doubles, the column itself."""
    parts, product = [], np.ones(len(values))
    for factor in column.factors:
        for part, numbers in _factor(design, table, factor):
            parts.append(part)
            product = product * numbers
    if np.array_equal(product, values):
        return parts
    return [{"column": table.numbers(column.label, values)}]


def _factor(
    design: Design, table: Table, factor: ColumnFactor
) -> Iterator[tuple[Part, np.ndarray]]:
    variable = design.variables.get(factor.variable)
    if variable is None:
        return
    if factor.level is not None and variable.levels is not None:
        name = table.levels(variable.name, variable.levels, variable.values)
        codes = variable.values == variable.levels.index(factor.level)
        yield {"column": name, "level": factor.level}, codes.astype(np.float64)
        return
    power = POWER.fullmatch(variable.name)
    frame = design.dataset.frame
    if power and power[1] in frame and len(frame) == design.n_obs:
        base = frame[power[1]].to_numpy(dtype=np.float64)
        yield from [({"column": table.numbers(power[1], base)}, base)] * int(power[2])
    elif variable.levels is None:
        yield {"column": table.numbers(variable.name, variable.values)}, variable.values


def _quoted(cell: str) -> str:
    return f'"{cell.replace(chr(34), chr(34) * 2)}"' if re.search(r'[",\n\r]', cell) else cell
