"""Every degenerate case has its own answer, decided exactly."""

from fractions import Fraction

import numpy as np
import pytest

from pp_compare.certified.intercept.degenerate import (
    Degeneracy,
    DegenerateModelError,
    degeneracy,
)
from pp_compare.certified.intercept.likelihood import deviance_at, loglik_at
from pp_compare.certified.intercept.optimum import Remark, intercept_optimum
from pp_compare.certified.intercept.stationary import Kind
from pp_compare.certified.intercept.statistics import InterceptStatistics

BOTH = [False, True]


def statistics(y, group, *columns):
    """With an intercept first."""
    X = [[1, *row] for row in zip(*columns, strict=True)] if columns else [[1]] * len(y)
    return InterceptStatistics.from_rationals(y, X, np.array(group))


def reason(data, *, reml):
    with pytest.raises(DegenerateModelError) as raised:
        intercept_optimum(data, reml=reml)
    return raised.value.reason


@pytest.mark.parametrize("reml", BOTH)
def test_rank_deficient_design(reml):
    third = [Fraction(1, 3), Fraction(2, 3), 1, Fraction(4, 3), Fraction(5, 3), 2]
    data = statistics([1, 4, 2, 8, 5, 7], [0, 0, 1, 1, 2, 2], third, [1, 2, 3, 4, 5, 6])
    assert reason(data, reml=reml) is Degeneracy.RANK_DEFICIENT
    with pytest.raises(DegenerateModelError, match="linearly dependent"):
        deviance_at(data, 1.0, reml=reml)


def test_nearly_rank_deficient_design_is_not_degenerate():
    nearly = [1, 2, 3, 4, 5, Fraction(6 * 10**60 + 1, 10**60)]
    data = statistics([1, 4, 2, 8, 5, 7], [0, 0, 1, 1, 2, 2], [1, 2, 3, 4, 5, 6], nearly)
    assert intercept_optimum(data, reml=True).bits > 256


@pytest.mark.parametrize("reml", BOTH)
def test_constant_response(reml):
    data = statistics([0.1] * 5, [0, 0, 1, 1, 1])
    assert reason(data, reml=reml) is Degeneracy.CONSTANT_RESPONSE


@pytest.mark.parametrize("reml", BOTH)
def test_response_in_the_span_of_the_design(reml):
    x = [0.1, 0.7, 3.0, -1.5, 2.25]
    y = [2 + 3 * Fraction(v) for v in x]
    data = statistics(y, [0, 0, 1, 1, 1], x)
    assert reason(data, reml=reml) is Degeneracy.EXACT_FIT
    with pytest.raises(DegenerateModelError, match="span of X"):
        loglik_at(data, None, 1.0, 1.0, reml=reml)


@pytest.mark.parametrize("reml", BOTH)
def test_all_singletons(reml):
    data = statistics([1, 5, 2, 8], [0, 1, 2, 3])
    assert degeneracy(data, reml=reml) is Degeneracy.ALL_SINGLETONS
    assert intercept_optimum(data, reml=reml).rho == 0  # it stands for all
    # what the answer says: at any split of sigma2 + tau2 the likelihood is the same
    one, other = (loglik_at(data, None, s, t, reml=reml) for s, t in ((3.0, 1.0), (1.0, 3.0)))
    assert one.overlaps(other)


@pytest.mark.parametrize("reml", BOTH)
def test_no_residual_within_clusters(reml):
    data = statistics([1, 1, 3, 3, 3, 7], [0, 0, 1, 1, 1, 2])
    assert reason(data, reml=reml) is Degeneracy.NO_WITHIN_RESIDUAL
    # what the answer says: the deviance falls without end
    assert deviance_at(data, 1e100, reml=reml) < deviance_at(data, 1e50, reml=reml) - 100


@pytest.mark.parametrize("reml", BOTH)
def test_within_residual_removed_by_a_predictor(reml):
    x = [0, 1, 0, 2, 5, 1]
    y = [Fraction(1, 10) * v + b for v, b in zip(x, [1, 1, 4, 4, 4, 9], strict=True)]
    data = statistics(y, [0, 0, 1, 1, 1, 2], x)
    assert reason(data, reml=reml) is Degeneracy.NO_WITHIN_RESIDUAL


def test_a_residual_of_one_bit_within_clusters_is_not_degenerate():
    y = [1.0, 1.0, 3.0, 3.0, np.nextafter(3.0, 4.0), 7.0]
    optimum = intercept_optimum(statistics(y, [0, 0, 1, 1, 1, 2]), reml=True)
    assert optimum.rho > 1e30


def test_clusters_in_the_span_of_the_design():
    data = statistics(
        [1, 5, 2, 9, 4, 4], [0, 0, 1, 1, 2, 2], [1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0]
    )
    assert degeneracy(data, reml=True) is Degeneracy.CLUSTERS_IN_SPAN
    assert intercept_optimum(data, reml=True).rho == 0  # it stands for all
    optimum = intercept_optimum(data, reml=False)  # under ML variance between costs: best at 0
    assert optimum.rho == 0
    assert len(optimum.stationary) == 1


def test_saturated_design_with_its_infimum_at_no_residual_variance():
    """One cluster of two with a predictor that varies in it: the contrasts use up the rows."""
    data = statistics([1, 5, 2, 9], [0, 0, 1, 2], [0, 1, 0, 0])
    assert degeneracy(data, reml=True) is Degeneracy.PROPORTIONAL
    assert intercept_optimum(data, reml=True).rho == 0  # it stands for all
    assert reason(data, reml=False) is Degeneracy.NO_WITHIN_RESIDUAL
    data = statistics([0, 5, 5, 9, 9], [0, 1, 1, 2, 2], [3, 1, 2, 4, 4], [1, 0, 1, 1, 0])
    values = [deviance_at(data, 10.0**k, reml=True) for k in range(-3, 9)]
    assert reason(data, reml=True) is Degeneracy.SATURATED
    # what the answer says: no value is as low as those far out
    assert all(value > values[-1] for value in values[:-1])


def test_saturated_design_with_an_optimum():
    """y = 20, 20, 0; x = 1, 0, 2 and no intercept: the limit is higher than tau2 = 0."""
    data = InterceptStatistics.from_rationals([20, 20, 0], [[1], [0], [2]], np.array([0, 1, 1]))
    assert degeneracy(data, reml=True) is Degeneracy.SATURATED
    optimum = intercept_optimum(data, reml=True)
    assert optimum.rho == 0
    assert round(float(optimum.deviance), 4) == 19.0574
    assert round(float(deviance_at(data, 1e12, reml=True)), 4) == 20.0160


def test_saturated_designs_against_a_grid():
    """Whatever is said of where the criterion is lowest, no point of a fine grid says otherwise."""
    rng = np.random.default_rng(1)
    grid = [0.0, *np.logspace(-4, 6, 61)]
    said = set()
    for _ in range(150):
        group = np.unique(rng.integers(0, 5, 6), return_inverse=True)[1]
        X, y = rng.integers(-2, 4, (6, 2)), rng.integers(-20, 21, 6)
        data = InterceptStatistics.from_arrays(y, X, group)
        if degeneracy(data, reml=True) is not Degeneracy.SATURATED:
            continue
        seen = [float(deviance_at(data, rho, reml=True)) for rho in grid]
        try:
            optimum = intercept_optimum(data, reml=True)
        except DegenerateModelError:
            said.add("none")
            limit = float(deviance_at(data, 1e15, reml=True))
            assert all(value > limit - 1e-9 for value in seen)
        else:
            said.add("boundary" if optimum.rho == 0 else "interior")
            assert all(value > float(optimum.deviance) - 1e-9 for value in seen)
    assert said == {"none", "boundary", "interior"}


def test_single_cluster():
    data = statistics([1, 5, 2, 9], [0, 0, 0, 0])
    assert degeneracy(data, reml=True) is Degeneracy.SINGLE_CLUSTER
    optimum = intercept_optimum(data, reml=False)
    assert optimum.rho == 0
    assert optimum.remarks == {Remark.SINGLE_CLUSTER}
    no_intercept = InterceptStatistics.from_rationals([4, 5, 3, 6], [[1], [2], [-1], [0]], [0] * 4)
    assert intercept_optimum(no_intercept, reml=True).remarks == {Remark.SINGLE_CLUSTER}


def test_score_of_exactly_zero_at_zero_with_the_optimum_there():
    """Balanced with MSB = MSW = 1, so the REML estimate (MSB - MSW) / 2 is exactly 0."""
    optimum = intercept_optimum(statistics([0, 2, 2, 2], [0, 0, 1, 1]), reml=True)
    assert optimum.rho == 0
    assert optimum.remarks == {Remark.ZERO_SCORE_AT_ZERO}
    assert optimum.sigma.contains(1)


def test_score_of_exactly_zero_at_zero_with_the_optimum_elsewhere():
    optimum = intercept_optimum(statistics([-3, 0, 0, 3], [0, 0, 0, 1]), reml=False)
    assert optimum.remarks == {Remark.ZERO_SCORE_AT_ZERO}
    assert [s.kind for s in optimum.stationary] == [Kind.MINIMUM]
    assert optimum.rho > 0.4
    assert optimum.deviance < deviance_at(statistics([-3, 0, 0, 3], [0, 0, 0, 1]), 0.0, reml=False)


def test_score_of_exactly_zero_at_zero_with_the_optimum_close_by():
    """The step away from 0 must be short enough not to pass the optimum, at 0.028 here."""
    data = statistics([4, -4, -1, 0, 2, 2], [0, 1, 1, 1, 1, 2])
    optimum = intercept_optimum(data, reml=False)
    assert optimum.remarks == {Remark.ZERO_SCORE_AT_ZERO}
    assert 0.028 < optimum.rho < 0.0283
    nearby = [deviance_at(data, rho, reml=False) for rho in (0.0, 0.02, 0.04)]
    assert all(value > optimum.deviance for value in nearby)


def test_score_and_its_derivative_exactly_zero_at_zero():
    optimum = intercept_optimum(statistics([0, 3, -3], [0, 0, 1]), reml=False)
    assert optimum.remarks == {Remark.ZERO_SCORE_AT_ZERO}
    assert optimum.rho == 0


def test_a_score_off_zero_by_one_part_in_many_is_not_called_zero():
    y = [0, 2, 2, 2 + Fraction(1, 10**80)]
    optimum = intercept_optimum(statistics(y, [0, 0, 1, 1]), reml=True)
    assert not optimum.remarks
    assert optimum.rho > 0


def test_equal_cluster_means_have_their_optimum_at_zero():
    """No evidence at all for variance between clusters: the score is positive throughout."""
    optimum = intercept_optimum(statistics([0, 2, 1, 1, -3, 5], [0, 0, 1, 1, 2, 2]), reml=True)
    assert optimum.rho == 0
    assert len(optimum.stationary) == 1


def test_every_degeneracy_is_tested_here():
    """A new reason must come with its test."""
    with open(__file__, encoding="utf-8") as source:  # noqa: PTH123
        text = source.read()
    assert all(f"Degeneracy.{case.name}" in text for case in Degeneracy)
