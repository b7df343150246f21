"""Gradient and Hessian of the profiled criterion, in ball arithmetic.

With A, B directions of G, M, C, w and P as in ``mixed_equations``, and W = M under ML or
W = Z'P Z = M - C (X'V^-1 X)^-1 C' under REML, dV = Z A Z' gives (Searle, Casella & McCulloch 1992,
Variance Components, section 6.3 and appendix M.7)

    d (log determinants) = tr(W A),        d^2 = -tr(W A W B)
    d (y'Py)             = -w'A w,         d^2 = 2 w'A (Z'PZ) B w

G = T T' is quadratic in the factor T, which adds tr(D d^2 G) to the second derivatives, with D the
gradient in G.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flint import arb, arb_mat

from pp_compare.certified.general.mixed_equations import Solution, block_diagonal, dot
from pp_compare.certified.general.parametrisation import Parameter


def slopes(solution: Solution, reml: bool) -> list[arb_mat]:
    """Return D, the gradient of the profiled deviance in G, one symmetric (q, q) a random term.

    A change A of one term's G changes the deviance by tr(D A) to first order.
    """
    cp = solution.products
    weight = solution.df(reml) / solution.q
    result = [arb_mat(q, q) for q in cp.sizes]
    for piece, w in zip(solution.pieces, solution.w, strict=True):
        projected = piece.C * solution.H
        offsets = cp.offsets(cp.strata[piece.stratum])
        for (block, _), start in zip(piece.component.levels, offsets, strict=True):
            rows = range(start, start + cp.sizes[block])
            for j, a in enumerate(rows):
                for k, b in enumerate(rows):
                    value = piece.M[a, b] - weight * w[a, 0] * w[b, 0]
                    if reml:
                        value -= _row_dot(projected, a, piece.C, b)
                    result[block][j, k] += value
    return result


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
    steep = [d * t for d, t in zip(D, factors, strict=True)]
    gradient = arb_mat([[2 * steep[p.block][p.row, p.column]] for p in parameters])
    hessian = _curvature(solution, [_direction(p, factors) for p in parameters], reml)
    for i, a in enumerate(parameters):
        for j, b in enumerate(parameters):
            if (a.block, a.column) == (b.block, b.column):
                hessian[i, j] += 2 * D[a.block][a.row, b.row]
    return gradient, hessian


def _direction(parameter: Parameter, factors: Sequence[arb_mat]) -> tuple[int, arb_mat]:
    """The derivative E T' + T E' of T T' in one entry of T, with the term it belongs to."""
    factor = factors[parameter.block]
    result = arb_mat(factor.nrows(), factor.nrows())
    for k in range(factor.nrows()):
        result[parameter.row, k] += factor[k, parameter.column]
        result[k, parameter.row] += factor[k, parameter.column]
    return parameter.block, result


@dataclass(frozen=True)
class _Sums:
    """What the second derivatives need, summed over components.

    For directions A and B: ``trace`` tr(M A M B), ``cross`` tr(H C'A M B C), ``bent`` w'A M B w,
    ``fixed`` C'A C, ``pull`` C'A w, ``push`` w'A w.
    """

    trace: arb_mat
    cross: arb_mat
    bent: arb_mat
    fixed: list[arb_mat]
    pull: list[arb_mat]
    push: list[arb]


def _curvature(
    solution: Solution, directions: Sequence[tuple[int, arb_mat]], reml: bool
) -> arb_mat:
    """Second derivatives of the deviance along directions of G, G taken as linear in them."""
    s = _curvature_sums(solution, directions)
    t, df, q, H = len(directions), solution.df(reml), solution.q, solution.H
    result = arb_mat(t, t)
    for i in range(t):
        for j in range(i + 1):
            value = -s.trace[i, j]
            if reml:
                value += 2 * s.cross[i, j] - dot((H * s.fixed[i]).transpose(), H * s.fixed[j])
            bent = s.bent[i, j] - dot(s.pull[i], H * s.pull[j])
            value += df * (2 * bent / q - s.push[i] * s.push[j] / q**2)
            result[i, j] = result[j, i] = value
    return result


def _curvature_sums(solution: Solution, directions: Sequence[tuple[int, arb_mat]]) -> _Sums:
    cp, t, p = solution.products, len(directions), solution.products.p
    spread = [
        [block_diagonal(cp, stratum, {block: A}) for block, A in directions]
        for stratum in cp.strata
    ]
    trace, cross, bent = _Gram.empty(t), _Gram.empty(t), _Gram.empty(t)
    fixed = [arb_mat(p, p) for _ in range(t)]
    pull, push = [arb_mat(p, 1) for _ in range(t)], [arb(0) for _ in range(t)]
    for piece, w in zip(solution.pieces, solution.w, strict=True):
        M, C = piece.M, piece.C.transpose()
        for i, A in enumerate(spread[piece.stratum]):
            MA, AC, Aw = M * A, A * piece.C, A * w
            trace.extend(i, MA, MA.transpose())
            cross.extend(i, AC, M * AC * solution.H)
            bent.extend(i, Aw, M * Aw)
            fixed[i] += C * AC
            pull[i] += C * Aw
            push[i] += (w.transpose() * Aw)[0, 0]
    return _Sums(trace.products(), cross.products(), bent.products(), fixed, pull, push)


@dataclass(frozen=True)
class _Gram:
    """Sums over pieces of inner products <a_i, b_j>, the entries of all pieces strung together.

    One product of two long matrices takes a tenth of the time of many short ones.
    """

    left: list[list[arb]]
    right: list[list[arb]]

    @staticmethod
    def empty(size: int) -> _Gram:
        return _Gram([[] for _ in range(size)], [[] for _ in range(size)])

    def extend(self, i: int, a: arb_mat, b: arb_mat) -> None:
        self.left[i].extend(a.entries())
        self.right[i].extend(b.entries())

    def products(self) -> arb_mat:
        return arb_mat(self.left) * arb_mat(self.right).transpose()


def _row_dot(a: arb_mat, row: int, b: arb_mat, other: int) -> arb:
    return sum((a[row, k] * b[other, k] for k in range(a.ncols())), arb(0))
