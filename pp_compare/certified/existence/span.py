"""Whether the fixed and random effects together fit the response exactly.

The columns F = [X y] are freed of what the random effects Z span, component by component (levels
that share rows). F'(I - P_Z)F then holds the answer: each vector c of its null space is an Fc in
the span of Z. Modulo a prime ranks are only ever too small, so a full rank proves; every null
vector that is found is proved with integers before it is believed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from flint import fmpz_mat, nmod_mat
from numpy.typing import NDArray

from pp_compare.certified.components.blocks import Layout, RandomBlock
from pp_compare.certified.components.integer_columns import IntegerColumn
from pp_compare.certified.existence.modular import (
    PRIME,
    Residues,
    eliminated,
    residues,
)

Floats = NDArray[np.float64]

WIDE = 48
"""Components wider than this are left to flint, whose elimination is cubic without numpy's passes
over memory; narrower ones are swept all at once."""

DENSE = 40_000
"""Cells of Z up to which ranks of whole integer matrices are taken where no small fraction proves a
dependence: some seconds at most."""


@dataclass(frozen=True)
class Span:
    """What X and Z span, exactly.

    Attributes
    ----------
    holds_response : bool
        Whether y lies in the span of [X Z].
    rank_random, rank_both : int
        Rank of Z and of [X Z].
    """

    holds_response: bool
    rank_random: int
    rank_both: int


class UnprovedError(Exception):
    """A dependence that holds modulo the prime could not be proved with integers."""


def span_of(y: Floats, X: Floats, blocks: Sequence[RandomBlock]) -> Span:
    """Decide what X and the random effects span.

    Raises
    ------
    UnprovedError
        Where a dependence shows modulo a prime and no rational one of moderate size proves it.
    """
    F = np.column_stack([X, y])
    if not blocks:
        return _fixed_alone(F)
    try:
        return _by_components(F, blocks)
    except UnprovedError:
        if len(y) * sum(b.size * b.levels for b in blocks) > DENSE:
            raise
        return _dense(F, blocks)


def _by_components(F: Floats, blocks: Sequence[RandomBlock]) -> Span:
    components = _Components.of(F, blocks)
    rest, rank = _swept(components)
    last = F.shape[1] - 1
    if rank + _matrix(rest[:last, :last]).rank() == len(F):
        return Span(True, rank, len(F))  # no rank is larger
    inside = {k for k, column in enumerate(F.T) if _plainly_spanned(column, blocks)}
    left = [k for k in range(F.shape[1]) if k not in inside]
    kernel, nullity = _matrix(rest[np.ix_(left, left)]).nullspace()
    held = last in inside
    for i in range(nullity):
        vector = [_rational(int(kernel[j, i])) for j in range(len(left))]
        components.require_spanned(F[:, left], vector)
        held |= last in left and vector[left.index(last)] != 0
    within = F.shape[1] - len(inside) - nullity
    return Span(held, rank, rank + within - (0 if held else 1))


def _dense(F: Floats, blocks: Sequence[RandomBlock]) -> Span:
    """By the ranks of whole matrices of integers."""
    Z = [np.where(b.group == k, z, 0.0) for b in blocks for k in range(b.levels) for z in b.Z.T]
    random, fixed, all_of_them = (
        fmpz_mat([[int(v) for v in IntegerColumn.of(x).integers] for x in columns]).rank()
        for columns in (Z, [*Z, *F.T[:-1]], [*Z, *F.T])
    )
    return Span(all_of_them == fixed, random, fixed)


def _fixed_alone(F: Floats) -> Span:
    columns = [[int(v) for v in IntegerColumn.of(x).integers] for x in F.T]
    both = fmpz_mat(columns).rank()
    fixed = fmpz_mat(columns[:-1]).rank() if len(columns) > 1 else 0
    return Span(both == fixed, 0, fixed)


def _plainly_spanned(column: Floats, blocks: Sequence[RandomBlock]) -> bool:
    """Whether a column is a column of Z by sight: 0, one of a term, or constant in its levels."""
    if not column.any():
        return True
    for block in blocks:
        for z in block.Z.T:
            if np.array_equal(z, column):
                return True
            first = np.zeros(block.levels)
            first[block.group] = column
            if (z == 1.0).all() and np.array_equal(first[block.group], column):
                return True
    return False


@dataclass(frozen=True)
class _Components:
    """Rows by component, and the Gram matrices of [Z F] of each, modulo the prime.

    Components of one width stand together: ``rows`` has the component of each row, ``grams`` one
    array (k, r + f, r + f) a width r with the numbers of its components.
    """

    blocks: Sequence[RandomBlock]
    layout: Layout
    rows: NDArray[np.intp]
    grams: list[tuple[int, NDArray[np.intp], Residues]]

    @staticmethod
    def of(F: Floats, blocks: Sequence[RandomBlock]) -> _Components:
        layout = Layout.of(blocks)
        component = [np.array(c)[b.group] for c, b in zip(layout.component, blocks, strict=True)]
        offset = [np.array(o)[b.group] for o, b in zip(layout.offset, blocks, strict=True)]
        widths = np.array(layout.widths)
        columns: list[tuple[Residues, NDArray[np.intp]]] = [
            (residues(z), at + j)
            for block, at in zip(blocks, offset, strict=True)
            for j, z in enumerate(block.Z.T)
        ]
        ends = [np.full(len(F), -(k + 1)) for k in range(F.shape[1])]
        columns += [(residues(x), end) for x, end in zip(F.T[::-1], ends, strict=True)]
        grams = []
        for width in np.unique(widths):
            members = np.flatnonzero(widths == width)
            place = np.full(len(widths), -1)
            place[members] = np.arange(len(members))
            chosen = np.flatnonzero(place[component[0]] >= 0)
            grams.append(
                (
                    int(width),
                    members,
                    _grams(
                        columns,
                        chosen,
                        place[component[0][chosen]],
                        len(members),
                        width,
                        F.shape[1],
                    ),
                )
            )
        return _Components(blocks, layout, component[0], grams)

    @property
    def is_bipartite(self) -> bool:
        """Whether Z has the indicators of two factors, no more.

        A component is then a connected bipartite graph with the levels as nodes and the rows as
        edges, whose incidence matrix lacks exactly one of full rank, by the vector that is 1 on
        the one side and -1 on the other. Modulo a prime other than 2 this is so as well: there is
        nothing to prove.
        """
        return len(self.blocks) == 2 and all((b.Z == 1.0).all() for b in self.blocks)

    def require_spanned(self, F: Floats, vector: Sequence[Fraction]) -> None:
        """Raise UnprovedError unless ``F vector`` lies in the span of Z."""
        v = _combination(F, vector)
        order = np.argsort(self.rows, kind="stable")
        starts = np.unique(self.rows[order], return_index=True)[1]
        for rows in np.split(order, starts[1:]):
            Z = self._integers(rows)
            if fmpz_mat([*Z, [v[i] for i in rows]]).rank() != fmpz_mat(Z).rank():
                raise UnprovedError

    def require_rank(self, component: int, rank: int) -> None:
        """Raise UnprovedError unless the random effects of a component have this rank."""
        rows = np.flatnonzero(self.rows == component)
        if fmpz_mat(self._integers(rows)).rank() != rank:
            raise UnprovedError

    def require_null(self, component: int, vector: Sequence[Fraction]) -> None:
        """Raise UnprovedError unless these coefficients give 0 in every row of a component."""
        denominator = math.lcm(*(v.denominator for v in vector))
        whole = np.array([int(v * denominator) for v in vector], dtype=object)
        rows = np.flatnonzero(self.rows == component)
        total = np.zeros(len(rows), dtype=object)
        for block, offset in zip(self.blocks, self.layout.offset, strict=True):
            at = np.array(offset)[block.group[rows]]
            for j, z in enumerate(block.Z[rows].T):
                total += np.array([Fraction(v) for v in z.tolist()], dtype=object) * whole[at + j]
        if total.any():
            raise UnprovedError

    def _integers(self, rows: NDArray[np.intp]) -> list[list[int]]:
        """Columns of Z on the rows of one component, each as integers in a unit of its own."""
        found = []
        for block in self.blocks:
            for z in block.Z[rows].T:
                integers = [int(v) for v in IntegerColumn.of(z).integers]
                levels = block.group[rows].tolist()
                for level in dict.fromkeys(levels):
                    found.append(
                        [v if g == level else 0 for v, g in zip(integers, levels, strict=True)]
                    )
        return found


def _grams(
    columns: Sequence[tuple[Residues, NDArray[np.intp]]],
    rows: NDArray[np.intp],
    place: NDArray[np.intp],
    count: int,
    width: int,
    fixed: int,
) -> Residues:
    """Gram matrices of components of one width; column offsets below 0 count from the end."""
    size = int(width) + fixed
    gram = np.zeros((count, size, size), dtype=np.int64)
    at = [(values[rows], where[rows] % size) for values, where in columns]
    for a, i in at:
        for b, j in at:
            np.add.at(gram, (place, i, j), a * b % PRIME)
    return np.asarray(gram % PRIME)


def _swept(components: _Components) -> tuple[Residues, int]:
    """F'(I - P_Z)F modulo the prime, and the rank of Z, proved."""
    total, rank = np.zeros((1, 1), dtype=np.int64), 0
    for width, members, gram in components.grams:
        if width <= WIDE:
            rest, pivots = eliminated(gram, width)
            total = (total + rest.sum(axis=0)) % PRIME
            lacking = np.flatnonzero(~pivots.all(axis=1))
            for i in [] if components.is_bipartite else lacking:
                components.require_rank(int(members[i]), int(pivots[i].sum()))
            rank += int(pivots.sum())
            continue
        for member, one in zip(members, gram, strict=True):
            wide = _Wide.of(one, width)
            total = (total + wide.rest) % PRIME
            for vector in [] if components.is_bipartite else wide.null:
                components.require_null(int(member), vector)
            rank += width - len(wide.null)
    return total, rank


@dataclass(frozen=True)
class _Wide:
    """One wide matrix with its leading part eliminated; null vectors of that part."""

    rest: Residues
    null: list[list[Fraction]]

    @staticmethod
    def of(gram: Residues, width: int) -> _Wide:
        reduced, rank = _matrix(gram[:width, :width]).rref()
        table = np.array([[int(v) for v in row] for row in reduced.tolist()[:rank]])
        pivots = [int(np.flatnonzero(row)[0]) for row in table]
        inner, side = gram[np.ix_(pivots, pivots)], _matrix(gram[pivots, width:])
        rest = _matrix(gram[width:, width:]) - side.transpose() * _matrix(inner).solve(side)
        values = np.array([int(v) for v in rest.entries()], dtype=np.int64)
        null = []
        for free in (k for k in range(width) if k not in set(pivots)):
            vector = [Fraction(int(k == free)) for k in range(width)]
            for pivot, value in zip(pivots, table[:, free].tolist(), strict=True):
                vector[pivot] = -_rational(value)
            null.append(vector)
        return _Wide(values.reshape(rest.nrows(), rest.ncols()), null)


def _matrix(values: Residues) -> nmod_mat:
    rows, columns = values.shape
    return nmod_mat(rows, columns, values.ravel().tolist(), PRIME)


def _rational(residue: int) -> Fraction:
    """The fraction of smallest size with this residue (Wang 1981, by Euclid's algorithm)."""
    (r0, t0), (r1, t1) = (PRIME, 0), (residue, 1)
    while r1 * r1 * 2 > PRIME:
        q = r0 // r1
        (r0, t0), (r1, t1) = (r1, t1), (r0 - q * r1, t0 - q * t1)
    return Fraction(r1, t1)


def _combination(F: Floats, vector: Sequence[Fraction]) -> list[int]:
    """``F vector`` exactly, in a unit of its own."""
    terms = [
        [c * Fraction(x) for x in column.tolist()]
        for c, column in zip(vector, F.T, strict=True)
        if c != 0
    ]
    sums = [sum(row, Fraction(0)) for row in zip(*terms, strict=True)]
    denominator = int(np.lcm.reduce([s.denominator for s in sums], dtype=object))
    return [int(s * denominator) for s in sums]
