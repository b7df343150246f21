"""Adaptive Gauss-Hermite quadrature with k nodes as a criterion of its own, one random intercept.

With u* the mode of h of a group (see ``laplace``), s = (-h''(u*))^-1/2, and the nodes x_i and
weights w_i of the standard normal density,

    L_k = s sum_i w_i exp(h(u* + s x_i) + x_i^2 / 2)

(Pinheiro & Bates 1995, JCGS 4; lme4's ``glmer`` with nAGQ = k up to a constant). k = 1 is
Laplace's. Nodes, mode and derivatives are enclosed; derivatives are carried by jets.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from flint import arb, arb_mat, ctx, fmpz_poly

from pp_compare.certified.glmm.data import GlmmData, Piece, Row
from pp_compare.certified.glmm.jets import Jet
from pp_compare.certified.glmm.laplace import piece_at

MOST_NODES = 100
"""glmer takes 100 at most."""

Cumulant = Callable[[Jet, int], Jet]


@cache
def _rule(nodes: int, bits: int) -> tuple[tuple[arb, arb], ...]:
    """Nodes and weights for the standard normal density: roots of He_k, k!/(k He_(k-1)(x))^2."""
    with ctx.workprec(bits + 64):
        polynomials = [fmpz_poly([1]), fmpz_poly([0, 1])]
        for k in range(1, nodes):
            polynomials.append(fmpz_poly([0, 1]) * polynomials[k] - k * polynomials[k - 1])
        factorial = arb(nodes).fac() if hasattr(arb, "fac") else arb(nodes + 1).gamma()
        found = []
        roots: list[Any] = polynomials[nodes].complex_roots()
        for root, _ in roots:
            x = root.real
            below = _horner(polynomials[nodes - 1], x)
            found.append((x, factorial / (nodes * below) ** 2))
    return tuple(found)


def _horner(polynomial: fmpz_poly, x: arb) -> arb:
    value = arb(0)
    for k in range(polynomial.degree(), -1, -1):
        value = value * x + int(polynomial[k])
    return value


class AgqCriterion:
    """Minus the log of k-node adaptive quadrature at (beta, sigma), (p + 1, 1)."""

    def __init__(self, data: GlmmData, nodes: int) -> None:
        if not data.is_random_intercept:
            raise ValueError("adaptive quadrature is that of one random intercept")
        self.data = data
        self.nodes = nodes
        self.definition = f"agq:{nodes}"
        self.p = data.X.shape[1]
        self.size = self.p + 1
        self._pieces = [
            (piece, piece_at(data, piece), count) for piece, count in data.pieces.items()
        ]

    def value(self, at: arb_mat) -> arb:
        """Minus the criterion, an enclosure."""
        return self._sum(at, 0)[0]

    def derivatives(self, at: arb_mat) -> tuple[arb_mat, arb_mat]:
        """Gradient (t, 1) and Hessian (t, t); over a box where `at` is one."""
        _, gradient, hessian = self.everything(at)
        return gradient, hessian

    def everything(self, at: arb_mat) -> tuple[arb, arb_mat, arb_mat]:
        """Value, gradient and Hessian."""
        return self._sum(at, self.size)

    def _sum(self, at: arb_mat, size: int) -> tuple[arb, arb_mat, arb_mat]:
        total = Jet.constant(self.data.constant() + arb(self.data.offset_sum), size)
        parameters = [
            Jet.variable(at[i, 0], i, size) if size else Jet.constant(at[i, 0], 0)
            for i in range(self.size)
        ]
        for i, y in enumerate(self.data.linear):
            total += parameters[i].times(arb(y))
        for piece, enclose, count in self._pieces:
            total += self._piece(piece, enclose(at), parameters).times(arb(count))
        gradient, hessian = arb_mat(size, 1), arb_mat(size, size)
        k = 0
        for r in range(size):
            gradient[r, 0] = -total.first[r]
            for s in range(r + 1):
                hessian[r, s] = hessian[s, r] = -total.second[k]
                k += 1
        return -total.value, gradient, hessian

    def _piece(self, piece: Piece, mode: arb, parameters: list[Jet]) -> Jet:
        """Log L_k of one group, without y'(o + X beta)."""
        size = len(parameters[0].first)
        family, sigma, total = self.data.family, parameters[self.p], arb(int(piece.sums[0]))
        levels = [(arb(row.trials), _level(row, parameters)) for row in piece.rows]

        def cumulant(u: Jet, order: int) -> Jet:
            shift = sigma * u
            terms = [(level + shift).cumulant(family, order).times(n) for n, level in levels]
            return _sum_of(terms, Jet.constant(arb(0), size))

        one = Jet.constant(arb(1), size)
        u = Jet.constant(mode, size)
        for _ in range(2 if size else 0):
            # Newton's method on jets: each step doubles the orders that are right.
            slope = sigma * (Jet.constant(total, size) - cumulant(u, 1)) - u
            curvature = one + sigma * sigma * cumulant(u, 2)
            step = slope * curvature.reciprocal()
            u = Jet(mode, [a + b for a, b in zip(u.first, step.first, strict=True)],
                    [a + b for a, b in zip(u.second, step.second, strict=True)])  # fmt: skip
        curvature = one + sigma * sigma * cumulant(u, 2)
        log_spread = curvature.log().times(arb(-1) / 2)
        spread = log_spread.exp()
        height = _height(u, total, sigma, cumulant)
        parts = Jet.constant(arb(0), size)
        for x, weight in _rule(self.nodes, ctx.prec):
            there = _height(u + spread.times(x), total, sigma, cumulant)
            parts += (there - height).exp().times(weight * (x * x / 2).exp())
        return height + log_spread + parts.log()


def _height(u: Jet, total: arb, sigma: Jet, cumulant: Cumulant) -> Jet:
    """The exponent h at u."""
    return (sigma * u).times(total) - cumulant(u, 0) - (u * u).times(arb(1) / 2)


def _level(row: Row, parameters: list[Jet]) -> Jet:
    """A row's linear predictor without the random effect."""
    parts = [p.times(arb(x)) for p, x in zip(parameters, row.x, strict=False)]
    return _sum_of(parts, Jet.constant(arb(row.offset), len(parameters[0].first)))


def _sum_of(jets: list[Jet], start: Jet) -> Jet:
    for jet in jets:
        start = start + jet
    return start
