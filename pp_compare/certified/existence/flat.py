"""Variances that give the rows the same covariance, exactly.

V = sigma2 R + sum over terms of sum_ij D_ij A_ij is linear in sigma2 and the entries of each D; R
is I, or with prior weights W its inverse. With Q the projector off X, three linear maps matter: V
itself (all that ML sees), V Q (with it the GLS estimates), and Q V Q (all that REML sees). Their
null spaces are nested; a parameter that some null vector moves is not identified by what its map
keeps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from flint import fmpq, fmpq_mat, fmpz_mat, nmod_mat
from numpy.typing import NDArray

from pp_compare.certified.components.blocks import RandomBlock
from pp_compare.certified.components.integer_columns import IntegerColumn
from pp_compare.certified.existence.modular import PRIME, Residues, inverse, residues

Floats = NDArray[np.float64]

SPARE = 4
"""Bilinear forms beyond the number of parameters: each more makes it 2**31 times less likely that
independent matrices look dependent, and only costs an exact look then."""


@dataclass(frozen=True)
class Flat:
    """Which parameters the rows' covariance does not fix; all empty where it fixes every one.

    Attributes
    ----------
    terms : tuple of int
        Random terms whose covariance is not identified.
    sigma : bool
        Whether the residual variance is not.
    beta, beta_cov : bool
        Whether the GLS estimates, or their covariance, differ between variances that the criterion
        cannot tell apart; under REML alone.
    dimension : int
        Of the null space.
    """

    terms: tuple[int, ...] = ()
    sigma: bool = False
    beta: bool = False
    beta_cov: bool = False
    dimension: int = 0


@dataclass(frozen=True)
class _Element:
    """The matrix that one parameter stands before: A_ij of a term, or R where term is -1."""

    term: int
    i: int = 0
    j: int = 0


def flat_directions(
    X: Floats, blocks: Sequence[RandomBlock], *, reml: bool, weights: Floats | None = None
) -> Flat:
    """Find the variances that the criterion cannot tell apart.

    Parameters
    ----------
    X : (n, p) array
    blocks : sequence of RandomBlock
    reml : bool
    weights : (n,) array, optional
        Prior weights, positive.
    """
    weights = np.ones(len(X)) if weights is None else weights
    elements = [
        _Element(b, i, j)
        for b, block in enumerate(blocks)
        for i in range(block.size)
        for j in range(i + 1)
    ]
    elements.append(_Element(-1))
    if _certainly_independent(X if reml else X[:, :0], blocks, elements, weights):
        return Flat()
    return _Grams(X, blocks, elements, _reciprocals(weights)).flat(reml)


def _certainly_independent(
    X: Floats, blocks: Sequence[RandomBlock], elements: Sequence[_Element], weights: Floats
) -> bool:
    """Whether random forms x'Aw, x and w orthogonal to X, tell all elements apart modulo the prime.

    Reduction keeps the integer vectors orthogonal to X onto those modulo the prime as long as X
    keeps its rank, so a dependence over the rationals would show in every such form.
    """
    count = len(elements) + SPARE
    n = len(X)
    rng = np.random.default_rng(0)
    off = _off_fixed(residues(X), rng.integers(0, PRIME, (2 * count, n)))
    if off is None:
        return False
    left, right = off[:count], off[count:]
    sums = [(_sums(b, left), _sums(b, right)) for b in blocks]
    forms = []
    for e in elements:
        if e.term < 0:
            scaled = left * inverse(residues(weights)) % PRIME
            forms.append([int(v) for v in (scaled * right % PRIME).sum(axis=1) % PRIME])
            continue
        a, b = sums[e.term]
        value = a[e.i] * b[e.j] % PRIME + a[e.j] * b[e.i] % PRIME
        forms.append([int(v) for v in value.sum(axis=1) % PRIME])
    flat = [v for form in forms for v in form]
    return bool(nmod_mat(len(elements), count, flat, PRIME).rank() == len(elements))


def _off_fixed(X: Residues, vectors: Residues) -> Residues | None:
    """Vectors, (k, n), with p entries changed so that X is orthogonal; None if X drops rank."""
    p = X.shape[1]
    if p == 0:
        return vectors
    rows = _independent_rows(X)
    if rows is None:
        return None
    vectors = vectors.copy()
    vectors[:, rows] = 0
    missing = np.array([[int((v * x % PRIME).sum() % PRIME) for x in X.T] for v in vectors])
    square = nmod_mat(p, p, X[rows].T.ravel().tolist(), PRIME)
    solved = square.solve(nmod_mat(p, len(vectors), (-missing.T % PRIME).ravel().tolist(), PRIME))
    values = [int(v) for v in solved.entries()]
    vectors[:, rows] = np.array(values, dtype=np.int64).reshape(p, len(vectors)).T
    return vectors


def _independent_rows(X: Residues) -> list[int] | None:
    """Rows of X that form a square matrix of full rank, by elimination down the columns."""
    rest, rows = X.copy(), []
    for k in range(X.shape[1]):
        nonzero = np.flatnonzero(rest[:, k])
        if not nonzero.size:
            return None
        row = int(nonzero[0])
        rows.append(row)
        scale = pow(int(rest[row, k]), -1, PRIME)
        multiples = rest[row] * scale % PRIME
        rest = (rest - rest[:, k, None] * multiples % PRIME) % PRIME
    return rows


def _sums(block: RandomBlock, vectors: Residues) -> list[Residues]:
    """For each column z of a term, the sums of z v over its levels, (k, m)."""
    order = np.argsort(block.group, kind="stable")
    starts = np.searchsorted(block.group[order], np.arange(block.levels))
    sorted_vectors = vectors[:, order]
    found = []
    for z in block.Z.T:
        values = sorted_vectors * residues(z)[order] % PRIME
        found.append(np.add.reduceat(values, starts, axis=1) % PRIME)
    return found


@dataclass(frozen=True)
class _Grams:
    """Inner products tr(A B), tr(A B Q) and tr(A Q B Q) of the elements, exact.

    Columns are integers in units of powers of two; that scales an element and changes no support.
    ``residual`` is the diagonal of R, in integers of another unit.
    """

    X: Floats
    blocks: Sequence[RandomBlock]
    elements: Sequence[_Element]
    residual: NDArray[np.object_]

    def flat(self, reml: bool) -> Flat:
        """What the null spaces say."""
        rows_alone = _null(self._of_rows)
        seen = _null(self._off_both) if reml else rows_alone
        moved = [any(vector[k] != 0 for vector in seen) for k in range(len(self.elements))]
        terms = {e.term for e, moves in zip(self.elements, moved, strict=True) if moves}
        return Flat(
            terms=tuple(sorted(terms - {-1})),
            sigma=-1 in terms,
            beta=reml and len(_null(self._off_one)) < len(seen),
            beta_cov=len(rows_alone) < len(seen),
            dimension=len(seen),
        )

    @cached_property
    def _columns(self) -> list[list[NDArray[np.object_]]]:
        """Columns of Z by term, integers."""
        return [[_integers(z) for z in block.Z.T] for block in self.blocks]

    @cached_property
    def _fixed(self) -> NDArray[np.object_]:
        columns = [_integers(x) for x in self.X.T]
        return np.array(columns, dtype=object).reshape(len(columns), len(self.X)).T

    @cached_property
    def _of_rows(self) -> list[list[fmpq]]:
        size = range(len(self.elements))
        upper = [[fmpq(self._trace(a, b)) for b in size[: a + 1]] for a in size]
        return [[upper[max(a, b)][min(a, b)] for b in size] for a in size]

    def _trace(self, a: int, b: int) -> int:
        """tr(A B), twice or four times over as the elements are written z w' + w z'."""
        first, second = self.elements[a], self.elements[b]
        if first.term < 0 and second.term < 0:
            return int((self.residual**2).sum())
        if first.term < 0 or second.term < 0:
            e = second if first.term < 0 else first
            z = self._columns[e.term]
            return int(2 * (z[e.i] * z[e.j] * self.residual).sum())
        straight = self._cells(first.term, first.i, second.term, second.i) * self._cells(
            first.term, first.j, second.term, second.j
        )
        crossed = self._cells(first.term, first.i, second.term, second.j) * self._cells(
            first.term, first.j, second.term, second.i
        )
        return int(2 * (straight + crossed).sum())

    def _cells(self, a: int, i: int, b: int, j: int) -> NDArray[np.object_]:
        """Sums of products of two columns over the cells of two grouping factors."""
        one, other = self.blocks[a].group, self.blocks[b].group
        _, cell = np.unique(one.astype(np.int64) * (other.max() + 1) + other, return_inverse=True)
        return _summed(self._columns[a][i] * self._columns[b][j], cell)

    @cached_property
    def _inverse(self) -> fmpq_mat:
        return _to_matrix(self._fixed.T.dot(self._fixed)).inv()

    @cached_property
    def _images(self) -> list[NDArray[np.object_]]:
        """A X of each element, (n, p)."""
        return [self._image(e) for e in self.elements]

    def _image(self, e: _Element) -> NDArray[np.object_]:
        if e.term < 0:
            return np.asarray(self.residual[:, None] * self._fixed)
        group, columns = self.blocks[e.term].group, self._columns[e.term]
        z, w = columns[e.i], columns[e.j]
        p = self._fixed.shape[1]
        zx = np.array([_summed(z * self._fixed[:, k], group)[group] for k in range(p)]).T
        wx = np.array([_summed(w * self._fixed[:, k], group)[group] for k in range(p)]).T
        return np.asarray(z[:, None] * wx + w[:, None] * zx)

    @cached_property
    def _off_one(self) -> list[list[fmpq]]:
        return self._less(1)

    @cached_property
    def _off_both(self) -> list[list[fmpq]]:
        return self._less(2)

    def _less(self, sides: int) -> list[list[fmpq]]:
        """Inner products with Q on one side or on both."""
        H, size = self._inverse, range(len(self.elements))
        leading = [_to_matrix(self._fixed.T.dot(t)) * H for t in self._images]
        table = [list(row) for row in self._of_rows]
        for a in size:
            for b in size:
                lost = _trace_of(_to_matrix(self._images[a].T.dot(self._images[b])) * H)
                table[a][b] -= sides * lost
                if sides == 2:
                    table[a][b] += _trace_of(leading[a] * leading[b])
        return table


def _reciprocals(weights: Floats) -> NDArray[np.object_]:
    """1 / w in integers of a common unit."""
    integers = _integers(weights)
    common = math.lcm(*{int(v) for v in integers})
    return np.array([common // int(v) for v in integers], dtype=object)


def _integers(column: Floats) -> NDArray[np.object_]:
    return np.array([int(v) for v in IntegerColumn.of(column).integers], dtype=object)


def _summed(values: NDArray[np.object_], cell: NDArray[np.intp]) -> NDArray[np.object_]:
    total = np.zeros(int(cell.max()) + 1, dtype=object)
    np.add.at(total, cell.ravel(), values)
    return total


def _to_matrix(values: NDArray[np.object_]) -> fmpq_mat:
    rows, columns = values.shape
    return fmpq_mat(fmpz_mat(rows, columns, [int(v) for v in values.ravel()]))


def _trace_of(matrix: fmpq_mat) -> fmpq:
    return sum((matrix[i, i] for i in range(matrix.nrows())), fmpq(0))


def _null(gram: list[list[fmpq]]) -> list[list[fmpq]]:
    """A basis of the null space of a symmetric matrix."""
    size = len(gram)
    reduced, rank = fmpq_mat(size, size, [v for row in gram for v in row]).rref()
    pivots = [next(k for k in range(size) if reduced[i, k] != 0) for i in range(rank)]
    basis = []
    for free in (k for k in range(size) if k not in pivots):
        vector = [fmpq(int(k == free)) for k in range(size)]
        for i, pivot in enumerate(pivots):
            vector[pivot] = -reduced[i, free]
        basis.append(vector)
    return basis
