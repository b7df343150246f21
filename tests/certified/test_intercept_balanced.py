"""Balanced one-way data have a closed REML solution: truth without an optimiser.

``sigma2 = MSW`` and ``tau2 = (MSB - MSW) / n`` where MSB > MSW (Searle, Casella & McCulloch 1992,
Variance Components, chapter 3). The data are those of Simon & Lesage (1989), Comput. Stat. Data
Anal. 8, 325-332, from their construction: NIST StRD's SmLs01 to SmLs09.
"""

from fractions import Fraction

import numpy as np
import pytest
from flint import fmpq

from pp_compare.certified.intercept.optimum import intercept_optimum
from pp_compare.certified.intercept.precision import ball_precision
from pp_compare.certified.intercept.statistics import InterceptStatistics

TREATMENT_TENTHS = (4, 3, 5, 3, 5, 3, 5, 3, 5)


def simon_lesage(offset, replicates):
    """Nine treatments: a mean, then pairs a tenth below and above it."""
    return [
        [offset + Fraction(mean + step, 10) for step in (0, *[-1, 1] * (replicates // 2))]
        for mean in TREATMENT_TENTHS
    ]


def anova(clusters):
    """MSW and MSB as fractions."""
    n, n_clusters = len(clusters[0]), len(clusters)
    means = [sum(c) / n for c in clusters]
    grand = sum(means) / n_clusters
    within = sum((v - m) ** 2 for c, m in zip(clusters, means, strict=True) for v in c)
    between = n * sum((m - grand) ** 2 for m in means)
    return within / (n_clusters * (n - 1)), between / (n_clusters - 1)


def assert_closed_form(statistics, clusters):
    n, n_clusters = len(clusters[0]), len(clusters)
    msw, msb = anova(clusters)
    tau2 = (msb - msw) / n
    grand = sum(sum(c) for c in clusters) / (n * n_clusters)
    optimum = intercept_optimum(statistics, reml=True)
    expected = {
        "rho": (optimum.rho, tau2 / msw),
        "sigma2": (optimum.sigma2, msw),
        "tau2": (optimum.tau2, tau2),
        "beta": (optimum.beta[0], grand),
        "beta_cov": (optimum.beta_cov[0, 0], msb / (n * n_clusters)),
    }
    for cluster, blup in zip(clusters, optimum.blup, strict=True):
        expected[f"blup {len(expected)}"] = (blup, (1 - msw / msb) * (sum(cluster) / n - grand))
    scale = fmpq(msw.numerator, msw.denominator)  # a blup may be exactly 0
    with ball_precision(2 * optimum.bits):
        for name, (enclosure, exact) in expected.items():
            true = fmpq(exact.numerator, exact.denominator)
            assert enclosure.contains(true), name
            assert abs(enclosure - true) <= (abs(true) + scale) * fmpq(1, 10**25), name


@pytest.mark.parametrize("offset", [1, 10**6, 10**12])
@pytest.mark.parametrize("replicates", [21, 201, 2001])
def test_truth_of_the_decimals(offset, replicates):
    clusters = simon_lesage(offset, replicates)
    y = [v for c in clusters for v in c]
    group = np.repeat(np.arange(9), replicates)
    msw, msb = anova(clusters)
    # what NIST prints for these sets
    assert msw == Fraction(1, 100)
    assert msb == Fraction(replicates, 100)
    statistics = InterceptStatistics.from_rationals(y, np.ones((len(y), 1)), group)
    assert_closed_form(statistics, clusters)


@pytest.mark.parametrize("offset", [1, 10**6, 10**12])
@pytest.mark.parametrize("replicates", [21, 201, 2001])
def test_truth_of_the_doubles(offset, replicates):
    clusters = [[Fraction(float(v)) for v in c] for c in simon_lesage(offset, replicates)]
    y = np.array([float(v) for c in clusters for v in c])
    group = np.repeat(np.arange(9), replicates)
    statistics = InterceptStatistics.from_arrays(y, np.ones((len(y), 1)), group)
    assert_closed_form(statistics, clusters)


def test_the_two_truths_are_apart_where_doubles_lose_the_decimals():
    decimals = simon_lesage(10**12, 21)
    doubles = [[Fraction(float(v)) for v in c] for c in decimals]
    relative = anova(doubles)[0] / anova(decimals)[0] - 1
    assert 1e-6 < abs(relative) < 1e-2  # spacing of doubles at 1e12 is 1.2e-4, the sd is 0.1


def test_optimum_at_zero_where_msb_is_below_msw():
    clusters = [[Fraction(v) for v in c] for c in ([0, 4], [1, 2], [3, 1])]
    msw, msb = anova(clusters)
    assert msb < msw
    y = [v for c in clusters for v in c]
    statistics = InterceptStatistics.from_rationals(y, np.ones((6, 1)), np.arange(6) // 2)
    optimum = intercept_optimum(statistics, reml=True)
    pooled = (3 * msw + 2 * msb) / 5  # the two sums of squares, pooled
    assert optimum.tau2 == 0
    with ball_precision(2 * optimum.bits):
        assert optimum.sigma2.contains(fmpq(pooled.numerator, pooled.denominator))


@pytest.mark.parametrize(("shift", "rho"), [(2, 0.5), (4, 3.5)])
def test_an_optimum_at_a_dyadic_ratio(shift, rho):
    """The search evaluates at dyadic ratios (0.5 among them), where no ball shows the sign of 0."""
    clusters = [[Fraction(v) for v in c] for c in ([0, 2], [shift, shift + 2])]
    msw, msb = anova(clusters)
    assert (msb / msw - 1) / 2 == Fraction(rho)
    y = [v for c in clusters for v in c]
    statistics = InterceptStatistics.from_rationals(y, np.ones((4, 1)), np.arange(4) // 2)
    assert intercept_optimum(statistics, reml=True).rho.contains(rho)
