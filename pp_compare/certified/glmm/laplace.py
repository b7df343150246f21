"""The Laplace criterion of any random structure, with gradient and Hessian, in balls.

With u the spherical random effects, M = Z Lambda, eta = o + X beta + M u, W = diag(n a''(eta)),

    h(u) = y'eta - sum n a(eta) - u'u/2,   A = I + M'W M = -h'',
    Laplace = h(u*) - log det(A)/2,        u* the mode of h

(Pinheiro & Chao 2006, JCGS 15; lme4's ``glmer`` with nAGQ = 1). Subscripts are total derivatives in
(beta, theta), M is linear in theta, and d_r eta is the partial derivative at fixed u, X_r or M_r u:

    A u_r  = M_r'(y - mu) - M'W d_r eta,      eta_r = d_r eta + M u_r,   W_r = n a''' eta_r
    A u_rs = -M_r'W eta_s - M_s'W eta_r - M'(n a''' eta_r eta_s) - M'W (M_r u_s + M_s u_r)
    eta_rs = M_r u_s + M_s u_r + M u_rs,      W_rs = n a'''' eta_r eta_s + n a''' eta_rs

-h is strongly convex with constant 1, so |u* - u| <= |h'(u)| for every u: that encloses the mode,
and one step of the interval Newton method sharpens it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flint import arb, arb_mat, ctx, fmpq

from pp_compare.certified.equations.krawczyk import NotProvedError, UndecidedError, cholesky
from pp_compare.certified.glmm.cumulants import cumulants
from pp_compare.certified.glmm.data import GlmmData, Piece

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


PieceAt = Callable[[arb_mat], arb]


def piece_at(data: GlmmData, piece: Piece) -> PieceAt:
    """What encloses the mode of a piece with one random effect, at a point or over a box."""
    own = _Piece(data, piece)
    return lambda at: own.at(at).u[0, 0]


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
        self._sums = [fmpq(s.numerator, s.denominator) for s in piece.sums]
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

    @property
    def sums(self) -> arb_mat:
        """Z'y, at the precision in force."""
        return arb_mat([[arb(s)] for s in self._sums])

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
        """H - log det(A) / 2, without y'(o + X beta)."""
        factor = cholesky(self.A, "the curvature at the mode")
        logs = sum((factor[i, i].log() for i in range(factor.nrows())), arb(0))
        cumulant = sum((part[0] for part in self.parts), arb(0))
        return _dot(self.sums, self.u) - cumulant - _dot(self.u, self.u) / 2 - logs


def _derivatives(piece: _Piece, state: _State) -> tuple[arb_mat, arb_mat]:
    """Gradient and Hessian of `_State.value` in (beta, theta)."""
    moves = _Moves(piece, state)
    gradient, hessian = arb_mat(moves.t, 1), arb_mat(moves.t, moves.t)
    for r in range(moves.t):
        gradient[r, 0] = moves.slope(r)
        for s in range(r + 1):
            hessian[r, s] = hessian[s, r] = moves.bend(r, s)
    return gradient, hessian


class _Moves:
    """First derivatives of mode, predictor and curvature, and what follows from them.

    ``partial`` is d_r eta, ``first`` u_r, ``eta`` eta_r, ``dW`` W_r, ``bent`` A^-1 A_r; ``d0`` is
    the diagonal of M A^-1 M', ``d1`` that of M A^-1 M_r'.
    """

    def __init__(self, piece: _Piece, state: _State) -> None:
        self.piece, self.state = piece, state
        self.p, self.t = piece.p, piece.p + len(piece.theta)
        M, u = state.M, state.u
        self.W = [part[2] for part in state.parts]
        self.third, self.fourth = ([part[k] for part in state.parts] for k in (3, 4))
        try:
            self.inverse = state.A.inv()
        except ZeroDivisionError:
            raise UndecidedError("the curvature at the mode is not certainly invertible") from None
        self.Mt = M.transpose()
        theta = range(self.p, self.t)
        self.moved = dict(zip(theta, piece.moved, strict=True))
        self.pulls = {r: _swapped(piece.places[r - self.p], piece.sums) for r in theta}  # M_r'y
        self.partial = [
            _column(piece.X, r) if r < self.p else self.moved[r] * u for r in range(self.t)
        ]
        self.first = [self._first(r) for r in range(self.t)]
        self.eta = [d + M * u_r for d, u_r in zip(self.partial, self.first, strict=True)]
        self.dW = [_times(self.third, e) for e in self.eta]
        MA = M * self.inverse
        self.d0 = _diagonal(MA, M)
        self.d1 = {r: _diagonal(MA, self.moved[r]) for r in theta}
        self.turned = {r: self.moved[r] * self.inverse for r in theta}
        self.bent = [self._bent(r) for r in range(self.t)]

    def _first(self, r: int) -> arb_mat:
        rhs = -(self.Mt * _scaled(self.W, self.partial[r]))
        if r >= self.p:
            rhs += self.pulls[r] - self.moved[r].transpose() * self.state.mean
        return self.inverse * rhs

    def _bent(self, r: int) -> arb_mat:
        M = self.state.M
        A_r = _gram(M, self.dW[r], M)
        if r >= self.p:
            half = _gram(self.moved[r], self.W, M)
            A_r += half + half.transpose()
        return self.inverse * A_r

    def slope(self, r: int) -> arb:
        """The first derivative."""
        pull = -_dot(self.state.mean, self.partial[r])
        if r >= self.p:
            pull += _dot(self.pulls[r], self.state.u)
        return pull - _trace(self.bent[r]) / 2

    def bend(self, r: int, s: int) -> arb:
        """The second derivative."""
        f = -_sum(_times(self.W, self.eta[s]), self.partial[r].entries())
        if r >= self.p:
            f += _dot(self.pulls[r], self.first[s])
            f -= _dot(self.state.mean, self.moved[r] * self.first[s])
        return f - self._log_det(r, s) / 2

    def _log_det(self, r: int, s: int) -> arb:
        """Second derivative of log det(A): tr(A^-1 A_rs) - tr(A^-1 A_r A^-1 A_s)."""
        crossed = _scaled(_times(self.fourth, self.eta[r]), self.eta[s])
        W_rs = crossed + _scaled(self.third, self._predictor(r, s))
        trace = _sum(W_rs.entries(), self.d0)
        if r >= self.p:
            trace += 2 * _sum(self.dW[s], self.d1[r])
        if s >= self.p:
            trace += 2 * _sum(self.dW[r], self.d1[s])
        if r >= self.p and s >= self.p:
            trace += 2 * _sum(self.W, _diagonal(self.turned[r], self.moved[s]))
        return trace - _sum_of_products(self.bent[r], self.bent[s])

    def _predictor(self, r: int, s: int) -> arb_mat:
        """The second derivative eta_rs."""
        mixed = arb_mat(self.state.M.nrows(), 1)
        rhs = -(self.Mt * _scaled(self.dW[r], self.eta[s]))
        for one, other in ((r, s), (s, r)):
            if one >= self.p:
                mixed += self.moved[one] * self.first[other]
                rhs -= self.moved[one].transpose() * _scaled(self.W, self.eta[other])
        rhs -= self.Mt * _scaled(self.W, mixed)
        return mixed + self.state.M * (self.inverse * rhs)


def _swapped(places: list[tuple[int, int]], sums: arb_mat) -> arb_mat:
    """E'(Z'y)."""
    found = arb_mat(sums.nrows(), 1)
    for a, b in places:
        found[b, 0] = sums[a, 0]
    return found


def _gram(a: arb_mat, weights: list[arb], b: arb_mat) -> arb_mat:
    """A' diag(weights) b."""
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
