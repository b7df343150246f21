"""No stationary point is missed: exact root counts of the score polynomial by Sturm's theorem.

For an intercept-only model, with ``L = prod(1 + n_j rho)`` and the weights
``w_j = n_j / (1 + n_j rho)``, the sums ``sum w_j ybar_j^k = P_k / L`` have polynomials ``P_k``, and

    y'Py = SSW + P_2/L - P_1^2 / (P_0 L) = Q / (P_0 L).

So the derivative of the criterion is a polynomial in ``rho`` over one that has no root on
[0, infinity), and the roots of the former can be counted in rational arithmetic.
"""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from flint import fmpq, fmpq_poly

from pp_compare.certified.intercept.degenerate import DegenerateModelError
from pp_compare.certified.intercept.optimum import intercept_optimum
from pp_compare.certified.intercept.stationary import Kind
from pp_compare.certified.intercept.statistics import InterceptStatistics


def score_polynomial(clusters, reml):
    """Numerator of the derivative of ``df log q + log|M| (+ log|X'M^-1X|)``."""
    n = sum(len(c) for c in clusters)
    means = [Fraction(sum(c), len(c)) for c in clusters]
    ssw = sum((v - m) ** 2 for c, m in zip(clusters, means, strict=True) for v in c)
    factors = [fmpq_poly([1, len(c)]) for c in clusters]
    L = fmpq_poly([1])
    for factor in factors:
        L *= factor
    power_sums = [
        sum(
            (
                L / f * rational(len(c) * m**k)
                for c, m, f in zip(clusters, means, factors, strict=True)
            ),
            fmpq_poly([0]),
        )
        for k in range(3)
    ]
    P0, P1, P2 = power_sums
    Q = rational(ssw) * P0 * L + P2 * P0 - P1 * P1
    # the division by L is exact: P1^2 - P0 P2 vanishes wherever a factor of L does
    Q, remainder = divmod(Q, L)
    assert remainder == 0
    # q = Q / P0, |M| = L, X'M^-1X = P0 / L
    df = n - 1 if reml else n
    share = 1 if reml else 0
    return (
        df * Q.derivative() * P0 * L
        - (df - share) * Q * P0.derivative() * L
        + (1 - share) * Q * P0 * L.derivative()
    )


def rational(x):
    return fmpq(x.numerator, x.denominator)


def sign_changes(values):
    signs = [v > 0 for v in values if v != 0]
    return sum(a != b for a, b in itertools.pairwise(signs))


def positive_roots(polynomial):
    """Distinct roots in (0, infinity), by Sturm's theorem."""
    while polynomial[0] == 0:  # roots at 0 do not count
        polynomial = polynomial / fmpq_poly([0, 1])
    sequence = [polynomial, polynomial.derivative()]
    while sequence[-1].degree() > 0:
        remainder = sequence[-2] % sequence[-1]
        if remainder == 0:
            break
        sequence.append(-remainder)
    at_zero = [p[0] for p in sequence]
    at_infinity = [p[p.degree()] for p in sequence]
    return sign_changes(at_zero) - sign_changes(at_infinity)


def test_sturm_counts_roots():
    polynomial = fmpq_poly([1])
    for root in (-3, 0, 2, 2, 5):
        polynomial *= fmpq_poly([-root, 1])
    assert positive_roots(polynomial) == 2
    assert positive_roots(fmpq_poly([1, 0, 1])) == 0


def intercept_only(rng):
    """Small clusters of small integers: two optima and scores of 0 at 0 are common here."""
    n_clusters = int(rng.integers(2, 6))
    sizes = rng.integers(1, int(rng.integers(3, 9)), n_clusters)
    return [rng.integers(-4, 5, size).tolist() for size in sizes]


@pytest.mark.parametrize("reml", [False, True])
def test_every_root_of_the_score_is_found(reml):
    rng = np.random.default_rng(19)
    counts = {0: 0, 1: 0, 2: 0}
    while sum(counts.values()) < 1000:
        clusters = intercept_only(rng)
        y = [v for c in clusters for v in c]
        group = np.repeat(np.arange(len(clusters)), [len(c) for c in clusters])
        statistics = InterceptStatistics.from_rationals(y, [[1]] * len(y), group)
        try:
            optimum = intercept_optimum(statistics, reml=reml)
        except DegenerateModelError:
            continue
        inside = [s for s in optimum.stationary if not s.boundary]
        score = score_polynomial(clusters, reml)
        if score == 0:  # the criterion is flat: the variances cannot be told apart
            assert inside == []
            continue
        assert len(inside) == positive_roots(score)
        kinds = [s.kind for s in optimum.stationary]
        assert kinds[::2] == [Kind.MINIMUM] * len(kinds[::2])  # they alternate, minima outside
        assert kinds[1::2] == [Kind.MAXIMUM] * len(kinds[1::2])
        counts[len(inside)] += 1
    assert all(count > 0 for count in counts.values())


MERGING = Fraction(34886182402899606, 10**16)  # where two stationary points meet, to 16 digits


@pytest.mark.parametrize("exponent", [4, 12, 20, 28, 36])
@pytest.mark.parametrize(("side", "count"), [(-1, 0), (1, 2)])
def test_stationary_points_about_to_merge_are_told_apart(side, count, exponent):
    """On one side of the merger there is a pair ever closer together, on the other none."""
    last = -(MERGING + Fraction(side, 2**exponent))
    clusters = [[-2, 1, 2, -2, 0, 2], [4], [last]]
    assert positive_roots(score_polynomial(clusters, reml=False)) == count
    y = [v for c in clusters for v in c]
    statistics = InterceptStatistics.from_rationals(y, [[1]] * 8, [0] * 6 + [1, 2])
    optimum = intercept_optimum(statistics, reml=False)
    assert len([s for s in optimum.stationary if not s.boundary]) == count
