"""The certified global optimum: two optima, equivariance, nesting, tolerances from curvature."""

import math
from fractions import Fraction

import numpy as np
import pytest
from flint import arb, ctx, fmpq

from pp_compare.certified.intercept.criterion import Criterion, ScorePoint, certainly_above
from pp_compare.certified.intercept.likelihood import deviance_at, gls_at, loglik_at
from pp_compare.certified.intercept.optimum import (
    StationaryPoint,
    intercept_optimum,
    lowest,
    rho_within,
)
from pp_compare.certified.intercept.precision import PrecisionError, ball_precision
from pp_compare.certified.intercept.stationary import Bracket, Kind, Side, larger, proved
from pp_compare.certified.intercept.statistics import InterceptStatistics
from pp_compare.errors import DataError

E = math.e

# Two local optima each; the lower deviance is the one at 0.
E1 = [[-2, 1, 2, -2, 0, 2], [4], [-4]]  # ML
E3 = [[1, 0, -1, -2], [1, -2, 0, -2, -2, 1, -2, -1, 1, -1, -1], [-2, -1, 2, 0, -2], [-5]]  # REML


def one_way(clusters):
    """Statistics of an intercept-only model."""
    y = [v for cluster in clusters for v in cluster]
    group = np.repeat(np.arange(len(clusters)), [len(c) for c in clusters])
    return InterceptStatistics.from_rationals(y, [[1]] * len(y), group)


def problem(seed, n=60, n_clusters=9, spread=1.0):
    """Integer response and design: an intercept, a cluster-level and a within-cluster column."""
    rng = np.random.default_rng(seed)
    group = np.concatenate([np.arange(n_clusters), rng.integers(0, n_clusters, n - n_clusters)])
    y = np.rint(100 * (rng.normal(size=n) + spread * rng.normal(size=n_clusters)[group]))
    X = np.column_stack([np.ones(n), group % 2, rng.integers(-9, 10, n)]).astype(float)
    return y, X, group


def numbers(optimum):
    """Every enclosure of the record, in one list."""
    scalars = (optimum.rho, optimum.sigma, optimum.tau2, optimum.loglik, optimum.deviance)
    vectors = (optimum.beta, optimum.beta_cov.entries(), optimum.blup, optimum.cluster_mean)
    points = [x for s in optimum.stationary for x in (s.rho, s.deviance)]
    return [*scalars, *(x for vector in vectors for x in vector), *points]


def agree(one, other, digits=25):
    """Two enclosures of one number: they overlap, and are narrow enough for that to mean it."""
    narrow = arb(10) ** -digits * (1 + abs(one))
    return one.overlaps(other) and one.rad() < narrow and other.rad() < narrow


@pytest.mark.parametrize(
    ("clusters", "reml", "at_zero", "inside", "rho"),
    [
        (E1, False, "37.1816123443", "37.3156770264", "1.41298592176"),
        (E3, True, "78.35515", "78.53455", "0.926830"),
    ],
)
def test_two_optima_are_listed_and_the_lower_is_chosen(clusters, reml, at_zero, inside, rho):
    optimum = intercept_optimum(one_way(clusters), reml=reml)
    first, second = optimum.optima
    assert optimum.claim == "global"
    assert optimum.rho == optimum.tau2 == first.rho == 0
    assert first.boundary
    assert not second.boundary
    assert [s.kind for s in optimum.stationary] == [Kind.MINIMUM, Kind.MAXIMUM, Kind.MINIMUM]
    printed = ((first.deviance, at_zero), (second.deviance, inside), (second.rho, rho))
    for value, text in printed:  # equal to all the digits that are printed
        assert abs(value - arb(text)) <= 0.5 * 10.0 ** -len(text.split(".")[1])


@pytest.mark.parametrize("reml", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_enclosures_nest_as_precision_rises(seed, reml):
    y, X, group = problem(seed, spread=seed / 4)
    statistics = InterceptStatistics.from_arrays(y, X, group)
    coarse = intercept_optimum(statistics, reml=reml, digits=30)
    fine = intercept_optimum(statistics, reml=reml, digits=150)
    assert fine.bits > coarse.bits
    for wide, narrow in zip(numbers(coarse), numbers(fine), strict=True):
        with ball_precision(fine.bits):
            assert wide.contains(narrow)


@pytest.mark.parametrize("reml", [False, True])
def test_digits_are_delivered(reml):
    optimum = intercept_optimum(InterceptStatistics.from_arrays(*problem(1)), reml=reml, digits=60)
    with ball_precision(optimum.bits):
        for x in (optimum.rho, optimum.sigma, optimum.tau2, optimum.deviance, *optimum.beta):
            assert x.rad() <= arb(10) ** -60 * abs(x)


@pytest.mark.parametrize("reml", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_shift_and_scale_of_the_response(seed, reml):
    y, X, group = problem(seed)
    base = intercept_optimum(InterceptStatistics.from_arrays(y, X, group), reml=reml)
    moved = intercept_optimum(InterceptStatistics.from_arrays(2**20 - 8 * y, X, group), reml=reml)
    df = len(y) - (X.shape[1] if reml else 0)
    with ball_precision(base.bits):
        assert agree(moved.rho, base.rho)
        assert agree(moved.sigma, 8 * base.sigma)
        assert agree(moved.tau2, 64 * base.tau2)
        assert agree(moved.deviance, base.deviance + df * arb(64).log())
        assert agree(moved.beta[0], 2**20 - 8 * base.beta[0])
        assert agree(moved.beta[1], -8 * base.beta[1])
        assert all(agree(a, -8 * b) for a, b in zip(moved.blup, base.blup, strict=True))
        means = zip(moved.cluster_mean, base.cluster_mean, strict=True)
        assert all(agree(a, 2**20 - 8 * b) for a, b in means)


@pytest.mark.parametrize("reml", [False, True])
def test_scale_of_a_predictor(reml):
    y, X, group = problem(7)
    base = intercept_optimum(InterceptStatistics.from_arrays(y, X, group), reml=reml)
    factor = 1024
    scaled = intercept_optimum(
        InterceptStatistics.from_arrays(y, X * [1, 1, factor], group), reml=reml
    )
    with ball_precision(base.bits):
        assert agree(scaled.rho, base.rho)
        assert agree(scaled.beta[2] * factor, base.beta[2])
        assert agree(scaled.beta_cov[2, 2] * factor**2, base.beta_cov[2, 2])
        assert agree(scaled.deviance, base.deviance + (2 * arb(factor).log() if reml else 0))


def test_permuted_rows_and_renumbered_clusters():
    y, X, group = problem(3)
    rng = np.random.default_rng(0)
    rows, labels = rng.permutation(len(y)), rng.permutation(group.max() + 1)
    base = intercept_optimum(InterceptStatistics.from_arrays(y, X, group), reml=True)
    other = intercept_optimum(
        InterceptStatistics.from_arrays(y[rows], X[rows], labels[group][rows]), reml=True
    )
    assert str(other.deviance) == str(base.deviance)
    assert str(other.beta) == str(base.beta)
    for j, label in enumerate(labels):
        assert str(other.blup[label]) == str(base.blup[j])


@pytest.mark.parametrize("reml", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_no_other_variance_ratio_is_better(seed, reml):
    statistics = InterceptStatistics.from_arrays(*problem(seed, spread=0.2))
    optimum = intercept_optimum(statistics, reml=reml)
    for rho in [0.0, *np.geomspace(1e-6, 1e6, 49).tolist()]:
        assert rho == optimum.rho or deviance_at(statistics, rho, reml=reml) > optimum.deviance


@pytest.mark.parametrize("reml", [False, True])
def test_likelihood_at_the_optimum_is_the_optimum(reml):
    statistics = InterceptStatistics.from_arrays(*problem(2))
    optimum = intercept_optimum(statistics, reml=reml)
    variances = (optimum.sigma2, optimum.tau2)
    given = loglik_at(statistics, optimum.beta, *variances, reml=reml)
    solved = loglik_at(statistics, None, *variances, reml=reml)
    gls = gls_at(statistics, optimum.rho, reml=reml)
    with ball_precision(optimum.bits):
        assert agree(given, optimum.loglik)
        assert agree(solved, optimum.loglik)
        assert all(agree(a, b) for a, b in zip(gls.beta, optimum.beta, strict=True))
        assert agree(gls.sigma2, optimum.sigma2)


@pytest.mark.parametrize("reml", [False, True])
def test_another_beta_costs_its_mahalanobis_distance(reml):
    statistics = InterceptStatistics.from_arrays(*problem(2))
    gls = gls_at(statistics, reml=reml, sigma2=9000.0, tau2=3000.0)
    with ball_precision(256):
        step = [arb(1), arb(-2), arb("0.5")]
        precision = gls.beta_cov.inv()
        cost = sum(precision[i, j] * step[i] * step[j] for i in range(3) for j in range(3)) / 2
        moved = [b + s for b, s in zip(gls.beta, step, strict=True)]
        best = loglik_at(statistics, None, 9000.0, 3000.0, reml=reml)
        assert agree(loglik_at(statistics, moved, 9000.0, 3000.0, reml=reml), best - cost)


@pytest.mark.parametrize("delta", [1e-8, 0.01, 3.0])
@pytest.mark.parametrize(("spread", "reml"), [(0.0, True), (0.3, False), (2.0, True)])
def test_the_interval_of_rho_ends_where_the_deviance_has_risen_by_delta(spread, reml, delta):
    statistics = InterceptStatistics.from_arrays(*problem(5, spread=spread))
    optimum = intercept_optimum(statistics, reml=reml)
    low, high = rho_within(statistics, optimum, reml=reml, delta=delta)
    assert low <= float(optimum.rho) < high
    with ball_precision(optimum.bits):
        level = optimum.deviance + delta
    # the ends are outside by a relative 1e-6 of rho, so a little closer in is inside
    assert deviance_at(statistics, high, reml=reml) > level
    assert deviance_at(statistics, high * (1 - 2e-6), reml=reml) < level
    if low > 0:
        assert deviance_at(statistics, low, reml=reml) > level
        assert deviance_at(statistics, low * (1 + 2e-6), reml=reml) < level
    else:
        assert deviance_at(statistics, 0.0, reml=reml) <= level


def test_the_interval_of_rho_goes_past_a_hump_that_is_low_enough():
    statistics = one_way(E1)
    optimum = intercept_optimum(statistics, reml=False)
    hump = float(optimum.stationary[1].deviance - optimum.deviance)
    _, before = rho_within(statistics, optimum, reml=False, delta=hump * 0.99)
    _, past = rho_within(statistics, optimum, reml=False, delta=hump * 1.01)
    assert before < float(optimum.stationary[1].rho) < float(optimum.stationary[2].rho) < past


def test_a_response_far_from_zero_costs_bits_not_digits():
    y = [Fraction(10**15) + Fraction(k % 7, 10) + k // 5 for k in range(30)]
    group = np.arange(30) // 5
    far = intercept_optimum(InterceptStatistics.from_rationals(y, [[1]] * 30, group), reml=True)
    near = intercept_optimum(
        InterceptStatistics.from_rationals([v - 10**15 for v in y], [[1]] * 30, group), reml=True
    )
    assert far.bits > near.bits
    with ball_precision(256):
        assert agree(far.rho, near.rho, digits=28)


def test_precision_is_given_back():
    before = ctx.prec, ctx.cap
    intercept_optimum(one_way(E1), reml=True)
    assert (ctx.prec, ctx.cap) == before


@pytest.mark.parametrize("arguments", [(-1.0, 1.0), (math.nan, 1.0), (math.inf, 1.0), (1.0, 0.0)])
def test_impossible_variances_are_refused(arguments):
    tau2, sigma2 = arguments
    with pytest.raises(DataError):
        loglik_at(one_way(E1), None, sigma2, tau2, reml=True)


def test_a_beta_of_the_wrong_length_is_refused():
    with pytest.raises(DataError, match="2 fixed effects were given, X has 1"):
        loglik_at(one_way(E1), [1.0, 2.0], 1.0, 1.0, reml=False)


@pytest.mark.parametrize("given", [{}, {"rho": 1.0, "sigma2": 1.0}, {"tau2": 1.0}])
def test_gls_needs_the_ratio_or_both_variances(given):
    with pytest.raises(DataError, match="give rho, or both"):
        gls_at(one_way(E1), reml=True, **given)


def test_gls_at_the_ratio_is_gls_at_the_profiled_variances():
    statistics = InterceptStatistics.from_arrays(*problem(2))
    profiled = gls_at(statistics, fmpq(1, 3), reml=True)
    given = gls_at(statistics, reml=True, sigma2=profiled.sigma2, tau2=profiled.tau2)
    with ball_precision(256):
        assert agree(given.beta_cov[1, 1], profiled.beta_cov[1, 1])
        assert all(agree(a, b) for a, b in zip(given.blup, profiled.blup, strict=True))


@pytest.mark.parametrize("reml", [False, True])
def test_no_fixed_effects(reml):
    """Without X the two criteria are one."""
    y, _, group = problem(11)
    optimum = intercept_optimum(
        InterceptStatistics.from_arrays(y, np.empty((len(y), 0)), group), reml=reml
    )
    assert optimum.beta == ()
    assert optimum.rho > 0
    shrunk = zip(optimum.blup, optimum.cluster_mean, strict=True)
    assert all(u.overlaps(mean) for u, mean in shrunk)


@pytest.mark.parametrize("reml", [False, True])
def test_columns_that_span_the_range_of_doubles(reml):
    y, X, group = problem(13)
    rng = np.random.default_rng(13)
    y = y * 10.0 ** rng.uniform(-290, 290, len(y))
    optimum = intercept_optimum(
        InterceptStatistics.from_arrays(y, X * [1e-200, 1, 1e250], group), reml=reml
    )
    assert optimum.sigma.rel_accuracy_bits() > 90


def test_a_tolerance_of_nothing_is_refused():
    optimum = intercept_optimum(one_way(E1), reml=False)
    with pytest.raises(DataError, match="delta is 0"):
        rho_within(one_way(E1), optimum, reml=False, delta=0)


@pytest.mark.parametrize("n_fixed", [0, 1, 3])
@pytest.mark.parametrize("reml", [False, True])
def test_balls_hold_the_values_at_every_point_in_them(reml, n_fixed):
    """Wide on purpose: an enclosure of ``rho`` must widen whatever depends on it."""
    y, X, group = problem(6)
    statistics = InterceptStatistics.from_arrays(y, X[:, :n_fixed], group)
    wide = gls_at(statistics, arb(0.5, 0.001), reml=reml)
    for rho in (0.4990000001, 0.5, 0.5009999999):
        point = gls_at(statistics, rho, reml=reml)
        pairs = [(wide.sigma2, point.sigma2), (wide.tau2, point.tau2)]
        for vector in ("beta", "blup", "cluster_mean"):
            pairs += zip(getattr(wide, vector), getattr(point, vector), strict=True)
        pairs += zip(wide.beta_cov.entries(), point.beta_cov.entries(), strict=True)
        deviance = deviance_at(statistics, arb(0.5, 0.001), reml=reml)
        pairs.append((deviance, deviance_at(statistics, rho, reml=reml)))
        with ball_precision(256):
            assert all(a.contains(b) for a, b in pairs)


def test_an_enclosure_that_misses_the_root_is_not_proved():
    statistics = InterceptStatistics.from_arrays(*problem(6))
    optimum = intercept_optimum(statistics, reml=True)
    criterion = Criterion(statistics, reml=True, bits=256)
    with ball_precision(256):
        ends = (criterion.score(optimum.rho.mid() * factor, 1) for factor in (0.5, 2))
        bracket = Bracket(*ends, Kind.MINIMUM)
        assert proved(criterion, optimum.rho.mid(), bracket).overlaps(optimum.rho)
        with pytest.raises(PrecisionError):
            proved(criterion, (optimum.rho * (1 + arb(2) ** -90)).mid(), bracket)


def test_deviances_that_overlap_have_no_lowest():
    def point(deviance):
        return StationaryPoint(arb(1), deviance, Kind.MINIMUM)

    assert lowest((point(arb(3, 0.1)), point(arb(2, 0.1)), point(arb(2.5, 0.1)))) == 1
    with pytest.raises(PrecisionError):
        lowest((point(arb(3, 0.1)), point(arb(2.9, 0.1))))


@pytest.mark.parametrize(
    ("upper", "lower", "proved"),
    [
        ([(3, -1), (2, -1)], [(2, -1), (1, -1)], True),
        ([(3, -9), (1.5, -0.2)], [(2.9, -1), (1.4, -1)], False),  # tangents dip below the chord
        ([(E, -6.5 * E), (E**-4, -3.5 * E**-4)], [(1, -1), (E**-5, 0)], True),  # reach 2/3 each
        ([(E, -8 * E), (E**-4, -2 * E**-4)], [(1, -1), (E**-5, 0)], False),  # reach 1/3 each
        ([(E, arb(-8 * E, 7 * E)), (E**-4, -2 * E**-4)], [(1, -1), (E**-5, 0)], False),
        ([(3, -1), (1, -1)], [(2, -1), (1, -1)], False),  # equal at one end
        ([(1, -1), (2, -1)], [(2, -1), (1, -1)], False),  # below at one end
    ],
)
def test_tangents_and_chord(upper, lower, proved):
    def balls(ends):
        return [(arb(value), arb(slope)) for value, slope in ends]

    assert certainly_above(balls(upper), balls(lower), arb(1)) is proved


@pytest.mark.parametrize(("slopes", "proved_larger"), [((-6.5, -3.5), True), ((-8, -2), False)])
def test_derivatives_are_compared_by_their_own_tangents(slopes, proved_larger):
    """The functions of the test above as first derivatives: the second ones are their slopes."""

    def point(rho, evidence, slope, penalty):
        sides = ((arb(9), arb(-e), arb(-s) / 2) for e, s in ((evidence, slope), (penalty, -1)))
        return ScorePoint(arb(rho), *sides, arb(1))

    left = point(0, E, slopes[0] * E, 1)
    right = point(1, E**-4, slopes[1] * E**-4, E**-5)
    assert larger(left, right, 1) is (Side.EVIDENCE if proved_larger else None)
