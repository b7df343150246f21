"""What the variance parameters of a mixed model know of each other and of the fixed effects.

V is linear in sigma^2 and in the elements of the covariances, and so are its derivatives

    dV = V (all of V rises in proportion)    and    dV = sigma^2 Z A Z'

for A with ones at one element of one random term's covariance, (j, k) and (k, j). These directions
span the same space as dV = I and the rest, and what is made of them (Kenward and Roger's sums,
information) transforms with them, so that no sum over the rows of V^-1 is needed: with M, C, w and
P as in ``mixed_equations``, everything is in units of sigma^2

    X'V^-1 dV V^-1 X = C'A C             X'V^-1 dA V^-1 dB V^-1 X = C'A M B C
    tr(V^-1 dA V^-1 dB) = tr(M A M B)    y'P dA P dB P y = w'A (M - C H C') B w

and nothing of the size of the rows is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from flint import arb, arb_mat

from pp_compare.certified.equations.curvature import slopes
from pp_compare.certified.equations.mixed_equations import Piece, Solution
from pp_compare.certified.equations.parametrisation import Parameter, lower_triangle
from pp_compare.certified.general.face import Face
from pp_compare.errors import UnavailableError

MOST = 2e10
"""Multiplications of balls that the sums may cost: some minutes at 50 ns each, of many effects that
vary together; no model of named factors comes near it."""


@dataclass(frozen=True, eq=False)
class Information:
    """Sums over the components at one point, in the coordinates of ``CrossProducts``, sigma = 1.

    Attributes
    ----------
    solution : Solution
    reml : bool
    face : Face
        On which the point lies.
    factors : tuple of (q, q) arb_mat
        The point: G = T T'.
    elements : tuple of Parameter, length e
        Of the covariances' lower triangles: the directions A.
    fixed : tuple of (p, p) arb_mat, length e
        C'A C.
    second : tuple of tuples of (p, p) arb_mat, e by e
        C'A M B C.
    once : tuple of arb, length e
        tr(M A).
    twice : (e, e) arb_mat
        tr(M A M B).
    pull : tuple of (p, 1) arb_mat, push : tuple of arb
        C'A w and w'A w.
    bent : (e, e) arb_mat
        w'A M B w.
    """

    solution: Solution
    reml: bool
    face: Face
    factors: tuple[arb_mat, ...]
    elements: tuple[Parameter, ...]
    fixed: tuple[arb_mat, ...]
    second: tuple[tuple[arb_mat, ...], ...]
    once: tuple[arb, ...]
    twice: arb_mat
    pull: tuple[arb_mat, ...]
    push: tuple[arb, ...]
    bent: arb_mat

    @property
    def sigma2(self) -> arb:
        """The residual variance in scaled units of y."""
        return self.solution.q / self.solution.df(self.reml)

    @cached_property
    def expected(self) -> arb_mat:
        """tr(P dV_i P dV_k): twice the expected REML information, (1 + e, 1 + e), V first."""
        H, cp = self.solution.H, self.solution.products
        projected = [H * f for f in self.fixed]
        result = arb_mat(1 + len(self.fixed), 1 + len(self.fixed))
        result[0, 0] = arb(cp.n - cp.p)
        for i, left in enumerate(projected):
            result[0, i + 1] = result[i + 1, 0] = self.once[i] - left.trace()
            for k in range(i + 1):
                value = self.twice[i, k] - 2 * (H * self.second[i][k]).trace()
                value += (left * projected[k]).trace()
                result[i + 1, k + 1] = result[k + 1, i + 1] = value
        return result

    @cached_property
    def plain(self) -> arb_mat:
        """tr(V^-1 dV_i V^-1 dV_k): twice the expected ML information, (1 + e, 1 + e), V first."""
        size = len(self.fixed)
        result = arb_mat(1 + size, 1 + size)
        result[0, 0] = arb(self.solution.products.n)
        for i in range(size):
            result[0, i + 1] = result[i + 1, 0] = self.once[i]
            for k in range(size):
                result[i + 1, k + 1] = self.twice[i, k]
        return result

    @cached_property
    def tangents(self) -> arb_mat:
        """Directions of the face among all, (1 + f, 1 + e): V, and each entry of T that varies.

        In the interior these span all directions; on the boundary they leave out those off it.
        """
        moving = self.face.parameters
        result = arb_mat(1 + len(moving), 1 + len(self.elements))
        result[0, 0] = arb(1)
        at = {element: i + 1 for i, element in enumerate(self.elements)}
        for i, p in enumerate(moving, start=1):
            factor = self.factors[p.block]
            for k in range(factor.nrows()):
                # T rises in (row, column): G in (row, k) by T[k, column], twice where k = row.
                first, second = max(p.row, k), min(p.row, k)
                times = 2 if k == p.row else 1
                result[i, at[Parameter(p.block, first, second)]] += times * factor[k, p.column]
        return result

    @cached_property
    def observed(self) -> arb_mat:
        """Second derivatives of the deviance in the coordinates of ``tangents``, (1 + f, 1 + f).

        At a minimum over the face, where the deviance of the face has no slope. The factor T is a
        curve in the covariances, and where these have a slope, off the boundary, its bend adds to
        the second derivative.
        """
        flat = self.expected if self.reml else self.plain
        linear = 2 * self._forms - flat
        result = self.tangents * linear * self.tangents.transpose()
        D, moving = slopes(self.solution, self.reml), self.face.parameters
        for i, a in enumerate(moving, start=1):
            for k, b in enumerate(moving, start=1):
                if (a.block, a.column) == (b.block, b.column):
                    result[i, k] += 2 * D[a.block][a.row, b.row]
        return result

    @cached_property
    def _forms(self) -> arb_mat:
        """Y'P dV_i P dV_k P y, (1 + e, 1 + e)."""
        size, H = len(self.fixed), self.solution.H
        result = arb_mat(1 + size, 1 + size)
        result[0, 0] = arb(self.solution.df(self.reml))
        for i in range(size):
            result[0, i + 1] = result[i + 1, 0] = self.push[i] / self.sigma2
            left = (H * self.pull[i]).transpose()
            for k in range(size):
                form = self.bent[i, k] - (left * self.pull[k])[0, 0]
                result[i + 1, k + 1] = form / self.sigma2
        return result


def information(
    solution: Solution, factors: Sequence[arb_mat], face: Face, *, reml: bool
) -> Information:
    """Sum up what is known of the variances at a solved point.

    Parameters
    ----------
    solution : Solution
        At G = T T'.
    factors : sequence of (q, q) arb_mat
        T, one a random term.
    face : Face
        Which entries of T vary; the others are 0.
    reml : bool

    Raises
    ------
    UnavailableError
        Where the model has more parameters than can be handled.
    """
    elements = lower_triangle(solution.products.sizes)
    _require_affordable(solution, len(elements))
    width, size = solution.products.p + 1, len(elements)
    sums = _Stacked(solution, elements)
    first = sums.plain.transpose() * sums.pushed
    second = sums.pushed.transpose() * sums.spread

    def of(product: arb_mat, i: int, k: int) -> arb_mat:
        rows, columns = range(i * width, (i + 1) * width), range(k * width, (k + 1) * width)
        return arb_mat([[product[a, b] for b in columns] for a in rows])

    firsts = [of(first, 0, k) for k in range(size)]
    seconds = [[of(second, i, k) for k in range(size)] for i in range(size)]
    return Information(
        solution=solution,
        reml=reml,
        face=face,
        factors=tuple(factors),
        elements=elements,
        fixed=tuple(_corner(f) for f in firsts),
        second=tuple(tuple(_corner(s) for s in row) for row in seconds),
        once=tuple(sums.once),
        twice=sums.twice,
        pull=tuple(arb_mat([[f[i, width - 1]] for i in range(width - 1)]) for f in firsts),
        push=tuple(f[width - 1, width - 1] for f in firsts),
        bent=arb_mat([[s[width - 1, width - 1] for s in row] for row in seconds]),
    )


class _Stacked:
    """The components strung together, for a few products of long matrices.

    With N the sum of the components' sizes: ``plain`` [C w] (N, p + 1), ``pushed`` A [C w] and
    ``spread`` M A [C w], (N, e (p + 1)).
    """

    def __init__(self, solution: Solution, elements: Sequence[Parameter]) -> None:
        plain: list[list[arb]] = []
        pushed: list[list[arb]] = []
        spread: list[list[arb]] = []
        left: list[list[arb]] = [[] for _ in elements]
        right: list[list[arb]] = [[] for _ in elements]
        self.once = [arb(0) for _ in elements]
        for piece in solution.pieces:
            F, w = piece.solved.F.tolist(), solution.w(piece).tolist()
            columns = [[*row[:-1], *v] for row, v in zip(F, w, strict=True)]
            moves = _moves(solution, piece, elements)
            turned = [_moved(columns, move) for move in moves]
            plain += columns
            pushed += _beside(turned)
            spread += _beside([(piece.solved.moment * arb_mat(part)).tolist() for part in turned])
            rows = piece.solved.moment.tolist()
            for i, move in enumerate(moves):
                AM = _moved(rows, move)
                left[i] += [value for row in AM for value in row]
                # tr(M A M B) = <A M, M B>, and M B = (B M)' since both are symmetric.
                right[i] += [value for row in zip(*AM, strict=True) for value in row]
                self.once[i] += sum((row[k] for k, row in enumerate(AM)), arb(0))
        self.plain, self.pushed, self.spread = map(arb_mat, (plain, pushed, spread))
        self.twice = arb_mat(left) * arb_mat(right).transpose()


def _moves(solution: Solution, piece: Piece, elements: Sequence[Parameter]) -> list[dict[int, int]]:
    """Of A for each element: which row of A F is which row of F; all others are 0."""
    cp = solution.products
    offsets = cp.offsets(cp.strata[piece.stratum])
    starts: dict[int, list[int]] = {}
    for (block, _), start in zip(piece.component.levels, offsets, strict=True):
        starts.setdefault(block, []).append(start)
    found = []
    for p in elements:
        move = {}
        for start in starts.get(p.block, ()):
            move[start + p.row], move[start + p.column] = start + p.column, start + p.row
        found.append(move)
    return found


def _moved(rows: list[list[arb]], move: dict[int, int]) -> list[list[arb]]:
    zero = [arb(0)] * len(rows[0])
    return [rows[move[i]] if i in move else zero for i in range(len(rows))]


def _beside(parts: list[list[list[arb]]]) -> list[list[arb]]:
    return [[value for part in lines for value in part] for lines in zip(*parts, strict=True)]


def _corner(a: arb_mat) -> arb_mat:
    """Without the last row and column."""
    size = a.nrows() - 1
    return arb_mat(size, size, [a[i, k] for i in range(size) for k in range(size)])


def _require_affordable(solution: Solution, elements: int) -> None:
    rows = sum(piece.solved.moment.nrows() for piece in solution.pieces)
    widest = max(piece.solved.moment.nrows() for piece in solution.pieces)
    width = elements * (solution.products.p + 1)
    if rows * width * (width + widest) > MOST:
        raise UnavailableError(
            f"{elements} elements of covariances with {solution.products.p} fixed effects and "
            f"{rows} random effects are too many for tests that take the variances as estimated"
        )
