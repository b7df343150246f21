"""Sums of products of a model's columns over rows, levels and pairs of levels, exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from flint import arb, arb_mat, fmpz_mat
from numpy.typing import NDArray

from pp_compare.certified.components.blocks import Layout, RandomBlock
from pp_compare.certified.components.component import Component, Floats, Stratum
from pp_compare.certified.components.integer_columns import (
    Cells,
    IntegerColumn,
    Integers,
    inner_product,
)
from pp_compare.errors import DataError

SMALLEST = 1e-300
"""Doubles of this size have all their digits."""


@dataclass(frozen=True)
class FixedSums:
    """Integer columns of [X y], and the inner products of their integers, weighted."""

    columns: list[IntegerColumn]
    gram: list[list[int]]
    weights: IntegerColumn | None

    @staticmethod
    def of(y: Floats, X: Floats, weights: IntegerColumn | None) -> FixedSums:
        """Sum up."""
        columns = [IntegerColumn.of(x) for x in np.column_stack([X, y]).T]
        left = [_weighted(column, weights) for column in columns]
        gram = [[inner_product(a, b) for b in columns] for a in left]
        return FixedSums(columns, gram, weights)

    def require_identified(self) -> None:
        """Raise DataError unless X has full rank and y lies outside its column space."""
        p = len(self.columns) - 1
        if p and fmpz_mat([row[:p] for row in self.gram[:p]]).rank() < p:
            raise DataError(
                f"The {p} columns of X are linearly dependent in exact arithmetic; "
                "drop the redundant ones."
            )
        if fmpz_mat(self.gram).rank() <= p:
            raise DataError(
                "y is an exact linear combination of the columns of X: the residual variance is 0 "
                "and the likelihood is unbounded."
            )

    def matrix(self) -> arb_mat:
        """The cross-products of [X y]."""
        exponents = [column.exponent for column in self.columns]
        extra = 0 if self.weights is None else self.weights.exponent
        rows = zip(self.gram, exponents, strict=True)
        return arb_mat(
            [
                [arb((v, a + b + extra)) for v, b in zip(row, exponents, strict=True)]
                for row, a in rows
            ]
        )


def _weighted(column: IntegerColumn, weights: IntegerColumn | None) -> IntegerColumn:
    return column if weights is None else column.times(weights)


def strata(
    fixed: FixedSums,
    blocks: Sequence[RandomBlock],
    powers: Sequence[Sequence[int]],
    of_fixed: arb_mat,
) -> tuple[Stratum, ...]:
    """Sum over rows, and sort the components by the blocks of their levels.

    Parameters
    ----------
    fixed : FixedSums
    blocks : sequence of RandomBlock
    powers : sequence of sequences of int
        By random term and column: the power of two that Z is divided by.
    of_fixed : (p + 1, p + 1) arb_mat
        What [X y] is multiplied by.
    """
    layout = Layout.of(blocks)
    grouped: dict[tuple[int, ...], list[int]] = {}
    for k, levels in enumerate(layout.members):
        grouped.setdefault(tuple(block for block, _ in levels), []).append(k)
    places = [_Place.of(chosen, layout) for _, chosen in sorted(grouped.items())]
    random = _Products.empty(places, None)
    both = _Products.empty(places, len(fixed.columns))
    columns = [
        [IntegerColumn.of(z).divided(s) for z, s in zip(block.Z.T, own, strict=True)]
        for block, own in zip(blocks, powers, strict=True)
    ]
    for a, block in enumerate(blocks):
        heavy = [_weighted(column, fixed.weights) for column in columns[a]]
        rows = Cells.of(block.group)
        for j, z in enumerate(heavy):
            for k, x in enumerate(fixed.columns):
                both.add(layout.at(a, rows.names, j), k, rows.totals(z, x))
        for b, other in enumerate(blocks[: a + 1]):
            cells = Cells.of(block.group * other.levels + other.group)
            one, two = np.divmod(cells.names, other.levels)
            for j, first in enumerate(heavy):
                for k, second in enumerate(columns[b][: j + 1] if a == b else columns[b]):
                    totals = cells.totals(first, second)
                    at, beside = layout.at(a, one, j), layout.at(b, two, k)
                    random.add(at, beside[1], totals)
                    random.add(beside, at[1], totals)
    found = zip(sorted(grouped), places, random.matrices(), both.matrices(), strict=True)
    sizes = tuple(block.size for block in blocks)
    result = tuple(
        _stratum(key, place, layout, sizes, (zz, zf * of_fixed)) for key, place, zz, zf in found
    )
    for stratum, rounded in zip(result, random.rounded(), strict=True):
        if rounded is not None:
            stratum.__dict__["rounded"] = rounded  # at no cost here; made of balls elsewhere
    return result


def _stratum(
    key: tuple[int, ...],
    place: _Place,
    layout: Layout,
    sizes: tuple[int, ...],
    products: tuple[arb_mat, arb_mat],
) -> Stratum:
    """Cut the rows of all components, one above the other, into components."""
    if len(place.components) == 1:
        return Stratum(key, (Component(layout.members[place.components[0]], *products, sizes),))
    r, left, right = place.width, products[0].entries(), products[1].entries()
    f = products[1].ncols()
    return Stratum(
        key,
        tuple(
            Component(
                layout.members[k],
                arb_mat(r, r, left[i * r * r : (i + 1) * r * r]),
                arb_mat(r, f, right[i * r * f : (i + 1) * r * f]),
                sizes,
            )
            for i, k in enumerate(place.components)
        ),
    )


@dataclass(frozen=True)
class _Place:
    """Components of one stratum; ``row`` has the first row of each among them, -1 elsewhere."""

    components: list[int]
    width: int
    row: NDArray[np.intp]

    @staticmethod
    def of(components: list[int], layout: Layout) -> _Place:
        width = layout.widths[components[0]]
        row = np.full(len(layout.widths), -1)
        row[components] = width * np.arange(len(components))
        return _Place(components, width, row)


@dataclass(frozen=True)
class _Products:
    """Exact sums by stratum: integers, and the power of two that each of them is times.

    One matrix a stratum, the rows of all components one above the other.
    """

    places: list[_Place]
    integers: list[NDArray[np.object_]]
    exponents: list[NDArray[np.int64]]

    @staticmethod
    def empty(places: list[_Place], columns: int | None) -> _Products:
        shapes = [(len(p.components) * p.width, columns or p.width) for p in places]
        return _Products(
            places,
            [np.zeros(shape, dtype=object) for shape in shapes],
            [np.zeros(shape, dtype=np.int64) for shape in shapes],
        )

    def add(
        self,
        at: tuple[NDArray[np.intp], NDArray[np.intp]],
        column: NDArray[np.intp] | int,
        totals: tuple[Integers, int],
    ) -> None:
        """Enter sums, (component, row) by (column)."""
        (component, row), (values, exponent) = at, totals
        for k, place in enumerate(self.places):
            here = place.row[component] >= 0
            rows = place.row[component[here]] + row[here]
            columns = column if isinstance(column, int) else column[here]
            self.integers[k][rows, columns] = values[here]
            self.exponents[k][rows, columns] = exponent

    def matrices(self) -> list[arb_mat]:
        """In balls, exact."""
        return [_exact(i, e) for i, e in zip(self.integers, self.exponents, strict=True)]

    def rounded(self) -> list[Floats | None]:
        """In doubles, (k, r, r) each, rounded once; None where that is not sure.

        Python rounds an integer to the nearest double, and a power of two changes no digit of one
        that is neither too small nor too large for that.
        """
        return [
            _nearest(integers, exponents, (-1, place.width, place.width))
            for place, integers, exponents in zip(
                self.places, self.integers, self.exponents, strict=True
            )
        ]


def _nearest(
    integers: NDArray[np.object_], exponents: NDArray[np.int64], shape: tuple[int, int, int]
) -> Floats | None:
    try:
        whole = integers.astype(np.float64)
    except OverflowError:
        return None
    values = np.ldexp(whole, exponents)
    size = np.abs(np.where(whole == 0, 1.0, values))
    sure = (size > SMALLEST).all() and (size < 1 / SMALLEST).all()
    return values.reshape(shape) if sure else None


def _exact(integers: NDArray[np.object_], exponents: NDArray[np.int64]) -> arb_mat:
    """Integers times powers of two."""
    lowest = int(exponents.min())
    if lowest != exponents.max():
        integers = integers << (exponents - lowest).astype(object)
    rows, columns = integers.shape
    whole = arb_mat(fmpz_mat(rows, columns, integers.ravel().tolist()))
    return whole * arb((1, lowest)) if lowest else whole
