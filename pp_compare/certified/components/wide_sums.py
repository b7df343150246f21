"""Sums over pairs of levels of one wide component, without any matrix as large as it is.

With A and B as in ``elimination``, Z'V^-1 Z between two levels of A is a block of a block diagonal
matrix D less one of T Y' (T is ``tie``), whose rank is the number b of coefficients of B. So a sum
over the a^2 pairs of levels of A costs a b^2 multiplications:

    sum of (T_i Y_j')_{l m} (T_s Y_t')_{l m} over l, m  =  sum of (T_i'T_s)_{c d} (Y_j'Y_t)_{c d}

with T_i every q-th row of T from row i on. Likewise of F middle F', whose rank is p + 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product

from flint import arb, arb_mat

from pp_compare.certified.components.elimination import Eliminated, inner

Rows = list[list[arb]]


@dataclass(frozen=True, eq=False)
class WidePairs:
    """Sums of M_jk R_im over pairs of levels of two terms, with R = F ``middle`` F' - M."""

    solved: Eliminated
    middle: arb_mat

    def has(self, *terms: int) -> bool:
        """Whether the component has levels of these terms."""
        return set(terms) <= self._effects.keys()

    def of(self, first: int, second: int) -> arb_mat:
        """By (j, k) in the rows and (i, m) in the columns, (q q', q q')."""
        lead = self.solved.component.split.term
        if first == second == lead:
            return self._among_lead
        if lead not in (first, second):
            block = [
                [row[at] for at in self._places[second]]
                for row in (self._others[at] for at in self._places[first])
            ]
        elif first == lead:
            block = [[row[at] for at in self._places[second]] for row in self._cross]
        else:
            columns = zip(*self._cross, strict=True)
            chosen = list(columns)
            block = [list(chosen[at]) for at in self._places[first]]
        return self._dense(block, first, second)

    def _dense(self, block: Rows, first: int, second: int) -> arb_mat:
        """From the entries of M between the levels of two terms."""
        q, r = self._size(first), self._size(second)
        shape = list(product(range(q), range(r)))
        cut = [[row[k::r] for row in block[j::q]] for j, k in shape]
        flat = arb_mat([[x for row in rows for x in row] for rows in cut])
        result = -(flat * flat.transpose())
        for x, rows in enumerate(cut):
            turned = arb_mat(rows).transpose()
            for y, (i, m) in enumerate(shape):
                left = turned * arb_mat(self._effects[first][i::q]) * self.middle
                result[x, y] += inner(left.table(), self._effects[second][m::r])
        return result

    @cached_property
    def _among_lead(self) -> arb_mat:
        """Between the levels of A."""
        q = self._size(self.solved.component.split.term)
        shape = list(product(range(q), range(q)))
        T = [_every(self.solved.tie, i, q) for i in range(q)]
        Y = [_every(self.solved.Y, i, q) for i in range(q)]
        D = arb_mat([a.entries() for a in self.solved.alone])
        tied = arb_mat([list(_diagonal(T[j], Y[k])) for j, k in shape])
        grams = {(i, j): (_gram(T, i, j), _gram(Y, i, j)) for i, j in shape}
        cross = tied * D
        result = cross + cross.transpose() - D.transpose() * D
        effects = [arb_mat(self._effects[self.solved.component.split.term][i::q]) for i in range(q)]
        own = arb_mat([list(_diagonal(effects[i] * self.middle, effects[m])) for i, m in shape])
        result += (own * D).transpose()
        for x, (j, k) in enumerate(shape):
            for y, (i, m) in enumerate(shape):
                result[x, y] -= inner(grams[j, i][0], grams[k, m][1])
                left = T[j].transpose() * effects[i] * self.middle
                result[x, y] -= inner(left.table(), (Y[k].transpose() * effects[m]).table())
        return result

    def _size(self, term: int) -> int:
        return self.solved.component.sizes[term]

    @cached_property
    def _places(self) -> dict[int, list[int]]:
        """The coefficients of each term of B."""
        found: dict[int, list[int]] = {}
        for at, term, q in self.solved.component.split.rest_spans:
            found.setdefault(term, []).extend(range(at, at + q))
        return found

    @cached_property
    def _effects(self) -> dict[int, Rows]:
        """F by term."""
        found: dict[int, Rows] = {}
        rows, at = self.solved.F.table(), 0
        for term, _ in self.solved.component.levels:
            q = self._size(term)
            found.setdefault(term, []).extend(rows[at : at + q])
            at += q
        return found

    @cached_property
    def _cross(self) -> Rows:
        """M between A and B, (a, b)."""
        return (self.solved.Y * self.solved.inverse.transpose()).table()

    @cached_property
    def _others(self) -> Rows:
        """M among B, (b, b)."""
        return (self.solved.inverse * self.solved.N).table()


def _every(a: arb_mat, first: int, step: int) -> arb_mat:
    """Every so many rows."""
    return a if step == 1 else arb_mat(a.table()[first::step])


def _diagonal(a: arb_mat, b: arb_mat) -> Iterator[arb]:
    """The diagonal of a b'."""
    for x, y in zip(a.table(), b.table(), strict=True):
        yield inner([x], [y])


def _gram(parts: list[arb_mat], i: int, j: int) -> Rows:
    return (parts[i].transpose() * parts[j]).table()
