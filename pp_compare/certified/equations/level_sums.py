"""Sums over levels that second derivatives are made of (see ``curvature``).

Every one is an inner product of entries of M, C and w over levels, or over pairs of levels, so all
of them come out of a few products of long matrices; those of a wide component out of products as
wide as the part of it that is left when its largest term is eliminated (``wide_sums``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from flint import arb, arb_mat

from pp_compare.certified.components.component import Stratum
from pp_compare.certified.components.elimination import Eliminated
from pp_compare.certified.components.wide_sums import WidePairs
from pp_compare.certified.equations.mixed_equations import Solution

Tensor = dict[tuple[int, ...], arb]


@dataclass(frozen=True)
class Direction:
    """The derivative E T' + T E' of T T' in one entry of T, by its entries that are not 0."""

    block: int
    entries: tuple[tuple[int, int, arb], ...]


@dataclass(frozen=True)
class LevelSums:
    """What the second derivatives need of all levels.

    ``pairs``, by two terms and (j, k, i, l): the sum over pairs of their levels of M_jk R_il with
    R = -M + 2 C H C' (REML) + 2 weight ww'. ``fixed``, by term: Gram matrices over its levels of
    the entries of [C w], row by row.
    """

    width: int
    pairs: dict[tuple[int, int], Tensor]
    grams: list[arb_mat]

    @staticmethod
    def of(solution: Solution, reml: bool, weight: arb) -> LevelSums:
        """Sum up; ``weight`` is that of ww'."""
        cp = solution.products
        r = solution.residual_of
        middle = (r * r.transpose()) * (2 * weight)
        if reml:
            middle += 2 * padded(solution.H)
        to_residual = _residual_last(r)
        M: list[list[arb]] = [[] for _ in cp.strata]
        R: list[list[arb]] = [[] for _ in cp.strata]
        F: list[list[arb]] = [[] for _ in cp.strata]
        wide = []
        for piece in solution.pieces:
            f = piece.solved.F
            F[piece.stratum] += (f * to_residual).entries()
            if isinstance(piece.solved, Eliminated):
                wide.append(WidePairs(piece.solved, middle))
                continue
            moment = piece.solved.moment
            M[piece.stratum] += moment.entries()
            R[piece.stratum] += (f * middle * f.transpose() - moment).entries()
        width = cp.p + 1
        return LevelSums(width, _pairs(solution, M, R, wide), _grams(solution, F, width))

    def pair(self, a: Direction, b: Direction) -> arb:
        """Sum of A_ij M_jk B_kl R_li over pairs of levels."""
        swap = a.block < b.block
        first, second = (b, a) if swap else (a, b)
        table = self.pairs[first.block, second.block]
        value = arb(0)
        for i, j, x in first.entries:
            for k, m, y in second.entries:
                value += x * y * table[j, k, i, m]
        return value

    def fixed(self, d: Direction, p: int) -> arb_mat:
        """Sum of C'A C over levels, (p, p)."""
        return self._between(d, range(p), range(p))

    def pull(self, d: Direction) -> arb_mat:
        """Sum of C'A w, (p, 1)."""
        return self._between(d, range(self.width - 1), range(self.width - 1, self.width))

    def push(self, d: Direction) -> arb:
        """Sum of w'A w."""
        last = range(self.width - 1, self.width)
        return self._between(d, last, last)[0, 0]

    def _between(self, d: Direction, left: range, right: range) -> arb_mat:
        gram, f = self.grams[d.block], self.width
        entries = [
            sum((v * gram[i * f + x, j * f + y] for i, j, v in d.entries), arb(0))
            for x in left
            for y in right
        ]
        return arb_mat(len(left), len(right), entries)


def _pairs(
    solution: Solution, M: Sequence[list[arb]], R: Sequence[list[arb]], wide: Sequence[WidePairs]
) -> dict[tuple[int, int], Tensor]:
    cp = solution.products
    result: dict[tuple[int, int], Tensor] = {}
    for a in range(len(cp.sizes)):
        for b in range(a + 1):
            shape = list(product(range(cp.sizes[a]), range(cp.sizes[b])))
            left: list[list[arb]] = [[] for _ in shape]
            right: list[list[arb]] = [[] for _ in shape]
            for k, stratum in enumerate(cp.strata):
                if not M[k]:
                    continue
                spots = _spots(cp.sizes, cp.offsets(stratum), stratum, (a, b))
                size = solution.joint[k].nrows()
                for x, (i, j) in enumerate(shape):
                    for row, column in spots:
                        at = (row + i) * size + column + j
                        left[x] += M[k][at :: size * size]
                        right[x] += R[k][at :: size * size]
            gram = arb_mat(left) * arb_mat(right).transpose()
            for component in wide:
                if component.has(a, b):
                    gram += component.of(a, b)
            result[a, b] = {
                (*s, *t): gram[x, y] for x, s in enumerate(shape) for y, t in enumerate(shape)
            }
    return result


def _spots(
    sizes: Sequence[int], offsets: Sequence[int], stratum: Stratum, pair: tuple[int, int]
) -> list[tuple[int, int]]:
    """Where the blocks of all pairs of levels of two terms begin in a component's matrix."""
    first, second = (
        [at for block, at in zip(stratum.blocks, offsets, strict=True) if block == term]
        for term in pair
    )
    return list(product(first, second))


def _grams(solution: Solution, F: Sequence[list[arb]], width: int) -> list[arb_mat]:
    cp = solution.products
    result = []
    for term, q in enumerate(cp.sizes):
        rows: list[list[arb]] = [[] for _ in range(q * width)]
        for k, stratum in enumerate(cp.strata):
            size = solution.joint[k].nrows() * width
            for block, start in zip(stratum.blocks, cp.offsets(stratum), strict=True):
                if block == term:
                    for x, row in enumerate(rows):
                        row.extend(F[k][start * width + x :: size])
        long = arb_mat(rows)
        result.append(long * long.transpose())
    return result


def padded(H: arb_mat) -> arb_mat:
    """H with a row and a column of zeros."""
    return arb_mat([*([*row, arb(0)] for row in H.table()), [arb(0)] * (H.nrows() + 1)])


def _residual_last(r: arb_mat) -> arb_mat:
    """Maps columns [X y] to [X, residual]."""
    n = r.nrows()
    return arb_mat([[r[i, 0] if j == n - 1 else int(i == j) for j in range(n)] for i in range(n)])
