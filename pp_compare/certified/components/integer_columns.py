"""Columns of doubles as integers, and their inner products without rounding.

A double is an integer times a power of two. Sums of products of integers are exact, in machine
integers while they fit and in unbounded ones beyond.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[Any]
"""An array of int64, or of Python's unbounded integers."""


@dataclass(frozen=True)
class IntegerColumn:
    """A column as integers times 2^exponent; ``largest`` bounds their size."""

    integers: Integers
    exponent: int
    largest: int

    @staticmethod
    def of(x: Floats) -> IntegerColumn:
        """Write doubles as integers as small as they can be with one exponent."""
        fraction, power = np.frexp(x)
        mantissa = np.ldexp(fraction, 53).astype(np.int64)
        if not mantissa.any():
            return IntegerColumn(mantissa, 0, 0)
        lowest_bit = np.where(mantissa == 0, 1, mantissa & -mantissa)
        power = power.astype(np.int64) - 53 + np.log2(lowest_bit).astype(np.int64)
        exponent = int(power[mantissa != 0].min())
        shift = np.where(mantissa == 0, 0, power - exponent)
        wide = (mantissa // lowest_bit).astype(object) << shift.astype(object)
        largest = int(np.abs(wide).max())
        fits = largest < 1 << 62
        return IntegerColumn(wide.astype(np.int64) if fits else wide, exponent, largest)

    def times(self, other: IntegerColumn) -> IntegerColumn:
        """The product of two columns, row by row."""
        wide = _products(self, other)
        largest = int(np.abs(wide).max(initial=0))
        return IntegerColumn(wide, self.exponent + other.exponent, largest)

    def divided(self, power: int) -> IntegerColumn:
        """The column over 2^power."""
        return IntegerColumn(self.integers, self.exponent - power, self.largest)


@dataclass(frozen=True)
class Cells:
    """Rows sorted by cell, ready for sums over each cell."""

    order: NDArray[np.intp]
    starts: NDArray[np.intp]
    names: NDArray[np.intp]

    @staticmethod
    def of(cell: NDArray[np.intp]) -> Cells:
        """Sort rows by the number of their cell."""
        order = np.argsort(cell, kind="stable")
        names, starts = np.unique(cell[order], return_index=True)
        return Cells(order, starts, names)

    def totals(self, a: IntegerColumn, b: IntegerColumn) -> tuple[Integers, int]:
        """Exact inner products over the rows of every cell that occurs, times 2^exponent."""
        totals = np.add.reduceat(_products(a, b)[self.order], self.starts)
        return totals, a.exponent + b.exponent


def inner_product(a: IntegerColumn, b: IntegerColumn) -> int:
    """Exact inner product of the integers of two columns."""
    return int(_products(a, b).sum())


def _products(a: IntegerColumn, b: IntegerColumn) -> Integers:
    """Elementwise products whose partial sums cannot overflow."""
    # Of a column of zeros the products fit, whatever the other column holds.
    largest = max(a.largest * b.largest * len(a.integers), a.largest, b.largest)
    fits = largest < 1 << 62
    kind = np.int64 if fits else object
    return np.asarray(a.integers.astype(kind) * b.integers.astype(kind))
