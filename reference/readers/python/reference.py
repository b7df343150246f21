"""The reference set in Python: the standard library alone.

from reference import Item
item = Item.read("../../items/seed_case1.reml")
item.data["dependent"]            # the doubles, to the bit; factors as strings
item.matrix                       # the columns of the fixed effects
item.digits("beta", {"Intercept": 0.9616, "predictor[T.intervention]": 2.3472})
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cached_property
from pathlib import Path
from typing import Any

Label = str | tuple[str, str]


@dataclass(frozen=True)
class Item:
    """One model under one criterion: ``about`` is ``item.json``."""

    folder: Path
    about: Mapping[str, Any]

    @classmethod
    def read(cls, folder: str | Path) -> Item:
        """The item in a folder."""
        text = (Path(folder) / "item.json").read_text(encoding="utf-8")
        return cls(Path(folder), json.loads(text))

    @cached_property
    def data(self) -> dict[str, list[float] | list[str]]:
        """Columns by name: numbers to the bit, levels of factors as they are written."""
        cells = dict(self._cells())
        return {
            name: [_number(c) for c in column] if name in self._numeric else column
            for name, column in cells.items()
        }

    @cached_property
    def matrix(self) -> list[list[float]]:
        """The columns of the fixed effects, in the order of ``beta``."""
        return [self.column(c["parts"]) for c in self.about["model"]["fixed"]]

    def column(self, parts: Iterable[Mapping[str, str]]) -> list[float]:
        """A column of a design matrix: the product of its parts, from left to right."""
        rows = self.about["model"]["rows"]
        values = [1.0] * rows
        for part in parts:
            cells = self.data[part["column"]]
            factors = [c == part["level"] for c in cells] if "level" in part else cells
            values = [v * float(f) for v, f in zip(values, factors, strict=True)]
        return values

    def values(self, quantity: str, definition: str = "") -> dict[Label, Decimal]:
        """Certified values by label: a row's, or those of row and column, or "" of a scalar.

        Those of a test by its definition: ``values("df", "kenward-roger")``.
        """
        tables = self.about["inference"][definition] if definition else self.about["values"]
        table = tables[quantity]
        keys = zip(table["row"], table["column"], strict=True)
        labels = [(row, column) if column else row for row, column in keys]
        return dict(zip(labels, map(Decimal, table["value"]), strict=True))

    def digits(
        self, quantity: str, found: Mapping[Label, float] | float, definition: str = ""
    ) -> float:
        """The fewest digits that are right, as NIST counts them; nan where all truths are 0.

        Raises KeyError where a label is missing: numbers are compared by label, never by place.
        """
        given = found if isinstance(found, Mapping) else {"": found}
        all_ = [
            log_relative_error(given[k], t) for k, t in self.values(quantity, definition).items()
        ]
        return min((d for d in all_ if not math.isnan(d)), default=math.nan)

    @cached_property
    def _numeric(self) -> set[str]:
        model = self.about["model"]
        terms = [model["fixed"], *(term["columns"] for term in model["random"])]
        parts = [part for term in terms for column in term for part in column["parts"]]
        parts += [*(model.get("trials") or []), *(model.get("offset") or [])]  # generalised models
        return {p["column"] for p in parts if "level" not in p} | {model["response"]}

    def _cells(self) -> Iterator[tuple[str, list[str]]]:
        recipe = self.about["data"]["generator"]
        if recipe:
            text = generated(recipe)
        else:
            text = (self.folder / "doubles.csv").read_text(encoding="utf-8")
        header, *rows = csv.reader(io.StringIO(text))
        for name, column in zip(header, zip(*rows, strict=True), strict=True):
            yield name, list(column)


def log_relative_error(x: float, truth: Decimal) -> float:
    """``-log10(|x - t| / |t|)``, between 0 and 15; nan against 0."""
    if truth == 0:
        return math.nan
    if not math.isfinite(x):
        return 0.0
    with localcontext() as context:
        context.prec = 60
        error = abs(Decimal(x) - truth) / abs(truth)
        return 15.0 if error == 0 else min(15.0, max(0.0, -float(error.log10())))


def generated(recipe: Mapping[str, Any]) -> str:
    """``data.csv`` of data that are made (README.md, "Data that are made")."""
    state, lines = recipe["seed"], ["y,g,x"]

    def draw(bits: int) -> int:
        nonlocal state
        state = 48271 * state % 2147483647
        return int(state // 65536 % 2**bits)

    def noise() -> int:
        return sum(draw(15) for _ in range(4)) - 65534

    sizes = recipe["sizes"]
    for g in range(recipe["clusters"]):
        level = recipe["between"] * noise() // 64
        for _ in range(sizes[g % len(sizes)]):
            x = draw(4)
            lines.append(f"{level + recipe['slope'] * x + noise()},{g + 1},{x}")
    return "\n".join(lines) + "\n"


def _number(cell: str) -> float:
    return float.fromhex(cell) if "x" in cell else float(cell)
