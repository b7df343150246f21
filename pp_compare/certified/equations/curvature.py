"""Gradient and Hessian of the profiled criterion, in ball arithmetic.

With A, B directions of G, M, C, w and P as in ``mixed_equations``, and W = M under ML or
W = Z'P Z = M - C (X'V^-1 X)^-1 C' under REML, dV = Z A Z' gives (Searle, Casella & McCulloch 1992,
Variance Components, section 6.3 and appendix M.7)

    d (log determinants) = tr(W A),        d^2 = -tr(W A W B)
    d (y'Py)             = -w'A w,         d^2 = 2 w'A (Z'PZ) B w

G = T T' is quadratic in the factor T, which adds tr(D d^2 G) to the second derivatives, with D the
gradient in G.

Sums over levels are those of ``level_sums``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flint import arb, arb_mat

from pp_compare.certified.components.component import Stratum, part
from pp_compare.certified.components.elimination import Eliminated, inner
from pp_compare.certified.equations.level_sums import Direction, LevelSums, padded
from pp_compare.certified.equations.mixed_equations import Solution
from pp_compare.certified.equations.parametrisation import Parameter


def slopes(solution: Solution, reml: bool) -> list[arb_mat]:
    """Return D, the gradient of the profiled deviance in G, one symmetric (q, q) a random term.

    A change A of one term's G changes the deviance by tr(D A) to first order.
    """
    cp, r = solution.products, solution.residual_of
    middle = (r * r.transpose()) * (solution.df(reml) / solution.q)
    if reml:
        middle += padded(solution.H)
    result = [arb_mat(q, q) for q in cp.sizes]
    totals = [arb_mat(j.nrows(), j.nrows()) for j in solution.joint]
    for narrow in solution.narrow.values():
        for term, total in narrow.slopes(middle).items():
            result[term] += total
    for piece in solution.pieces:
        if piece.stratum in solution.narrow:
            continue
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
        Direction(b, ((i, j, one),) if i == j else ((i, j, one), (j, i, one)))
        for b, i, j in entries_of(cp.sizes)
    ]
    d = len(directions)
    alone = LevelSums.of(solution, reml, arb(0))
    both = LevelSums.of(solution, reml, arb(1))
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


def _direction(parameter: Parameter, factors: Sequence[arb_mat]) -> Direction:
    factor, row = factors[parameter.block], parameter.row
    column = [(k, factor[k, parameter.column]) for k in range(factor.nrows())]
    entries = [(row, k, value) for k, value in column if not value.is_zero()]
    return Direction(parameter.block, (*entries, *((k, i, value) for i, k, value in entries)))


def _curvature(solution: Solution, directions: Sequence[Direction], reml: bool) -> arb_mat:
    """Second derivatives of the deviance along directions of G, G taken as linear in them."""
    t, df, q, H = len(directions), solution.df(reml), solution.q, solution.H
    sums = LevelSums.of(solution, reml, df / q)
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
