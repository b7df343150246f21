"""Gradient and Hessian of the profiled criterion, in ball arithmetic.

With A, B directions of G, M, C, w and P as in ``mixed_equations``, and W = M under ML or
W = Z'P Z = M - C (X'V^-1 X)^-1 C' under REML, dV = Z A Z' gives (Searle, Casella & McCulloch 1992,
Variance Components, section 6.3 and appendix M.7)

    d (log determinants) = tr(W A),        d^2 = -tr(W A W B)
    d (y'Py)             = -w'A w,         d^2 = 2 w'A (Z'PZ) B w

G = T T' is quadratic in the factor T, which adds tr(D d^2 G) to the second derivatives, with D the
gradient in G.

Every sum over levels is an inner product of entries of M, C and w, so all of them come out of a few
products of long matrices, whose time hardly exceeds that of the multiplications.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from flint import arb, arb_mat

from pp_compare.certified.components.elimination import Eliminated, inner
from pp_compare.certified.equations.crossproducts import Stratum, part
from pp_compare.certified.equations.mixed_equations import Solution
from pp_compare.certified.equations.parametrisation import Parameter

Tensor = dict[tuple[int, ...], arb]


def slopes(solution: Solution, reml: bool) -> list[arb_mat]:
    """Return D, the gradient of the profiled deviance in G, one symmetric (q, q) a random term.

    A change A of one term's G changes the deviance by tr(D A) to first order.
    """
    cp, r = solution.products, solution.residual_of
    middle = (r * r.transpose()) * (solution.df(reml) / solution.q)
    if reml:
        middle += _padded(solution.H)
    result = [arb_mat(q, q) for q in cp.sizes]
    totals = [arb_mat(j.nrows(), j.nrows()) for j in solution.joint]
    for piece in solution.pieces:
        F = piece.solved.F
        if isinstance(piece.solved, Eliminated):
            _add_levels(result, cp.strata[piece.stratum], cp.sizes, piece.solved, middle)
        else:
            totals[piece.stratum] += piece.solved.moment - F * middle * F.transpose()
    for stratum, total in zip(cp.strata, totals, strict=True):
        for block, start in zip(stratum.blocks, cp.offsets(stratum), strict=True):
            q = cp.sizes[block]
            result[block] += part(total, start, q, start, q)
    return result


def _add_levels(
    result: list[arb_mat],
    stratum: Stratum,
    sizes: Sequence[int],
    solved: Eliminated,
    middle: arb_mat,
) -> None:
    """Add what one wide component has, without any matrix as large as it is."""
    left, right = (solved.F * middle).table(), solved.F.table()
    for term in dict.fromkeys(stratum.blocks):
        start, q = sum(sizes[b] for b in stratum.blocks if b < term), sizes[term]
        stop = start + q * stratum.blocks.count(term)
        moved = [
            [inner(left[start + i : stop : q], right[start + j : stop : q]) for j in range(q)]
            for i in range(q)
        ]
        result[term] += solved.within(term) - arb_mat(moved)


def gradient(
    solution: Solution, factors: Sequence[arb_mat], parameters: Sequence[Parameter], reml: bool
) -> arb_mat:
    """Return the gradient (t, 1) of the profiled deviance in entries of T, at G = T T'."""
    return _in_factors(slopes(solution, reml), factors, parameters)


def _in_factors(
    D: Sequence[arb_mat], factors: Sequence[arb_mat], parameters: Sequence[Parameter]
) -> arb_mat:
    steep = [d * t for d, t in zip(D, factors, strict=True)]
    return arb_mat([[2 * steep[p.block][p.row, p.column]] for p in parameters])


def derivatives(
    solution: Solution, factors: Sequence[arb_mat], parameters: Sequence[Parameter], reml: bool
) -> tuple[arb_mat, arb_mat]:
    """Return gradient (t, 1) and Hessian (t, t) of the profiled deviance in entries of T.

    Parameters
    ----------
    solution : Solution
        At G = T T'.
    factors : sequence of (q, q) arb_mat
        T, one a random term.
    parameters : sequence of Parameter
        The entries that vary; all others are constants.
    """
    D = slopes(solution, reml)
    hessian = _curvature(solution, [_direction(p, factors) for p in parameters], reml)
    for i, a in enumerate(parameters):
        for j, b in enumerate(parameters):
            if (a.block, a.column) == (b.block, b.column):
                hessian[i, j] += 2 * D[a.block][a.row, b.row]
    return _in_factors(D, factors, parameters), hessian


@dataclass(frozen=True)
class Parts:
    """What first and second derivatives consist of, along directions A, B of G.

    Attributes
    ----------
    level : list of arb
        tr(W A).
    trace : (d, d) arb_mat
        tr(W A W B), under REML over all components at once: Z'P Z is not block diagonal.
    bent : (d, d) arb_mat
        w'A (Z'PZ) B w.
    push : list of arb
        w'A w.
    """

    level: list[arb]
    trace: arb_mat
    bent: arb_mat
    push: list[arb]


def entries_of(sizes: Sequence[int]) -> list[tuple[int, int, int]]:
    """Term, row and column (at most the row) of every entry of G."""
    return [(b, i, j) for b, q in enumerate(sizes) for i in range(q) for j in range(i + 1)]


def parts(solution: Solution, reml: bool) -> Parts:
    """The parts along every entry of G, row and column set together (`entries_of`)."""
    cp, one = solution.products, arb(1)
    directions = [
        _Direction(b, ((i, j, one),) if i == j else ((i, j, one), (j, i, one)))
        for b, i, j in entries_of(cp.sizes)
    ]
    d = len(directions)
    alone = _Sums.of(solution, reml, arb(0))
    both = _Sums.of(solution, reml, arb(1))
    H, p = solution.H, cp.p
    spread = [H * alone.fixed(a, p) for a in directions]
    pull, push = [alone.pull(a) for a in directions], [alone.push(a) for a in directions]
    trace, bent = arb_mat(d, d), arb_mat(d, d)
    for i in range(d):
        for j in range(d):
            first = alone.pair(directions[i], directions[j])
            trace[i, j] = -first
            if reml:
                trace[i, j] += (spread[i] * spread[j]).trace()
            rest = both.pair(directions[i], directions[j]) - first
            bent[i, j] = rest / 2 - (pull[i].transpose() * H * pull[j]).trace()
    D, q, df = slopes(solution, reml), solution.q, solution.df(reml)
    level = []
    for a, pushed in zip(directions, push, strict=True):
        along = sum((D[a.block][i, j] * x for i, j, x in a.entries), arb(0))
        level.append(along + df * pushed / q)
    return Parts(level, trace, bent, push)


@dataclass(frozen=True)
class _Direction:
    """The derivative E T' + T E' of T T' in one entry of T, by its entries that are not 0."""

    block: int
    entries: tuple[tuple[int, int, arb], ...]


def _direction(parameter: Parameter, factors: Sequence[arb_mat]) -> _Direction:
    factor, row = factors[parameter.block], parameter.row
    column = [(k, factor[k, parameter.column]) for k in range(factor.nrows())]
    entries = [(row, k, value) for k, value in column if not value.is_zero()]
    return _Direction(parameter.block, (*entries, *((k, i, value) for i, k, value in entries)))


def _curvature(solution: Solution, directions: Sequence[_Direction], reml: bool) -> arb_mat:
    """Second derivatives of the deviance along directions of G, G taken as linear in them."""
    t, df, q, H = len(directions), solution.df(reml), solution.q, solution.H
    sums = _Sums.of(solution, reml, df / q)
    fixed = [sums.fixed(d, solution.products.p) for d in directions]
    pull, push = [sums.pull(d) for d in directions], [sums.push(d) for d in directions]
    spread = [H * f for f in fixed] if reml else []
    result = arb_mat(t, t)
    for i in range(t):
        for j in range(i + 1):
            value = sums.pair(directions[i], directions[j])
            if reml:
                value -= (spread[i] * spread[j]).trace()
            value -= 2 * df / q * (pull[i].transpose() * H * pull[j]).trace()
            result[i, j] = result[j, i] = value - df * push[i] * push[j] / q**2
    return result


@dataclass(frozen=True)
class _Sums:
    """What the second derivatives need of all levels.

    ``pairs``, by two terms and (j, k, i, l): the sum over pairs of their levels of M_jk R_il with
    R = -M + 2 C H C' (REML) + 2 weight ww'. ``fixed``, by term: Gram matrices over its levels of
    the entries of [C w], row by row.
    """

    width: int
    pairs: dict[tuple[int, int], Tensor]
    grams: list[arb_mat]

    @staticmethod
    def of(solution: Solution, reml: bool, weight: arb) -> _Sums:
        cp = solution.products
        r = solution.residual_of
        middle = (r * r.transpose()) * (2 * weight)
        if reml:
            middle += 2 * _padded(solution.H)
        to_residual = _residual_last(r)
        M: list[list[arb]] = [[] for _ in cp.strata]
        R: list[list[arb]] = [[] for _ in cp.strata]
        F: list[list[arb]] = [[] for _ in cp.strata]
        for piece in solution.pieces:
            moment, f = piece.solved.moment, piece.solved.F
            M[piece.stratum] += moment.entries()
            R[piece.stratum] += (f * middle * f.transpose() - moment).entries()
            F[piece.stratum] += (f * to_residual).entries()
        width = cp.p + 1
        return _Sums(width, _pairs(solution, M, R), _grams(solution, F, width))

    def pair(self, a: _Direction, b: _Direction) -> arb:
        """Sum of A_ij M_jk B_kl R_li over pairs of levels."""
        swap = a.block < b.block
        first, second = (b, a) if swap else (a, b)
        table = self.pairs[first.block, second.block]
        value = arb(0)
        for i, j, x in first.entries:
            for k, m, y in second.entries:
                value += x * y * table[j, k, i, m]
        return value

    def fixed(self, d: _Direction, p: int) -> arb_mat:
        """Sum of C'A C over levels, (p, p)."""
        return self._between(d, range(p), range(p))

    def pull(self, d: _Direction) -> arb_mat:
        """Sum of C'A w, (p, 1)."""
        return self._between(d, range(self.width - 1), range(self.width - 1, self.width))

    def push(self, d: _Direction) -> arb:
        """Sum of w'A w."""
        last = range(self.width - 1, self.width)
        return self._between(d, last, last)[0, 0]

    def _between(self, d: _Direction, left: range, right: range) -> arb_mat:
        gram, f = self.grams[d.block], self.width
        entries = [
            sum((v * gram[i * f + x, j * f + y] for i, j, v in d.entries), arb(0))
            for x in left
            for y in right
        ]
        return arb_mat(len(left), len(right), entries)


def _pairs(
    solution: Solution, M: Sequence[list[arb]], R: Sequence[list[arb]]
) -> dict[tuple[int, int], Tensor]:
    cp = solution.products
    result: dict[tuple[int, int], Tensor] = {}
    for a in range(len(cp.sizes)):
        for b in range(a + 1):
            shape = list(product(range(cp.sizes[a]), range(cp.sizes[b])))
            left: list[list[arb]] = [[] for _ in shape]
            right: list[list[arb]] = [[] for _ in shape]
            for k, stratum in enumerate(cp.strata):
                spots = _spots(cp.sizes, cp.offsets(stratum), stratum, (a, b))
                size = solution.joint[k].nrows()
                for x, (i, j) in enumerate(shape):
                    for row, column in spots:
                        at = (row + i) * size + column + j
                        left[x] += M[k][at :: size * size]
                        right[x] += R[k][at :: size * size]
            gram = arb_mat(left) * arb_mat(right).transpose()
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


def _padded(H: arb_mat) -> arb_mat:
    """H with a row and a column of zeros."""
    return arb_mat([*([*row, arb(0)] for row in H.table()), [arb(0)] * (H.nrows() + 1)])


def _residual_last(r: arb_mat) -> arb_mat:
    """Maps columns [X y] to [X, residual]."""
    n = r.nrows()
    return arb_mat([[r[i, 0] if j == n - 1 else int(i == j) for j in range(n)] for i in range(n)])
