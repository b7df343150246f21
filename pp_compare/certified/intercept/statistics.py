"""Exact sufficient statistics of a random-intercept model.

The likelihood of ``y = X beta + u[group] + e`` depends on the data through the cluster sizes, the
sum over each cluster of the columns of ``D = [X, y]``, and the total crossproduct ``D'D``. All are
kept as integers with one rational unit a column, so that nothing after this module rounds the data.

A float64 is an integer times a power of two. A column is cut into limbs of 20 bits; the product of
two limbs is below 2**40 in size, so a dot product over 2**13 rows stays within 2**53, where every
float64 operation on integers is exact in any order of summation. That lets BLAS do exact
arithmetic, as in the error-free transformation of Ozaki, Ogita, Oishi & Rump (2012), Numerical
Algorithms 59, 95-118.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
from flint import fmpq, fmpz, fmpz_mat
from numpy.typing import ArrayLike, NDArray

from pp_compare.errors import DataError

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]
Rational = Any  # int, float, fractions.Fraction, flint.fmpz or flint.fmpq

LIMB_BITS = 20
BLOCK_ROWS = 2**13  # 2 * LIMB_BITS + 13 = 53, the bits of a float64


class SizeClass(NamedTuple):
    """The clusters of one size, as far as the likelihood can tell them apart."""

    size: int
    count: int  # type: ignore[assignment]  # not tuple.count: a record is never searched
    crossproduct: fmpz_mat  # sum over these clusters of s s', s the column sums


@dataclass(frozen=True, eq=False)
class InterceptStatistics:
    """Sufficient statistics of ``N`` rows in ``J`` clusters, exact.

    Columns are those of ``X`` (``p`` of them) and then ``y``; column ``k`` of the data is
    ``unit[k]`` times the integers that the matrices are made of.

    Attributes
    ----------
    cluster_size : tuple of int, (J,)
        Rows in each cluster.
    cluster_sum : fmpz_mat, (J, p + 1)
        Column sums by cluster, in units.
    crossproduct : fmpz_mat, (p + 1, p + 1)
        Total crossproducts ``D'D``, in products of units.
    unit : tuple of fmpq, (p + 1,)
        What the integer 1 stands for in each column.
    """

    cluster_size: tuple[int, ...]
    cluster_sum: fmpz_mat
    crossproduct: fmpz_mat
    unit: tuple[fmpq, ...]

    @classmethod
    def from_arrays(cls, y: ArrayLike, X: ArrayLike, group: ArrayLike) -> Self:
        """Sum up float64 data, each number taken as the rational it stands for.

        Parameters
        ----------
        y : array, (n,)
            Response.
        X : array, (n, p)
            Fixed-effects design.
        group : array of int, (n,)
            Cluster codes, ``0 .. J-1``, each of which occurs.

        Raises
        ------
        DataError
            If shapes differ, a number is not finite, or a cluster code has no row.
        """
        columns = _columns(np.asarray(y, dtype=np.float64), np.asarray(X, dtype=np.float64))
        codes, sizes = _codes(group, len(columns[0]))
        tops = [math.frexp(_largest(column))[1] for column in columns]
        gram: dict[tuple[_Slot, ...], NDArray[Any]] = {}
        sums: dict[_Slot, Floats] = defaultdict(lambda: np.zeros(len(sizes)))
        for start in range(0, len(codes), BLOCK_ROWS):
            rows = slice(start, start + BLOCK_ROWS)
            slots, limbs = _block(columns, tops, rows)
            for slot, limb in zip(slots, limbs, strict=True):
                np.add.at(sums[slot], codes[rows], limb)  # exact up to 2**33 rows a cluster
            product = (limbs @ limbs.T).astype(np.int64).astype(object)
            gram[slots] = gram[slots] + product if slots in gram else product
        last = [max((s.limb for s in sums if s.column == k), default=0) for k in range(len(tops))]
        return cls(
            cluster_size=tuple(sizes.tolist()),
            cluster_sum=_joined_sums(sums, last, len(sizes)),
            crossproduct=_joined_gram(gram, last),
            unit=tuple(
                _power_of_two(top - LIMB_BITS * (i + 1)) for top, i in zip(tops, last, strict=True)
            ),
        )

    @classmethod
    def from_rationals(
        cls, y: Sequence[Rational], X: Sequence[Sequence[Rational]] | Floats, group: ArrayLike
    ) -> Self:
        """Sum up rational data: the truth of the decimals where no double holds them.

        Parameters
        ----------
        y : sequence of int, float, Fraction, fmpz or fmpq, (n,)
            Response.
        X : nested sequence of the same, or array, (n, p)
            Fixed-effects design.
        group : array of int, (n,)
            Cluster codes, ``0 .. J-1``, each of which occurs.

        Raises
        ------
        DataError
            If shapes differ or a cluster code has no row.
        """
        rows = [[_fraction(x) for x in row] for row in X]
        if len({len(row) for row in rows}) > 1 or len(rows) != len(y):
            raise DataError(f"X has {len(rows)} rows for {len(y)} responses, or rows of two widths")
        codes, sizes = _codes(group, len(y))
        columns = [*zip(*rows, strict=True), [_fraction(v) for v in y]]
        denominators = [math.lcm(*(x.denominator for x in column)) for column in columns]
        integers = [
            [x.numerator * (d // x.denominator) for x in column]
            for column, d in zip(columns, denominators, strict=True)
        ]
        data = fmpz_mat([list(row) for row in zip(*integers, strict=True)])
        sums = [[0] * len(columns) for _ in sizes]
        for k, column in enumerate(integers):
            for j, x in zip(codes.tolist(), column, strict=True):
                sums[j][k] += x
        return cls(
            cluster_size=tuple(sizes.tolist()),
            cluster_sum=fmpz_mat(sums),
            crossproduct=data.transpose() * data,
            unit=tuple(fmpq(1, d) for d in denominators),
        )

    @cached_property
    def n_obs(self) -> int:
        """Rows."""
        return sum(self.cluster_size)

    @property
    def n_fixed(self) -> int:
        """Columns of ``X``."""
        return len(self.unit) - 1

    @property
    def n_clusters(self) -> int:
        """Clusters."""
        return len(self.cluster_size)

    @cached_property
    def by_size(self) -> tuple[SizeClass, ...]:
        """Clusters of one size together, smallest size first."""
        members: dict[int, list[list[fmpz]]] = defaultdict(list)
        for size, row in zip(self.cluster_size, self.cluster_sum.table(), strict=True):
            members[size].append(row)
        classes = []
        for size in sorted(members):
            sums = fmpz_mat(members[size])
            classes.append(SizeClass(size, len(members[size]), sums.transpose() * sums))
        return tuple(classes)

    @cached_property
    def within(self) -> tuple[fmpz_mat, int]:
        """Within-cluster crossproducts ``D'D - sum s s'/n`` as ``(matrix, common denominator)``."""
        denominator = math.lcm(*(c.size for c in self.by_size))
        matrix = self.crossproduct * fmpz(denominator)
        for c in self.by_size:
            matrix -= c.crossproduct * fmpz(denominator // c.size)
        return matrix, denominator


class _Slot(NamedTuple):
    """The limb of one column: worth ``2**(top - LIMB_BITS * (limb + 1))`` a unit."""

    column: int
    limb: int


def _columns(y: Floats, X: Floats) -> list[Floats]:
    """Check shapes and return the columns of ``[X, y]``."""
    if y.ndim != 1 or X.ndim != 2 or len(X) != len(y) or len(y) == 0:
        raise DataError(f"y of shape {y.shape} and X of shape {X.shape}: (n,) and (n, p), n > 0")
    columns = [*X.T, y]
    for k, column in enumerate(columns):
        if not np.isfinite(column).all():
            row = int(np.flatnonzero(~np.isfinite(column))[0])
            name = "y" if k == len(columns) - 1 else f"column {k} of X"
            raise DataError(f"{name} is {column[row]} in row {row}: only finite numbers have a sum")
    return columns


def _codes(group: ArrayLike, n: int) -> tuple[Codes, NDArray[np.intp]]:
    """Check cluster codes and return them with the cluster sizes."""
    codes = np.asarray(group)
    if codes.shape != (n,) or not np.issubdtype(codes.dtype, np.integer) or codes.min() < 0:
        raise DataError(f"group must hold {n} integer codes from 0, one a row")
    codes = codes.astype(np.intp, copy=False)
    sizes = np.bincount(codes)
    if not sizes.all():
        empty = int(np.flatnonzero(sizes == 0)[0])
        raise DataError(f"no row has cluster code {empty} of 0..{len(sizes) - 1}: leave none out")
    return codes, sizes


def _largest(column: Floats) -> float:
    return max(float(column.max()), -float(column.min()))


def _scaled(x: Floats, exponent: int) -> Floats:
    """``x * 2**exponent``; ldexp is exact over the whole range but five times slower."""
    return x * 2.0**exponent if abs(exponent) <= 1000 else np.ldexp(x, exponent)


def _limbs(x: Floats, top: int) -> Iterator[tuple[int, Floats]]:
    """Cut ``|x| < 2**top`` into signed limbs, from the highest down to nothing left.

    Truncation keeps the sign and leaves a remainder that is a multiple of the last bit of ``x``
    and smaller than ``x``, so the subtraction is exact. Limbs that are zero in every row are
    skipped: a column of wide range costs the limbs that it fills, not those it spans.
    """
    while (largest := _largest(x)) > 0.0:
        limb = (top - math.frexp(largest)[1]) // LIMB_BITS
        exponent = top - LIMB_BITS * (limb + 1)
        digits = np.trunc(_scaled(x, -exponent))
        x = x - _scaled(digits, exponent)
        yield limb, digits


def _block(columns: list[Floats], tops: list[int], rows: slice) -> tuple[tuple[_Slot, ...], Floats]:
    """Limbs of a block of rows, as a matrix with one row a slot."""
    slots, digits = [], []
    for k, (column, top) in enumerate(zip(columns, tops, strict=True)):
        for limb, x in _limbs(column[rows], top):
            slots.append(_Slot(k, limb))
            digits.append(x)
    width = len(columns[0][rows])
    return tuple(slots), np.array(digits).reshape(len(digits), width)


def _joined_sums(sums: dict[_Slot, Floats], last: list[int], n_clusters: int) -> fmpz_mat:
    """Put limbs together again, in units of the lowest limb of each column."""
    joined = np.zeros((n_clusters, len(last)), dtype=object)
    for slot, x in sums.items():
        shift = LIMB_BITS * (last[slot.column] - slot.limb)
        joined[:, slot.column] += x.astype(np.int64).astype(object) << shift
    return fmpz_mat(n_clusters, len(last), joined.ravel().tolist())


def _joined_gram(gram: dict[tuple[_Slot, ...], NDArray[Any]], last: list[int]) -> fmpz_mat:
    joined = [[0] * len(last) for _ in last]
    for slots, product in gram.items():
        shifts = [LIMB_BITS * (last[s.column] - s.limb) for s in slots]
        for a, row, i in zip(slots, product.tolist(), shifts, strict=True):
            for b, x, j in zip(slots, row, shifts, strict=True):
                joined[a.column][b.column] += x << (i + j)
    return fmpz_mat(joined)


def _power_of_two(exponent: int) -> fmpq:
    return fmpq(2**exponent) if exponent >= 0 else fmpq(1, 2**-exponent)


def _fraction(x: Rational) -> Fraction:
    if isinstance(x, fmpq):
        return Fraction(int(x.p), int(x.q))
    return Fraction(int(x) if isinstance(x, fmpz) else x)
