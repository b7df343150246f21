"""Exact cross-products of a linear mixed model, split into independent components.

A criterion of a mixed model sees its data through Z'Z, Z'X, Z'y, X'X, X'y and y'y alone.
A double is an integer times a power of two, so these sums are formed in integer arithmetic and
hold no rounding error at all. Two levels that occur in one row belong to the same component;
across components the marginal covariance is zero, so a model with one grouping factor becomes
many small systems and a crossed one stays whole, with no case distinction anywhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from flint import arb, arb_mat, ctx, fmpz_mat
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pp_compare.engines.certified.krawczyk import NotProvedError, cholesky
from pp_compare.errors import DataError

Floats = NDArray[np.float64]
Integers = NDArray[Any]


@dataclass(frozen=True)
class RandomBlock:
    """One random term, ``(z1 + ... + zq | group)``.

    Attributes
    ----------
    group : (n,) integer array
        The level of each row, 0 to m-1.
    Z : (n, q) float64 array
        The columns whose coefficients vary over the levels, with one q x q covariance.
    """

    group: NDArray[np.intp]
    Z: Floats

    @property
    def size(self) -> int:
        """q, the number of coefficients of a level."""
        return int(self.Z.shape[1])

    @property
    def levels(self) -> int:
        """m, the number of levels."""
        return int(self.group.max()) + 1


@dataclass(frozen=True)
class Component:
    """Levels that are tied to each other through rows, and their cross-products.

    ``levels`` holds (block, level) pairs; their coefficients, in this order, index the r rows of
    ``zz`` (r, r), ``zx`` (r, p) and ``zy`` (r, 1).
    """

    levels: tuple[tuple[int, int], ...]
    zz: arb_mat
    zx: arb_mat
    zy: arb_mat


@dataclass(frozen=True)
class Stratum:
    """Components with the same sequence of blocks, hence with the same covariance matrix."""

    blocks: tuple[int, ...]
    components: tuple[Component, ...]


@dataclass(frozen=True)
class CrossProducts:
    """A mixed model in the coordinates in which it is well conditioned.

    Fixed effects are expressed in the columns X W, the response as (y - X b) / 2^e, and column
    j of a random term as z_j / 2^(s_j): b and W come from ordinary least squares, rounded, so
    that X'X is nearly I and y is nearly its OLS residual. The change of coordinates is exact.
    """

    n: int
    sizes: tuple[int, ...]
    levels: tuple[int, ...]
    strata: tuple[Stratum, ...]
    xx: arb_mat
    xy: arb_mat
    yy: arb
    basis: arb_mat
    shift: arb_mat
    y_exponent: int
    z_exponents: tuple[tuple[int, ...], ...]

    @property
    def p(self) -> int:
        """The number of fixed effects."""
        return self.basis.nrows()

    def offsets(self, stratum: Stratum) -> list[int]:
        """Where each level of a component begins among its coefficients."""
        widths = [self.sizes[block] for block in stratum.blocks]
        return [sum(widths[:i]) for i in range(len(widths))]


@dataclass(frozen=True)
class _Column:
    """A column of doubles as integers times 2^exponent."""

    integers: Integers
    exponent: int
    largest: int


def cross_products(
    y: Floats, X: Floats, blocks: Sequence[RandomBlock], *, bits: int = 512
) -> CrossProducts:
    """Form the exact cross-products of a model and move them to good coordinates.

    Parameters
    ----------
    y : (n,) float64 array
    X : (n, p) float64 array
        Linearly independent columns; p may be 0.
    blocks : sequence of RandomBlock
        One per random term; terms on the same factor are uncorrelated.
    bits : int
        Precision of the change of coordinates; raised by itself where X needs more.

    Raises
    ------
    DataError
        If shapes disagree, a value is not finite, X has linearly dependent columns (decided
        exactly), or y is an exact linear combination of the columns of X.
    """
    _check(y, X, blocks)
    columns = [_column(x) for x in np.column_stack([X, y]).T]
    gram = [[_total(a, b) for b in columns] for a in columns]
    p = X.shape[1]
    if p and fmpz_mat([row[:p] for row in gram[:p]]).rank() < p:
        raise DataError(
            f"The {p} columns of X are linearly dependent in exact arithmetic; "
            "drop the redundant ones."
        )
    while True:
        with ctx.workprec(bits):
            try:
                return _precondition(_Sums(columns, gram), blocks, len(y))
            except NotProvedError:
                # The columns are independent, so enough precision shows it.
                bits *= 2


@dataclass(frozen=True)
class _Sums:
    """Integer columns of [X y] and their exact inner products, exponents left out."""

    columns: list[_Column]
    gram: list[list[int]]

    def matrix(self) -> arb_mat:
        exponents = [c.exponent for c in self.columns]
        return arb_mat(
            [
                [arb((value, a + b)) for value, b in zip(row, exponents, strict=True)]
                for row, a in zip(self.gram, exponents, strict=True)
            ]
        )


def _precondition(sums: _Sums, blocks: Sequence[RandomBlock], n: int) -> CrossProducts:
    full = sums.matrix()
    p = full.nrows() - 1
    xx, xy, yy = _part(full, 0, p, 0, p), _part(full, 0, p, p, 1), full[p, p]
    basis = cholesky(xx).inv().transpose().mid()
    shift = (basis * (basis.transpose() * xy)).mid()
    gap = xy - xx * shift
    rss = yy - (shift.transpose() * (xy + gap)).trace()
    if not rss > 0:
        _require_residual(sums, p)
        raise NotProvedError("the residual sum of squares is not yet certainly positive")
    exponent = round(float((rss / n).log() / arb(4).log()))
    z_exponents = tuple(tuple(_binary_scale(z) for z in b.Z.T) for b in blocks)
    unit = arb(2) ** -exponent
    return CrossProducts(
        n=n,
        sizes=tuple(b.size for b in blocks),
        levels=tuple(b.levels for b in blocks),
        strata=_strata(sums.columns, blocks, z_exponents, basis, shift, unit),
        xx=basis.transpose() * xx * basis,
        xy=basis.transpose() * gap * unit,
        yy=rss * unit**2,
        basis=basis,
        shift=shift,
        y_exponent=exponent,
        z_exponents=z_exponents,
    )


def _require_residual(sums: _Sums, p: int) -> None:
    """Raise DataError if y lies exactly in the column space of X."""
    if fmpz_mat(sums.gram).rank() <= p:
        raise DataError(
            "y is an exact linear combination of the columns of X: the residual variance is 0 "
            "and the likelihood is unbounded."
        )


def _strata(
    fixed: list[_Column],
    blocks: Sequence[RandomBlock],
    z_exponents: tuple[tuple[int, ...], ...],
    basis: arb_mat,
    shift: arb_mat,
    unit: arb,
) -> tuple[Stratum, ...]:
    """Sum over the rows of each pair of levels and hand every component its matrices."""
    layout = _Layout.of(blocks)
    random = [
        [_column(np.ldexp(z, -s)) for z, s in zip(b.Z.T, e, strict=True)]
        for b, e in zip(blocks, z_exponents, strict=True)
    ]
    zz = [arb_mat(r, r) for r in layout.widths]
    zf = [arb_mat(r, len(fixed)) for r in layout.widths]
    for a, block in enumerate(blocks):
        _add_fixed(zf, layout, a, block, random[a], fixed)
        for b in range(a, len(blocks)):
            _add_random(zz, layout, (a, b), (block, blocks[b]), (random[a], random[b]))
    p = len(fixed) - 1
    grouped: dict[tuple[int, ...], list[Component]] = {}
    for levels, s, f in zip(layout.members, zz, zf, strict=True):
        zx, zy = _part(f, 0, f.nrows(), 0, p), _part(f, 0, f.nrows(), p, 1)
        component = Component(levels, s, zx * basis, (zy - zx * shift) * unit)
        grouped.setdefault(tuple(b for b, _ in levels), []).append(component)
    return tuple(Stratum(key, tuple(parts)) for key, parts in sorted(grouped.items()))


@dataclass(frozen=True)
class _Layout:
    """Which component a level belongs to, and where its coefficients begin in it."""

    component: list[list[int]]
    offset: list[list[int]]
    members: list[tuple[tuple[int, int], ...]]
    widths: list[int]

    @staticmethod
    def of(blocks: Sequence[RandomBlock]) -> _Layout:
        base = np.concatenate([[0], np.cumsum([b.levels for b in blocks])])
        nodes = [b.group + start for b, start in zip(blocks, base, strict=False)]
        links = np.column_stack([np.column_stack(pair).T for pair in pairwise(nodes)] or [[[], []]])
        graph = coo_array((np.ones(links.shape[1]), links.astype(int)), shape=(base[-1], base[-1]))
        count, label = connected_components(graph, directed=False)
        members: list[list[tuple[int, int]]] = [[] for _ in range(count)]
        widths = [0] * count
        component, offset = [], []
        for b, block in enumerate(blocks):
            component.append([int(k) for k in label[base[b] : base[b + 1]]])
            offset.append([0] * block.levels)
            for level, k in enumerate(component[b]):
                members[k].append((b, level))
                offset[b][level] = widths[k]
                widths[k] += block.size
        return _Layout(component, offset, [tuple(m) for m in members], widths)


def _add_fixed(
    target: list[arb_mat],
    layout: _Layout,
    a: int,
    block: RandomBlock,
    random: list[_Column],
    fixed: list[_Column],
) -> None:
    """Add Z'[X y] of one random term."""
    cells = _Cells.of(block.group)
    for j, z in enumerate(random):
        for k, x in enumerate(fixed):
            for level, value in cells.sums(z, x):
                row = layout.offset[a][level] + j
                target[layout.component[a][level]][row, k] = value


def _add_random(
    target: list[arb_mat],
    layout: _Layout,
    pair: tuple[int, int],
    blocks: tuple[RandomBlock, RandomBlock],
    columns: tuple[list[_Column], list[_Column]],
) -> None:
    """Add Z_a'Z_b of two random terms, or of one with itself."""
    a, b = pair
    width = blocks[1].levels
    cells = _Cells.of(blocks[0].group * width + blocks[1].group)
    for j, za in enumerate(columns[0]):
        for k, zb in enumerate(columns[1]):
            for cell, value in cells.sums(za, zb):
                first, second = divmod(cell, width)
                if a == b and first != second:
                    continue
                matrix = target[layout.component[a][first]]
                row, column = layout.offset[a][first] + j, layout.offset[b][second] + k
                matrix[row, column] = value
                matrix[column, row] = value


@dataclass(frozen=True)
class _Cells:
    """Rows sorted by cell, ready for sums over each cell."""

    order: Integers
    starts: Integers
    names: list[int]

    @staticmethod
    def of(cell: Integers) -> _Cells:
        order = np.argsort(cell, kind="stable")
        names, starts = np.unique(cell[order], return_index=True)
        return _Cells(order, starts, [int(c) for c in names])

    def sums(self, a: _Column, b: _Column) -> list[tuple[int, arb]]:
        """Exact inner product of two columns over the rows of every cell."""
        products = _products(a, b)[self.order]
        totals = np.add.reduceat(products, self.starts)
        exponent = a.exponent + b.exponent
        return [(c, arb((int(t), exponent))) for c, t in zip(self.names, totals, strict=True)]


def _total(a: _Column, b: _Column) -> int:
    return int(_products(a, b).sum())


def _products(a: _Column, b: _Column) -> Integers:
    """Elementwise products whose partial sums cannot overflow."""
    if a.largest * b.largest * len(a.integers) < 1 << 62:
        return a.integers.astype(np.int64) * b.integers.astype(np.int64)
    return a.integers.astype(object) * b.integers.astype(object)


def _column(x: Floats) -> _Column:
    """Write doubles as integers times one power of two, as small as they can be."""
    fraction, power = np.frexp(x)
    mantissa = np.ldexp(fraction, 53).astype(np.int64)
    if not mantissa.any():
        return _Column(mantissa, 0, 0)
    low = np.where(mantissa == 0, 1, mantissa & -mantissa)
    mantissa //= low
    power = np.where(mantissa == 0, np.iinfo(np.int32).max, power - 53 + np.log2(low).astype(int))
    exponent = int(power.min())
    shift = np.where(mantissa == 0, 0, power - exponent)
    wide = mantissa.astype(object) << shift.astype(object)
    largest = int(np.abs(wide).max())
    return _Column(wide.astype(np.int64) if largest < 1 << 62 else wide, exponent, largest)


def _binary_scale(z: Floats) -> int:
    """s with z / 2^s of root mean square near one."""
    rms = float(np.sqrt(np.mean((z / np.abs(z).max()) ** 2)) * np.abs(z).max()) if z.any() else 1.0
    return round(np.log2(rms))


def _part(a: arb_mat, row: int, rows: int, column: int, columns: int) -> arb_mat:
    entries = [a[i, j] for i in range(row, row + rows) for j in range(column, column + columns)]
    return arb_mat(rows, columns, entries)


def _check(y: Floats, X: Floats, blocks: Sequence[RandomBlock]) -> None:
    n = len(y)
    if X.ndim != 2 or X.shape[0] != n or n <= X.shape[1]:
        raise DataError(
            f"X is {X.shape}, y has {n} rows: need as many rows and more rows than columns."
        )
    if not blocks:
        raise DataError("A mixed model needs at least one random term; none was given.")
    for i, block in enumerate(blocks):
        if block.group.shape != (n,) or block.Z.ndim != 2 or block.Z.shape[0] != n:
            raise DataError(
                f"Random term {i + 1} has group {block.group.shape} and Z {block.Z.shape}; y has {n} rows."
            )
        if block.group.min() < 0:
            raise DataError(
                f"Random term {i + 1} has the group code {block.group.min()}; codes start at 0."
            )
    if not all(np.isfinite(a).all() for a in (y, X, *(b.Z for b in blocks))):
        raise DataError("y, X or Z holds a NaN or an infinity; drop those rows first.")
