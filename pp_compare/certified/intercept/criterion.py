"""The profiled criterion of a random-intercept model and its score, in balls.

With ``rho = tau2 / sigma2`` and ``M = I + rho Z Z'``, every crossproduct the criterion needs is

    D' M^-1 D = W + sum_n S_n / (n (1 + n rho)),        D = [X, y],

``W`` the within-cluster crossproducts and ``S_n`` the crossproducts of the cluster sums of size
``n``. All terms are positive semidefinite, so nothing cancels as ``rho`` grows. Up to a constant,
minus twice the profiled log-likelihood is

    f(rho) = df log q + log|M|  (+ log|X'M^-1X| under REML),       df = N, or N - p under REML,

with ``q = y'Py`` (Bates, Mächler, Bolker & Walker 2015, J. Stat. Softw. 67(1), section 3).
With ``b = -q'`` and ``a`` the derivative of the log determinants, ``f' = a - df b / q``. In the
eigenvalues ``d_i >= 0`` of ``K'ZZ'K`` (``K`` orthonormal, ``K'X = 0``; the cluster sizes instead
for ``a`` under ML)

    q = sum c_i^2 / (1 + rho d_i),    b = sum c_i^2 d_i / (1 + rho d_i)^2,
    a = sum d_i / (1 + rho d_i):

all completely monotone in ``rho`` (Bernstein), and so are ``df b`` and ``a q``, whose difference
has the sign of ``-f'``. That is what makes the search for every stationary point a finite one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from flint import arb, arb_mat, arb_series, fmpq, fmpq_series, fmpz, fmpz_mat

from pp_compare.certified.intercept.precision import PrecisionError, ball_precision
from pp_compare.certified.intercept.statistics import InterceptStatistics, SizeClass

Series = Any  # arb_series or fmpq_series


@dataclass(frozen=True)
class ScorePoint:
    """Taylor coefficients at ``rho`` of the two sides of the score.

    ``evidence = df b`` speaks for variance between clusters and ``penalty = a q`` against it:
    the criterion falls where the evidence is larger and rises where the penalty is.
    Element ``k`` is the ``k``-th derivative over ``k!``.
    """

    rho: arb
    evidence: tuple[arb, ...]
    penalty: tuple[arb, ...]
    q: arb

    @property
    def sign(self) -> int:
        """Sign of ``f'`` where the balls decide it, else 0."""
        difference = self.penalty[0] - self.evidence[0]
        return int(difference > 0) - int(difference < 0)


class Criterion:
    """ML or REML criterion of the statistics, to be evaluated at the precision of its making.

    The matrix ``basis`` holds one row for ``W`` and one for each cluster size; a row of weights
    times ``basis`` gives the lower triangle of a Taylor coefficient of ``D'M^-1D`` and, in the
    last column, that of the derivative of ``log|M|``.
    """

    def __init__(self, statistics: InterceptStatistics, *, reml: bool, bits: int) -> None:
        self.statistics = statistics
        self.reml = reml
        self.bits = bits
        self.n_fixed = statistics.n_fixed
        self.df = statistics.n_obs - (self.n_fixed if reml else 0)
        self.sizes = [c.size for c in statistics.by_size]
        order = self.n_fixed + 1
        self._cells = [(i, j) for i in range(order) for j in range(i + 1)]
        with ball_precision(bits):
            self._basis = self._stacked()

    def _stacked(self) -> arb_mat:
        within, denominator = self.statistics.within
        entries = [arb(within[cell]) / denominator for cell in self._cells]
        entries.append(arb(0))
        for size, count, crossproduct in self.statistics.by_size:
            entries += [arb(crossproduct[cell]) for cell in self._cells]
            entries.append(arb(count * size**2))
        return arb_mat(len(self.sizes) + 1, len(self._cells) + 1, entries)

    def _taylor(self, rho: arb, terms: int) -> list[list[arb]]:
        """Taylor coefficients of the cells of ``D'M^-1D`` and of the derivative of ``log|M|``.

        Those of ``1 / (n (1 + n rho))`` are ``(-n)^k / (n (1 + n rho)^(k + 1))``; the derivative
        of ``log(1 + n rho)`` is ``n^2`` times the same.
        """
        rows = [[arb(int(k == 0))] for k in range(terms)]
        for n in self.sizes:
            ratio = 1 / (1 + n * rho)
            weight = ratio / n
            ratio *= -n
            for row in rows:
                row.append(weight)
                weight *= ratio
        flat = [weight for row in rows for weight in row]
        table: list[list[arb]] = (arb_mat(terms, len(self.sizes) + 1, flat) * self._basis).table()
        return table

    def crossproducts(self, rho: arb) -> arb_mat:
        """``D'M^-1D``, (p + 1, p + 1), in products of units."""
        (row,) = self._taylor(rho, 1)
        order = self.n_fixed + 1
        cell = dict(zip(self._cells, row, strict=False))
        return arb_mat([[cell[max(i, j), min(i, j)] for j in range(order)] for i in range(order)])

    def log_det_m(self, rho: arb) -> arb:
        """``log|M| = sum_j log(1 + n_j rho)``."""
        return sum((c.count * (1 + c.size * rho).log() for c in self.statistics.by_size), arb(0))

    def score(self, rho: arb, terms: int) -> ScorePoint:
        """Evaluate both sides of the score with ``terms`` Taylor coefficients each.

        Raises
        ------
        PrecisionError
            If the balls cannot tell that ``X'M^-1X`` is positive definite.
        """
        with ball_precision(self.bits, terms + 1):
            table = self._taylor(rho, terms + 1)
            columns = [arb_series(list(column)) for column in zip(*table, strict=True)]
            triangle = dict(zip(self._cells, columns[:-1], strict=True))
            try:
                evidence, penalty, q = self._sides(triangle, columns[-1])
            except ValueError:  # division by a series whose leading ball holds 0
                raise PrecisionError from None
            point = ScorePoint(rho, _first(evidence, terms), _first(penalty, terms), q[0])
        if not point.evidence[0].is_finite() or not point.penalty[0].is_finite():
            raise PrecisionError
        return point

    def _sides(self, triangle: dict[tuple[int, int], Series], trace: Series) -> tuple[Series, ...]:
        """``df b`` and ``a q`` as power series, with ``q``."""
        *fixed, q = _pivots(triangle, self.n_fixed + 1)
        a = trace
        if self.reml:
            for pivot in fixed:
                a = a + pivot.derivative() / pivot
        return -self.df * q.derivative(), a * q, q

    def exact_at_zero(self, terms: int) -> tuple[tuple[fmpq, ...], tuple[fmpq, ...]]:
        """Taylor coefficients at ``rho = 0`` of ``df b`` and ``a q``, as rationals, in units.

        They decide what balls can't: whether the score at 0 is exactly 0.
        """
        classes = self.statistics.by_size
        coefficients = [self.statistics.crossproduct]
        for k in range(1, terms + 1):
            coefficients.append(_weighted((-1) ** k, k - 1, classes))
        trace = [
            (-1) ** k * sum(c.count * c.size ** (k + 1) for c in classes) for k in range(terms)
        ]
        with ball_precision(self.bits, terms + 1):
            triangle = {
                cell: fmpq_series([matrix[cell] for matrix in coefficients]) for cell in self._cells
            }
            evidence, penalty, _ = self._sides(triangle, fmpq_series(trace))
            return _first(evidence, terms), _first(penalty, terms)

    @cached_property
    def evidence_is_zero(self) -> bool:
        """Whether ``b`` is 0; as a sum of non-negative terms it is so everywhere if at 0."""
        (evidence,), _ = self.exact_at_zero(1)
        return bool(evidence == 0)

    @cached_property
    def zero_order_at_zero(self) -> int:
        """How many derivatives of ``df b - a q`` vanish at ``rho = 0``, itself included."""
        terms = 1
        while True:
            evidence, penalty = self.exact_at_zero(terms)
            for k, (x, y) in enumerate(zip(evidence, penalty, strict=True)):
                if x != y:
                    return k
            terms *= 2


def _weighted(sign: int, power: int, classes: tuple[SizeClass, ...]) -> fmpz_mat:
    """``sign * sum_n n**power S_n``."""
    first, *others = (c.crossproduct * fmpz(sign * c.size**power) for c in classes)
    return sum(others, first)


def _pivots(triangle: dict[tuple[int, int], Series], order: int) -> list[Series]:
    """Pivots of the LDL' factorisation: the last is the Schur complement, ``y'Py``."""
    a = dict(triangle)
    for k in range(order):
        for i in range(k + 1, order):
            factor = a[i, k] / a[k, k]
            for j in range(k + 1, i + 1):
                a[i, j] = a[i, j] - factor * a[j, k]
    return [a[k, k] for k in range(order)]


def _first(series: Series, terms: int) -> tuple[Any, ...]:
    return tuple(series[k] for k in range(terms))


def certainly_above(
    upper: Sequence[tuple[arb, arb]], lower: Sequence[tuple[arb, arb]], width: arb
) -> bool:
    """Decide whether one completely monotone function is above another on an interval.

    Such functions are log-convex. So the logarithm of ``upper`` lies above its tangents at both
    ends, and that of ``lower`` below its chord; the tangents stay above the chord as far as their
    slopes let them reach, and if they reach each other the whole interval is covered.

    Parameters
    ----------
    upper, lower : two (value, slope) pairs
        The functions at the left and at the right end.
    width : arb
        Length of the interval.

    Returns
    -------
    bool
        True is proved; False says nothing.
    """
    (f, df), (g, dg) = upper
    (left, _), (right, _) = lower
    if not (width > 0 and f > left > 0 and g > right > 0):
        return False
    chord = (right / left).log() / width
    falls = (chord - df / f).upper()
    rises = (dg / g - chord).upper()
    if falls <= 0 or rises <= 0:
        return True
    return bool((f / left).log() / falls + (g / right).log() / rises > width)
