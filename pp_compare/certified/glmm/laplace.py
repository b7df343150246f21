"""The Laplace criterion of any random structure, with gradient and Hessian, in balls.

With u the spherical random effects, M = Z Lambda, eta = o + X beta + M u, W = diag(n a''(eta)),

    h(u) = y'eta - sum n a(eta) - u'u/2,   A = I + M'W M = -h'',
    Laplace = h(u*) - log det(A)/2,        u* the mode of h

(Bates et al., lme4's ``glmer`` with nAGQ = 1; Pinheiro & Chao 2006, JCGS 15). Subscripts are total
derivatives in (beta, theta), M is linear in theta, and d_r eta is the partial derivative at fixed u,
X_r or M_r u:

    A u_r  = M_r'(y - mu) - M'W d_r eta,      eta_r = d_r eta + M u_r,   W_r = n a''' eta_r
    A u_rs = -M_r'W eta_s - M_s'W eta_r - M'(n a''' eta_r eta_s) - M'W (M_r u_s + M_s u_r)
    eta_rs = M_r u_s + M_s u_r + M u_rs,      W_rs = n a'''' eta_r eta_s + n a''' eta_rs

-h is strongly convex with constant 1, so |u* - u| <= |h'(u)| for every u: that encloses the mode, and
one step of the interval Newton method sharpens it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from flint import arb, arb_mat, ctx

from pp_compare.certified.glmm.cumulants import cumulants
from pp_compare.certified.glmm.data import GlmmData, Piece
from pp_compare.certified.general.krawczyk import NotProvedError, UndecidedError, cholesky

MOST_EFFECTS = 400
"""Random effects of one piece: a dense matrix of that size is inverted, in balls."""

NEWTON_STEPS = 60
"""Of the mode, with halved steps; a concave function needs some ten."""


class LaplaceCriterion:
    """Minus the Laplace criterion at (beta, theta), (p + t, 1); theta as lme4 orders it."""

    definition = "laplace"

    def __init__(self, data: GlmmData) -> None:
        self.data = data
        self.p = data.X.shape[1]
        self.size = self.p + len(data.theta)
        self._pieces = [(_Piece(data, piece), count) for piece, count in data.pieces.items()]

    def value(self, at: arb_mat) -> arb:
        """Minus the criterion, an enclosure."""
        return self._evaluate(at, derivatives=False)[0]

    def derivatives(self, at: arb_mat) -> tuple[arb_mat, arb_mat]:
        """Gradient (t, 1) and Hessian (t, t); over a box where `at` is one."""
        _, gradient, hessian = self._evaluate(at, derivatives=True)
        return gradient, hessian

    def everything(self, at: arb_mat) -> tuple[arb, arb_mat, arb_mat]:
        """Value, gradient and Hessian."""
        return self._evaluate(at, derivatives=True)

    def _evaluate(self, at: arb_mat, *, derivatives: bool) -> tuple[arb, arb_mat, arb_mat]:
        gradient, hessian = arb_mat(self.size, 1), arb_mat(self.size, self.size)
        linear = [arb(x) for x in self.data.linear]
        value = sum((s * at[i, 0] for i, s in enumerate(linear)), self.data.constant())
        value += arb(self.data.offset_sum)
        for piece, count in self._pieces:
            state = piece.at(at)
            value += count * state.value()
            if derivatives:
                slope, bend = _derivatives(piece, state)
                gradient += count * slope
                hessian += count * bend
        for i, s in enumerate(linear):
            gradient[i, 0] += s
        return -value, -gradient, -hessian


class _Piece:
    """A piece's matrices, and where its mode was last."""

    def __init__(self, data: GlmmData, piece: Piece) -> None:
        m = len(piece.effects)
        if m > MOST_EFFECTS:
            raise NotProvedError(
                f"{m} random effects hang together; {MOST_EFFECTS} at most are worked out"
            )
        self.family = data.family
        self.theta = data.theta
        self.p = data.X.shape[1]
        self.trials = [row.trials for row in piece.rows]
        self.X = arb_mat([list(row.x) for row in piece.rows])
        self.offset = arb_mat([[row.offset] for row in piece.rows])
        self.Z = arb_mat(len(piece.rows), m)
        for i, row in enumerate(piece.rows):
            for at, value in row.z:
                self.Z[i, at] = arb(value)
        self.sums = arb_mat([[arb(s.numerator) / s.denominator] for s in piece.sums])
        self.places = [_entries(piece, entry) for entry in data.theta]
        # dM / dtheta_r: column b of Z E is column a of Z.
        self.moved = [self._times(self.Z, places) for places in self.places]
        self.mode = [0.0] * m

    @staticmethod
    def _times(Z: arb_mat, places: list[tuple[int, int]]) -> arb_mat:
        found = arb_mat(Z.nrows(), Z.ncols())
        for a, b in places:
            for i in range(Z.nrows()):
                found[i, b] = Z[i, a]
        return found

    def factor(self, theta: list[arb]) -> arb_mat:
        """Lambda."""
        found = arb_mat(len(self.mode), len(self.mode))
        for value, places in zip(theta, self.places, strict=True):
            for a, b in places:
                found[a, b] = value
        return found

    def at(self, at: arb_mat) -> _State:
        """The state at the mode, enclosed over the box `at`."""
        beta = arb_mat([[at[i, 0]] for i in range(self.p)])
        factor = self.factor([at[self.p + r, 0] for r in range(len(self.theta))])
        middle = _Predictor(self, beta.mid(), factor.mid())
        u = self._find(middle)
        self.mode = [float(x) for x in u.entries()]
        here = _Predictor(self, beta, factor)
        return here.state(self._enclose(here, u))

    def _find(self, here: _Predictor) -> arb_mat:
        """The mode to full precision; nothing here has to be rigorous."""
        u = arb_mat([[x] for x in self.mode])
        state = here.state(u)
        for _ in range(NEWTON_STEPS):
            size = _norm(state.slope)
            if size < arb(2) ** (12 - ctx.prec):
                break
            step, share = state.newton(), arb(1)
            while share > arb(2) ** -30:
                trial = here.state((u + share * step).mid())
                if _norm(trial.slope) < size:
                    break
                share /= 2
            else:
                break
            u, state = trial.u, trial
        return u

    def _enclose(self, here: _Predictor, u: arb_mat) -> arb_mat:
        slope = here.state(u).slope
        radius = _norm(slope, upper=True)
        wide = arb_mat([[arb(x.mid(), radius)] for x in u.entries()])
        try:
            sharp = u + here.state(wide).A.solve(slope)
        except ZeroDivisionError:
            return wide
        if all(s.rad() < w.rad() for s, w in zip(sharp.entries(), wide.entries(), strict=True)):
            return sharp
        return wide


def _entries(piece: Piece, entry: tuple[int, int, int]) -> list[tuple[int, int]]:
    """Places of an entry of a term's factor in Lambda of the piece."""
    term, row, column = entry
    starts = [i for i, effect in enumerate(piece.effects) if effect == (term, 0)]
    return [(start + row, start + column) for start in starts]


def _norm(vector: arb_mat, *, upper: bool = False) -> arb:
    total = sum((x * x for x in vector.entries()), arb(0))
    return (total.abs_upper() if upper else abs(total.mid())).sqrt().abs_upper()


@dataclass(frozen=True, eq=False)
class _Predictor:
    """A piece at given beta and Lambda."""

    piece: _Piece
    beta: arb_mat
    factor: arb_mat

    def state(self, u: arb_mat) -> _State:
        piece = self.piece
        M = piece.Z * self.factor
        eta = piece.offset + piece.X * self.beta + M * u
        parts = [cumulants(piece.family, e) for e in eta.entries()]
        scaled = [[n * x for x in part] for n, part in zip(piece.trials, parts, strict=True)]
        sums = self.factor.transpose() * piece.sums
        mean = arb_mat([[part[1]] for part in scaled])
        slope = sums - M.transpose() * mean - u
        A = _gram(M, [part[2] for part in scaled], M)
        for i in range(A.nrows()):
            A[i, i] += 1
        return _State(u, M, scaled, mean, sums, slope, A)


@dataclass(frozen=True, eq=False)
class _State:
    """All that the formulas need at one u."""

    u: arb_mat
    M: arb_mat
    parts: list[list[arb]]
    mean: arb_mat
    sums: arb_mat
    slope: arb_mat
    A: arb_mat

    def newton(self) -> arb_mat:
        return self.A.mid().solve(self.slope.mid()).mid()

    def value(self) -> arb:
        """h - log det(A) / 2, without y'(o + X beta)."""
        factor = cholesky(self.A, "the curvature at the mode")
        logs = sum((factor[i, i].log() for i in range(factor.nrows())), arb(0))
        cumulant = sum((part[0] for part in self.parts), arb(0))
        return _dot(self.sums, self.u) - cumulant - _dot(self.u, self.u) / 2 - logs


def _derivatives(piece: _Piece, state: _State) -> tuple[arb_mat, arb_mat]:
    """Gradient and Hessian of `_State.value` in (beta, theta)."""
    p, t = piece.p, piece.p + len(piece.theta)
    u, M, mean, rows = state.u, state.M, state.mean, range(state.M.nrows())
    W = [part[2] for part in state.parts]
    third, fourth = [part[3] for part in state.parts], [part[4] for part in state.parts]
    try:
        inverse = state.A.inv()
    except ZeroDivisionError:
        raise UndecidedError("the curvature at the mode is not certainly invertible") from None
    Mt = M.transpose()
    none = arb_mat(M.nrows(), M.ncols())
    moved = [none] * p + piece.moved
    theta = range(p, t)
    pulls = {r: _swapped(piece.places[r - p], piece.sums) for r in theta}  # M_r'y
    partial = [_column(piece.X, r) if r < p else moved[r] * u for r in range(t)]
    first: list[arb_mat] = []
    for r in range(t):
        rhs = -(Mt * _scaled(W, partial[r]))
        if r >= p:
            rhs += pulls[r] - moved[r].transpose() * mean
        first.append(inverse * rhs)
    eta = [partial[r] + M * first[r] for r in range(t)]
    dW = [_times(third, e) for e in eta]
    MA = M * inverse
    d0 = _diagonal(MA, M)
    d1 = {r: _diagonal(MA, moved[r]) for r in theta}
    turned = {r: moved[r] * inverse for r in theta}
    bent = []
    for r in range(t):
        A_r = _gram(M, dW[r], M)
        if r >= p:
            half = _gram(moved[r], W, M)
            A_r += half + half.transpose()
        bent.append(inverse * A_r)
    gradient, hessian = arb_mat(t, 1), arb_mat(t, t)
    for r in range(t):
        pull = -_dot(mean, partial[r]) + (_dot(pulls[r], u) if r >= p else 0)
        gradient[r, 0] = pull - _trace(bent[r]) / 2
        for s in range(r + 1):
            mixed = arb_mat(M.nrows(), 1)
            rhs = -(Mt * _scaled(_times(third, eta[r]), eta[s]))
            if r >= p:
                mixed += moved[r] * first[s]
                rhs -= moved[r].transpose() * _scaled(W, eta[s])
            if s >= p:
                mixed += moved[s] * first[r]
                rhs -= moved[s].transpose() * _scaled(W, eta[r])
            rhs -= Mt * _scaled(W, mixed)
            second = mixed + M * (inverse * rhs)
            f = -sum((W[i] * eta[s][i, 0] * partial[r][i, 0] for i in rows), arb(0))
            trace = sum(
                (
                    (fourth[i] * eta[r][i, 0] * eta[s][i, 0] + third[i] * second[i, 0]) * d0[i]
                    for i in rows
                ),
                arb(0),
            )
            if r >= p:
                f += _dot(pulls[r], first[s]) - _dot(mean, moved[r] * first[s])
                trace += 2 * _sum(dW[s], d1[r])
            if s >= p:
                trace += 2 * _sum(dW[r], d1[s])
            if r >= p and s >= p:
                trace += 2 * _sum(W, _diagonal(turned[r], moved[s]))
            trace -= _sum_of_products(bent[r], bent[s])
            hessian[r, s] = hessian[s, r] = f - trace / 2
    return gradient, hessian


def _swapped(places: list[tuple[int, int]], sums: arb_mat) -> arb_mat:
    """E'(Z'y)."""
    found = arb_mat(sums.nrows(), 1)
    for a, b in places:
        found[b, 0] = sums[a, 0]
    return found


def _gram(a: arb_mat, weights: list[arb], b: arb_mat) -> arb_mat:
    """a' diag(weights) b."""
    return a.transpose() * arb_mat(
        [[w * x for x in row] for w, row in zip(weights, b.tolist(), strict=True)]
    )


def _scaled(weights: list[arb], column: arb_mat) -> arb_mat:
    return arb_mat([[w * x] for w, x in zip(weights, column.entries(), strict=True)])


def _times(weights: list[arb], column: arb_mat) -> list[arb]:
    return [w * x for w, x in zip(weights, column.entries(), strict=True)]


def _column(a: arb_mat, j: int) -> arb_mat:
    return arb_mat([[a[i, j]] for i in range(a.nrows())])


def _diagonal(a: arb_mat, b: arb_mat) -> list[arb]:
    """Of a b'."""
    return [_sum(x, y) for x, y in zip(a.tolist(), b.tolist(), strict=True)]


def _sum(a: list[arb], b: list[arb]) -> arb:
    return sum((x * y for x, y in zip(a, b, strict=True)), arb(0))


def _dot(a: arb_mat, b: arb_mat) -> arb:
    return _sum(a.entries(), b.entries())


def _trace(a: arb_mat) -> arb:
    return sum((a[i, i] for i in range(a.nrows())), arb(0))


def _sum_of_products(a: arb_mat, b: arb_mat) -> arb:
    """tr(a b)."""
    return _sum(a.entries(), b.transpose().entries())
