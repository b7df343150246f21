"""The exact marginal likelihood of one random intercept, with gradient and Hessian, in balls.

For a group with the rows (x_i, o_i, n_i), z_i = (x_i, b), mean m_i and variance v_i of row i,

    L = (2 pi)^-1/2 exp(y'(o + X beta)) * integral of F(b) db            (F: see ``quadrature``)
    d log L = E[g],   g_r = sum_i y_i z_ir - A_r,   A_r = sum_i m_i z_ir,
    d^2 log L = Cov(g_r, g_s) - E[sum_i v_i z_ir z_is],

E over the density F / integral of F. All moments of all groups with the same rows come from one
product of matrices: weights by nodes times nodes by moments.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from flint import arb, arb_mat, ctx

from pp_compare.certified.glmm.data import GlmmData, Row
from pp_compare.certified.glmm.quadrature import (
    ORDERS,
    Plan,
    Shape,
    Top,
    make_plan,
    strip_errors,
    tail_error,
)

SPARE_BITS = 24
"""Bits of working precision beyond those that the error bound is made for: sums over some thousand
nodes, with cancellation between moments, lose some seven digits."""


BOX_BITS = 30
"""Bits of the error bound below the width of a box: it then adds nothing to what the box does."""


@dataclass(frozen=True, eq=False)
class _Pattern:
    """Groups with the same rows: how many have each total S of the responses."""

    rows: tuple[Row, ...]
    X: arb_mat
    reach: tuple[arb, ...]
    counts: dict[int, int]

    @property
    def trials(self) -> int:
        return sum(row.trials for row in self.rows)


class ExactCriterion:
    """Minus the exact log-likelihood at (beta, sigma), (p + 1, 1).

    Parameters
    ----------
    data : GlmmData
        With one random intercept.
    """

    definition = "exact"

    def __init__(self, data: GlmmData) -> None:
        if not data.is_random_intercept:
            raise ValueError("the exact likelihood is that of one random intercept")
        self.data = data
        self.p = data.X.shape[1]
        self.size = self.p + 1
        grouped: dict[tuple[Row, ...], dict[int, int]] = defaultdict(lambda: defaultdict(int))
        for piece, count in data.pieces.items():
            grouped[piece.rows][int(piece.sums[0])] += count
        self._patterns = [_pattern(rows, counts) for rows, counts in grouped.items()]

    def value(self, at: arb_mat) -> arb:
        """Minus the log-likelihood, an enclosure."""
        return self._evaluate(at, derivatives=False)[0]

    def derivatives(self, at: arb_mat) -> tuple[arb_mat, arb_mat]:
        """Gradient (t, 1) and Hessian (t, t); over a box where `at` is one."""
        _, gradient, hessian = self._evaluate(at, derivatives=True)
        return gradient, hessian

    def everything(self, at: arb_mat) -> tuple[arb, arb_mat, arb_mat]:
        """Value, gradient and Hessian."""
        return self._evaluate(at, derivatives=True)

    def _evaluate(self, at: arb_mat, *, derivatives: bool) -> tuple[arb, arb_mat, arb_mat]:
        beta = arb_mat([[at[i, 0]] for i in range(self.p)])
        sums = _Sums(self.size, derivatives)
        for pattern in self._patterns:
            sums.add(_Nodes.of(self.data, pattern, beta, at[self.p, 0]))
        linear = [arb(x) for x in self.data.linear]
        value = sum((s * at[i, 0] for i, s in enumerate(linear)), sums.value)
        value += arb(self.data.offset_sum) + self.data.constant()
        for i, s in enumerate(linear):
            sums.gradient[i, 0] += s
        return -value, -sums.gradient, -sums.hessian


def _pattern(rows: tuple[Row, ...], counts: dict[int, int]) -> _Pattern:
    X = np.array([row.x for row in rows])
    largest = tuple(arb(float(c)) for c in np.abs(X).max(axis=0))
    return _Pattern(rows, arb_mat(X.tolist()), largest, dict(counts))


@dataclass(frozen=True, eq=False)
class _Nodes:
    """A pattern's nodes at one (beta, sigma): weights, means, variances and error bounds."""

    pattern: _Pattern
    plan: Plan
    sigma: arb
    b: list[arb]
    weights: arb_mat
    mean: arb_mat
    variance: arb_mat
    errors: list[list[list[arb]]]

    @staticmethod
    def of(data: GlmmData, pattern: _Pattern, beta: arb_mat, sigma: arb) -> _Nodes:
        eta = [
            arb(row.offset) + (x * beta)[0, 0]
            for row, x in zip(pattern.rows, _rows(pattern.X), strict=True)
        ]
        trials = np.array([row.trials for row in pattern.rows])
        shape = Shape(
            data.family, float(sigma.mid()), np.array([float(e.mid()) for e in eta]), trials
        )
        totals = list(pattern.counts)
        plan = make_plan(shape, totals, _bits([*eta, sigma]))
        h = arb(plan.h)
        b = [h * k for k in range(plan.first, plan.last + 1)]
        rise = [(sigma * x).exp() for x in b]
        base, mean, variance = _at_nodes(data, pattern, [e.exp() for e in eta], rise)
        core = [(-(x * x) / 2).exp() * d for x, d in zip(b, base, strict=True)]
        weights = arb_mat([_powers(core, rise, s) for s in totals])
        nodes = _Nodes(pattern, plan, sigma, b, weights, mean, variance, [])
        nodes.errors.extend(nodes._errors(data, i, s, shape, eta) for i, s in enumerate(totals))
        return nodes

    def _errors(
        self, data: GlmmData, i: int, total: int, shape: Shape, eta: list[arb]
    ) -> list[list[arb]]:
        """Bounds on what the sum of row i of the weights lacks, [power of b][power of the mean]."""
        sigma, trials, last = self.sigma, self.pattern.trials, len(self.b) - 1
        means = [
            sum((self.mean[k, r] for r in range(self.mean.ncols())), arb(0)) for k in (0, last)
        ]
        if data.family == "binomial":
            top = self._top_of_trials(i, total, shape)
            tops = [top] * ORDERS
        else:
            tops = [_top_of_counts(self, total, shape, eta, j) for j in range(ORDERS)]
        errors = strip_errors(self.plan, sigma, data.family, trials, tops)
        for end, at in enumerate((0, last)):
            # d log F / db, outwards; each power of the mean of counts adds sigma to it.
            slope = -self.b[at] + sigma * (total - means[end])
            for j in range(ORDERS):
                factor = arb(trials) ** j if data.family == "binomial" else means[end] ** j
                added = j * sigma if data.family == "poisson" else arb(0)
                fall = -(slope + added) if end else slope + added
                for k in range(ORDERS):
                    value = self.weights[i, at] * factor
                    errors[k][j] += tail_error(self.b[at], value, fall, self.plan.h, k)
        return errors

    def _top_of_trials(self, i: int, total: int, shape: Shape) -> Top:
        k = round(shape.mode(total) / self.plan.h) - self.plan.first
        k = min(max(k, 0), len(self.b) - 1)
        mean = sum((self.mean[k, r] for r in range(self.mean.ncols())), arb(0))
        return Top(self.b[k], self.weights[i, k], -self.b[k] + self.sigma * (total - mean))


def _top_of_counts(nodes: _Nodes, total: int, shape: Shape, eta: list[arb], power: int) -> Top:
    """Of G(x) m(x)^j, which is G with S + j successes, times the sum of n e^(o + x'beta), ^j."""
    share = (nodes.sigma * arb(nodes.plan.strip)).cos()
    x = arb(shape.mode(total + power, float(share.mid())))
    level = sum((r.trials * e.exp() for r, e in zip(nodes.pattern.rows, eta, strict=True)), arb(0))
    mean = level * (nodes.sigma * x).exp()
    value = (-(x * x) / 2 + (total + power) * nodes.sigma * x - share * mean).exp() * level**power
    return Top(x, value, -x + nodes.sigma * (total + power - share * mean))


def _bits(numbers: list[arb]) -> int:
    """What the error bound is made for: over a box no more than its width is worth."""
    widest = max(float(x.rad()) for x in numbers)
    worth = BOX_BITS - int(np.log2(widest)) if widest > 0 else ctx.prec
    return max(min(ctx.prec - SPARE_BITS, worth), BOX_BITS)


def _at_nodes(
    data: GlmmData, pattern: _Pattern, levels: list[arb], rise: list[arb]
) -> tuple[list[arb], arb_mat, arb_mat]:
    """1/D, and mean and variance of each row, at each node."""
    trials = [row.trials for row in pattern.rows]
    means, variances, base = [], [], []
    if data.family == "poisson":
        scaled = [n * level for n, level in zip(trials, levels, strict=True)]
        means = [[level * e for level in scaled] for e in rise]
        return [(-sum(m, arb(0))).exp() for m in means], arb_mat(means), arb_mat(means)
    for e in rise:
        product, mean, variance = arb(1), [], []
        for n, level in zip(trials, levels, strict=True):
            odds = level * e
            q = 1 / (1 + odds)
            product *= q**n if n != 1 else q
            m = n * (1 - q)
            mean.append(m)
            variance.append(m * q)
        base.append(product)
        means.append(mean)
        variances.append(variance)
    return base, arb_mat(means), arb_mat(variances)


def _powers(core: list[arb], rise: list[arb], power: int) -> list[arb]:
    if power == 0:
        return core
    return [c * e**power for c, e in zip(core, rise, strict=True)]


class _Sums:
    """log-likelihood, gradient and Hessian, summed over groups."""

    def __init__(self, size: int, derivatives: bool) -> None:
        self.value = arb(0)
        self.gradient = arb_mat(size, 1)
        self.hessian = arb_mat(size, size)
        self.derivatives = derivatives

    def add(self, nodes: _Nodes) -> None:
        """The groups of one pattern."""
        moments = _Moments(nodes) if self.derivatives else None
        scale = arb(nodes.plan.h) / (2 * arb.pi()).sqrt()
        plain = nodes.weights * arb_mat([[1]] * len(nodes.b))
        for i, (total, count) in enumerate(nodes.pattern.counts.items()):
            mass = plain[i, 0] + arb(0, nodes.errors[i][0][0])
            if moments is not None:
                gradient, hessian = moments.log_derivatives(i, total)
                self.gradient += count * gradient
                self.hessian += count * hessian
            self.value += count * (mass * scale).log()


class _Moments:
    """Sums over nodes of F times every moment that two derivatives need."""

    def __init__(self, nodes: _Nodes) -> None:
        self.nodes = nodes
        X, b = nodes.pattern.X, nodes.b
        p = self.p = X.ncols()
        first = (nodes.mean * X).tolist()
        totals = (nodes.mean * arb_mat([[1]] * X.nrows())).entries()
        pairs = [(r, s) for r in range(p) for s in range(r + 1)]
        crossed = [[X[i, r] * X[i, s] for r, s in pairs] for i in range(X.nrows())]
        spread = (nodes.variance * arb_mat(crossed)).tolist()
        varying = (nodes.variance * X).tolist()
        whole = (nodes.variance * arb_mat([[1]] * X.nrows())).entries()
        self.index: dict[tuple[str, int, int], int] = {}
        rows = []
        for k, x in enumerate(b):
            A = [*first[k], x * totals[k]]
            v = [*spread[k], *(x * e for e in varying[k]), x * x * whole[k]]
            rows.append(
                [arb(1), x, x * x, *A, *(x * e for e in A)]
                + [A[r] * A[s] - v[j] for j, (r, s) in enumerate(_pairs(p + 1))]
            )
        self.sums = nodes.weights * arb_mat(rows)
        self.pairs = _pairs(p + 1)

    def mass(self, i: int) -> arb:
        return self.sums[i, 0] + arb(0, self.nodes.errors[i][0][0])

    def log_derivatives(self, i: int, total: int) -> tuple[arb_mat, arb_mat]:
        """Of the integral of the groups with the i-th total, in (beta, sigma)."""
        t = self.p + 1
        mass = self.mass(i)
        error = self.nodes.errors[i]
        reach = [*self.nodes.pattern.reach, arb(1)]
        power = [0] * self.p + [1]

        def mean(column: int, radius: arb) -> arb:
            return (self.sums[i, column] + arb(0, radius)) / mass

        b, square = mean(1, error[1][0]), mean(2, error[2][0])
        A = [mean(3 + r, reach[r] * error[power[r]][1]) for r in range(t)]
        bA = [mean(3 + t + r, reach[r] * error[power[r] + 1][1]) for r in range(t)]
        slope = [-a for a in A]
        slope[self.p] += total * b
        hessian = arb_mat(t, t)
        for j, (r, s) in enumerate(self.pairs):
            e = error[power[r] + power[s]]
            value = mean(3 + 2 * t + j, reach[r] * reach[s] * (e[2] + e[1]))
            if r == self.p:
                value -= total * bA[s]
            if s == self.p:
                value -= total * bA[r]
                value += total**2 * square
            value -= slope[r] * slope[s]
            hessian[r, s] = hessian[s, r] = value
        return arb_mat([[s] for s in slope]), hessian


def _pairs(t: int) -> list[tuple[int, int]]:
    return [(r, s) for r in range(t) for s in range(r + 1)]


def _rows(X: arb_mat) -> Sequence[arb_mat]:
    return [arb_mat([row]) for row in X.tolist()]
