"""Exact cross-products of a linear mixed model, split into independent components.

A criterion of a mixed model sees its data through Z'Z, Z'X, Z'y, X'X, X'y and y'y alone; these
hold no rounding error here. Across components (see ``blocks``) the marginal covariance is zero, so
a model with one grouping factor becomes many small systems and a crossed one stays whole, with no
case distinction anywhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
from flint import arb, arb_mat, ctx, fmpz_mat
from numpy.typing import NDArray

from pp_compare.certified.general.blocks import Layout, Lead, RandomBlock
from pp_compare.certified.general.integer_columns import (
    Cells,
    IntegerColumn,
    Integers,
    inner_product,
)
from pp_compare.certified.general.krawczyk import NotProvedError, cholesky
from pp_compare.errors import DataError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Component:
    """Levels that are tied to each other through rows, and their cross-products.

    ``levels`` holds (block, level) pairs; their coefficients, in this order, index the r rows of
    ``zz`` (r, r) and ``zf`` = Z'[X y] (r, p + 1); ``sizes`` has q of each random term.
    """

    levels: tuple[tuple[int, int], ...]
    zz: arb_mat
    zf: arb_mat
    sizes: tuple[int, ...]

    @cached_property
    def split(self) -> Split:
        """Its largest random term apart from the others."""
        return Split.of(self)


@dataclass(frozen=True)
class Split:
    """A component as the levels A of its largest term, and all others, B.

    Attributes
    ----------
    term, start : int
        The term of A and its first coefficient.
    own : list of (q, q) arb_mat
        Z_l'Z_l of each level of A.
    levels : list of (q, b + p + 1) arb_mat
        Z_l'[Z_B X y] of each; ``sides`` are all of them, ``turned`` (b + p + 1, a) its transpose.
    rest, rest_f : (b, b) and (b, p + 1) arb_mat
        Z_B'Z_B and Z_B'[X y].
    rest_spans : list of (first coefficient, term, q)
        The levels of B.
    fixed : int
        p + 1.
    unit : (q, q) arb_mat
    """

    term: int
    start: int
    own: list[arb_mat]
    levels: list[arb_mat]
    sides: arb_mat
    turned: arb_mat
    rest: arb_mat
    rest_f: arb_mat
    rest_spans: list[tuple[int, int, int]]
    fixed: int
    unit: arb_mat

    @staticmethod
    def of(component: Component) -> Split:
        """Cut up the cross-products."""
        terms, sizes = [term for term, _ in component.levels], component.sizes
        lead = Lead.of(terms, sizes)
        zz, zf = component.zz.table(), component.zf.table()
        rest = [k for k in range(len(zz)) if not lead.start <= k < lead.stop]
        own, levels = [], []
        for at in range(lead.start, lead.stop, lead.width):
            level = range(at, at + lead.width)
            own.append(arb_mat([[zz[i][j] for j in level] for i in level]))
            levels.append(arb_mat([[zz[i][j] for j in rest] + zf[i] for i in level]))
        sides = arb_mat([row for level in levels for row in level.table()])
        spans, at = [], 0
        for term in (t for t in terms if t != lead.term):
            spans.append((at, term, sizes[term]))
            at += sizes[term]
        return Split(
            term=lead.term,
            start=lead.start,
            own=own,
            levels=levels,
            sides=sides,
            turned=sides.transpose(),
            rest=arb_mat([[zz[i][j] for j in rest] for i in rest]),
            rest_f=arb_mat([zf[i] for i in rest]),
            rest_spans=spans,
            fixed=component.zf.ncols(),
            unit=arb_mat([[int(i == j) for j in range(lead.width)] for i in range(lead.width)]),
        )

    @property
    def rest_terms(self) -> list[int]:
        """The term of each level of B."""
        return [term for _, term, _ in self.rest_spans]


@dataclass(frozen=True)
class Stratum:
    """Components with the same sequence of blocks, hence with the same covariance matrix."""

    blocks: tuple[int, ...]
    components: tuple[Component, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of coefficients of a level, by random term."""
        return self.components[0].sizes

    @cached_property
    def starts(self) -> dict[int, list[int]]:
        """Where the levels of each term begin among the coefficients of a component."""
        found: dict[int, list[int]] = {}
        at = 0
        for term in self.blocks:
            found.setdefault(term, []).append(at)
            at += self.sizes[term]
        return found

    @cached_property
    def rows(self) -> dict[int, arb_mat]:
        """Z'[X y] of all components, as `long` has it."""
        return self.long([c.zf for c in self.components])

    def long(self, tables: Sequence[arb_mat]) -> dict[int, arb_mat]:
        """Matrices (r, f), one a component, as one (q f, levels) of each term: a level a column."""
        f = tables[0].ncols()
        flat = list(chain.from_iterable(table.entries() for table in tables))
        size = tables[0].nrows() * f
        return {
            term: arb_mat(
                [
                    list(chain.from_iterable(flat[start * f + x :: size] for start in starts))
                    for x in range(self.sizes[term] * f)
                ]
            )
            for term, starts in self.starts.items()
        }


@dataclass(frozen=True)
class Coordinates:
    """The exact change of coordinates in which a model is well conditioned.

    Fixed effects are expressed in the columns X W, the response as (y - X b) / 2^e, and column j
    of a random term as z_j / 2^(s_j): W = ``basis`` (p, p), upper triangular, and b = ``shift``
    (p, 1) are those of ordinary least squares, rounded, so that X'X is nearly I and y nearly its
    OLS residual; e = ``y_exponent`` and s = ``z_exponents`` bring y and Z near unit size.
    """

    basis: arb_mat
    shift: arb_mat
    y_exponent: int
    z_exponents: tuple[tuple[int, ...], ...]

    @property
    def of_fixed(self) -> arb_mat:
        """What [X y] is multiplied by, (p + 1, p + 1)."""
        unit, p = arb(2) ** -self.y_exponent, self.basis.nrows()
        shift = (self.shift * unit).entries()
        rows = [[*row, -b] for row, b in zip(self.basis.table(), shift, strict=True)]
        return arb_mat([*rows, [arb(0)] * p + [unit]])


@dataclass(frozen=True)
class CrossProducts:
    """A mixed model of n rows as its cross-products in ``coordinates``.

    ``sizes`` and ``levels`` are q and m of each random term; ``xx`` (p, p), ``xy`` (p, 1), ``yy``;
    ``log_weights`` is the sum of the logarithms of the prior weights, 0 without any.
    """

    n: int
    sizes: tuple[int, ...]
    levels: tuple[int, ...]
    strata: tuple[Stratum, ...]
    xx: arb_mat
    xy: arb_mat
    yy: arb
    coordinates: Coordinates
    log_weights: arb

    @property
    def p(self) -> int:
        """The number of fixed effects."""
        return self.xx.nrows()

    def offsets(self, stratum: Stratum) -> list[int]:
        """Where each level of a component begins among its coefficients."""
        widths = [self.sizes[block] for block in stratum.blocks]
        return [sum(widths[:i]) for i in range(len(widths))]


def cross_products(
    y: Floats,
    X: Floats,
    blocks: Sequence[RandomBlock],
    *,
    weights: Floats | None = None,
    bits: int = 512,
) -> CrossProducts:
    """Form the exact cross-products of a model and move them to good coordinates.

    Parameters
    ----------
    y : (n,) float64 array
    X : (n, p) float64 array
        Linearly independent columns; p may be 0.
    blocks : sequence of RandomBlock
        One per random term; terms on the same factor are uncorrelated.
    weights : (n,) float64 array, optional
        Prior weights, positive: the products are Z'WZ, Z'WX and so on, which are those of rows
        scaled by the roots of the weights, without the rounding of a root.
    bits : int
        Precision of the change of coordinates; raised by itself where X needs more.

    Raises
    ------
    DataError
        If shapes disagree, a value is not finite, X has linearly dependent columns (decided
        exactly), or y is an exact linear combination of the columns of X.
    """
    _check(y, X, blocks)
    heavy = None if weights is None else IntegerColumn.of(weights)
    fixed = _FixedSums.of(y, X, heavy)
    fixed.require_identified()
    while True:
        try:
            with ctx.workprec(bits):
                return _in_good_coordinates(fixed, blocks, len(y), weights)
        except NotProvedError:
            # The columns are independent in exact arithmetic, so enough precision shows it.
            bits *= 2


@dataclass(frozen=True)
class _FixedSums:
    """Integer columns of [X y], and the inner products of their integers, weighted."""

    columns: list[IntegerColumn]
    gram: list[list[int]]
    weights: IntegerColumn | None

    @staticmethod
    def of(y: Floats, X: Floats, weights: IntegerColumn | None) -> _FixedSums:
        columns = [IntegerColumn.of(x) for x in np.column_stack([X, y]).T]
        left = [_weighted(column, weights) for column in columns]
        gram = [[inner_product(a, b) for b in columns] for a in left]
        return _FixedSums(columns, gram, weights)

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


def _in_good_coordinates(
    fixed: _FixedSums, blocks: Sequence[RandomBlock], n: int, weights: Floats | None
) -> CrossProducts:
    full = fixed.matrix()
    p = full.nrows() - 1
    xx, xy, yy = part(full, 0, p, 0, p), part(full, 0, p, p, 1), full[p, p]
    basis = cholesky(xx).inv().transpose().mid()
    shift = (basis * (basis.transpose() * xy)).mid()
    gap = xy - xx * shift
    rss = yy - (shift.transpose() * (xy + gap)).trace()
    if not rss > 0:
        raise NotProvedError("the residual sum of squares is not yet certainly positive")
    coordinates = Coordinates(
        basis=basis,
        shift=shift,
        y_exponent=round(float((rss / n).log() / arb(4).log())),
        z_exponents=tuple(tuple(_binary_size(z) for z in block.Z.T) for block in blocks),
    )
    unit = arb(2) ** -coordinates.y_exponent
    return CrossProducts(
        n=n,
        sizes=tuple(block.size for block in blocks),
        levels=tuple(block.levels for block in blocks),
        strata=_strata(fixed, blocks, coordinates),
        xx=basis.transpose() * xx * basis,
        xy=basis.transpose() * gap * unit,
        yy=rss * unit**2,
        coordinates=coordinates,
        log_weights=sum((arb(w).log() for w in (weights if weights is not None else ())), arb(0)),
    )


def _strata(
    fixed: _FixedSums, blocks: Sequence[RandomBlock], to: Coordinates
) -> tuple[Stratum, ...]:
    """Sum over rows, and sort the components by the blocks of their levels."""
    layout = Layout.of(blocks)
    grouped: dict[tuple[int, ...], list[int]] = {}
    for k, levels in enumerate(layout.members):
        grouped.setdefault(tuple(block for block, _ in levels), []).append(k)
    places = [_Place.of(chosen, layout) for _, chosen in sorted(grouped.items())]
    random = _Products.empty(places, None)
    both = _Products.empty(places, len(fixed.columns))
    columns = [
        [IntegerColumn.of(z).divided(s) for z, s in zip(block.Z.T, powers, strict=True)]
        for block, powers in zip(blocks, to.z_exponents, strict=True)
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
    return tuple(
        _stratum(key, place, layout, sizes, (zz, zf * to.of_fixed)) for key, place, zz, zf in found
    )


def _stratum(
    key: tuple[int, ...],
    place: _Place,
    layout: Layout,
    sizes: tuple[int, ...],
    products: tuple[arb_mat, arb_mat],
) -> Stratum:
    """Cut the rows of all components, one above the other, into components."""
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


def _exact(integers: NDArray[np.object_], exponents: NDArray[np.int64]) -> arb_mat:
    """Integers times powers of two."""
    lowest = int(exponents.min())
    shifted = integers << (exponents - lowest).astype(object)
    rows, columns = integers.shape
    whole = arb_mat(fmpz_mat(rows, columns, shifted.ravel().tolist()))
    return whole * arb((1, lowest))


def _binary_size(z: Floats) -> int:
    """Return s such that z / 2^s has a root mean square near one."""
    if not z.any():
        return 0
    largest = np.abs(z).max()
    return round(float(np.log2(largest) + np.log2(np.mean((z / largest) ** 2)) / 2))


def part(a: arb_mat, row: int, rows: int, column: int, columns: int) -> arb_mat:
    """A rectangle of a matrix."""
    entries = [a[i, j] for i in range(row, row + rows) for j in range(column, column + columns)]
    return arb_mat(rows, columns, entries)


def _check(y: Floats, X: Floats, blocks: Sequence[RandomBlock]) -> None:
    n = len(y)
    if X.ndim != 2 or X.shape[0] != n or n <= X.shape[1]:
        raise DataError(f"X is {X.shape} and y has {n} rows; X needs {n} rows and fewer columns.")
    if not blocks:
        raise DataError("A mixed model needs at least one random term; none was given.")
    for i, block in enumerate(blocks, start=1):
        if block.group.shape != (n,) or block.Z.ndim != 2 or block.Z.shape[0] != n:
            raise DataError(
                f"Random term {i} has group {block.group.shape} and Z {block.Z.shape}; "
                f"both need the {n} rows of y."
            )
        if block.group.min() < 0:
            raise DataError(
                f"Random term {i} has group code {block.group.min()}; codes start at 0."
            )
    if not all(np.isfinite(a).all() for a in (y, X, *(b.Z for b in blocks))):
        raise DataError("y, X or Z holds a NaN or an infinity; drop those rows first.")
