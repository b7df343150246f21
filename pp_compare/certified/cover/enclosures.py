"""Arrays of enclosures in double precision: midpoints and radii, rounding accounted for.

Every operation returns a midpoint and a radius such that the exact result for any numbers within
the operands' radii lies within its own. A sum of m products rounded in any order errs by at most
m u / (1 - m u) times the sum of the absolute products, u = 2^-53 (Higham 2002, Accuracy and
Stability, section 3.1); all constants here are at least twice what is needed, which also pays for
the rounding of the radii themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import arb_mat
from numpy.typing import NDArray

Floats = NDArray[np.float64]

UNIT = 2.0**-52
"""Twice the rounding unit."""

TINY = 1e-290
"""Above what underflow can lose in one operation."""


@dataclass(frozen=True)
class Enclosures:
    """An array of intervals ``mid`` +- ``rad``; a radius that is NaN or infinite knows nothing."""

    mid: Floats
    rad: Floats

    @staticmethod
    def exact(values: Floats) -> Enclosures:
        """Doubles as they are."""
        mid = np.asarray(values, dtype=np.float64)
        return Enclosures(mid, np.zeros_like(mid))

    @staticmethod
    def of_balls(balls: arb_mat) -> Enclosures:
        """Round balls whose radius is below the rounding of their midpoints to doubles."""
        shape = balls.nrows(), balls.ncols()
        mid = np.array([float(b.mid()) for b in balls.entries()]).reshape(shape)
        rad = np.array([float(b.rad()) for b in balls.entries()]).reshape(shape)
        return Enclosures(mid, 2 * rad + UNIT * np.abs(mid) + TINY)

    @property
    def lower(self) -> Floats:
        """Below every enclosed number."""
        low = self.mid - self.rad
        return np.asarray(low - UNIT * (np.abs(self.mid) + self.rad) - TINY)

    @property
    def upper(self) -> Floats:
        """Above every enclosed number."""
        high = self.mid + self.rad
        return np.asarray(high + UNIT * (np.abs(self.mid) + self.rad) + TINY)

    def __getitem__(self, key: Any) -> Enclosures:
        return Enclosures(self.mid[key], self.rad[key])

    def __neg__(self) -> Enclosures:
        return Enclosures(-self.mid, self.rad)

    def __add__(self, other: Enclosures | float) -> Enclosures:
        b = _enclosed(other)
        mid = self.mid + b.mid
        return Enclosures(mid, _up(self.rad + b.rad + UNIT * np.abs(mid)))

    __radd__ = __add__

    def __sub__(self, other: Enclosures | float) -> Enclosures:
        return self + (-_enclosed(other))

    def __rsub__(self, other: float) -> Enclosures:
        return (-self) + other

    def __mul__(self, other: Enclosures | float) -> Enclosures:
        b = _enclosed(other)
        mid, a0, b0 = self.mid * b.mid, np.abs(self.mid), np.abs(b.mid)
        rad = (a0 + self.rad) * b.rad + self.rad * b0
        return Enclosures(mid, _up(rad + UNIT * np.abs(mid)))

    __rmul__ = __mul__

    def reciprocal(self) -> Enclosures:
        """1 / x; a radius of infinity where 0 may be enclosed."""
        low, high = self.lower, self.upper
        good = (low > 0) | (high < 0)
        with np.errstate(all="ignore"):
            a, b = 1 / np.where(good, low, 1.0), 1 / np.where(good, high, 1.0)
        mid = (a + b) / 2
        rad = np.where(good, np.abs(a - b) / 2 + 2 * UNIT * (np.abs(a) + np.abs(b)), np.inf)
        return Enclosures(mid, _up(rad))

    def not_below(self, floor: float) -> Enclosures:
        """What is known to be at least ``floor`` for another reason."""
        low, high = np.maximum(self.lower, floor), np.maximum(self.upper, floor)
        mid = (low + high) / 2
        return Enclosures(mid, _up((high - low) / 2 + UNIT * np.abs(mid)))

    def sum(self, axis: int | tuple[int, ...]) -> Enclosures:
        """Sum along axes."""
        mid = self.mid.sum(axis=axis)
        count = max(1, self.mid.size // max(1, mid.size))
        size = np.abs(self.mid).sum(axis=axis)
        return Enclosures(
            mid, _up(self.rad.sum(axis=axis) * (1 + count * UNIT) + count * UNIT * size)
        )

    def __matmul__(self, other: Enclosures) -> Enclosures:
        """Matrix product."""
        m = self.mid.shape[-1]
        a0, b0 = np.abs(self.mid), np.abs(other.mid)
        rad = (a0 + self.rad) @ other.rad + self.rad @ b0 + (m + 2) * UNIT * (a0 @ b0)
        return Enclosures(self.mid @ other.mid, _up(rad * (1 + (m + 4) * UNIT)))


def log_below(x: Floats) -> Floats:
    """A lower bound of log of a lower bound; minus infinity where it is not positive.

    The logarithm of numpy errs by less than 4 units in the last place (its own tests' bound).
    """
    with np.errstate(all="ignore"):
        value = np.log(x)
        found = value - 8 * UNIT * np.abs(value) - TINY
    return np.where(x > 0, found, -np.inf)


def stacked(parts: list[list[Enclosures]]) -> Enclosures:
    """A table of enclosures as matrices in the last two axes."""
    return Enclosures(
        np.stack([np.stack([x.mid for x in row], axis=-1) for row in parts], axis=-2),
        np.stack([np.stack([x.rad for x in row], axis=-1) for row in parts], axis=-2),
    )


def _enclosed(x: Enclosures | float) -> Enclosures:
    return x if isinstance(x, Enclosures) else Enclosures.exact(np.asarray(x, dtype=np.float64))


def _up(rad: Floats) -> Floats:
    """A radius with what its own few operations may have lost."""
    return np.asarray(rad * (1 + 16 * UNIT) + TINY)
