"""The certified optimum against an independent one: V written out, textbook formulas, mpmath.

Nothing is shared with the code under test: the score comes from
``d/drho -2 l = tr(M^-1 ZZ') [tr(P ZZ')] - df y'P ZZ' P y / y'P y`` (Searle, Casella & McCulloch
1992, Variance Components, sections 6.2 and 6.6) with dense inverses, its roots from sign changes on
a fine grid in float64, refined by the secant method at 70 digits.
"""

import itertools

import mpmath as mp
import numpy as np
import pytest
from flint import arb
from scipy.optimize import brentq

from pp_compare.certified.intercept.optimum import intercept_optimum
from pp_compare.certified.intercept.precision import ball_precision
from pp_compare.certified.intercept.statistics import InterceptStatistics

DPS = 70
DIGITS = 40  # asked of the certified engine; the dense one has 70 less the condition of V


def small(seed):
    """A data set of 6 to 12 rows: decimals, integers or a large offset; one to three columns."""
    rng = np.random.default_rng([seed, 20240511])
    n_clusters = int(rng.integers(2, 5))
    sizes = rng.integers(1, 5, n_clusters)
    sizes[0] += max(2, 6 - sizes.sum())
    group = np.repeat(np.arange(n_clusters), sizes)
    n = len(group)
    y = rng.normal(size=n) + rng.choice([0.0, 0.5, 2.0]) * rng.normal(size=n_clusters)[group]
    y = [y, np.rint(3 * y), y + 1e4][seed % 3]
    columns = [np.ones(n)]
    if seed % 4 >= 1 and n_clusters > 2:
        columns.append((group == 0) * 1.0)
    if seed % 4 >= 2:
        columns.append(rng.normal(size=n))
    return y, np.column_stack(columns), group


def dense(y, X, group):
    """Response, design and indicator matrix in mpmath."""
    Z = (group[:, None] == np.arange(group.max() + 1)).astype(float)
    return mp.matrix(y.tolist()), mp.matrix(X.tolist()), mp.matrix(Z.tolist())


def projection(X, inverse):
    return inverse - inverse * X * (X.T * inverse * X) ** -1 * X.T * inverse


def score(rho, y, X, Z, reml):
    """Derivative of minus twice the profiled log-likelihood in rho; matrices of any library."""
    n, p = X.rows, X.cols
    inverse = (mp.eye(n) + rho * Z * Z.T) ** -1
    P = projection(X, inverse)
    A = Z * Z.T
    trace = sum(((P if reml else inverse) * A)[i, i] for i in range(n))
    Py = P * y
    return trace - (n - p if reml else n) * (Py.T * A * Py)[0] / (y.T * Py)[0]


def float_score(rho, y, X, group, reml):
    """The same score in float64, for the search."""
    A = (group[:, None] == group).astype(float)
    n, p = X.shape
    inverse = np.linalg.inv(np.eye(n) + rho * A)
    P = inverse - inverse @ X @ np.linalg.solve(X.T @ inverse @ X, X.T @ inverse)
    Py = P @ y
    trace = np.trace((P if reml else inverse) @ A)
    return trace - (n - p if reml else n) * (Py @ A @ Py) / (y @ Py)


def loglik(rho, y, X, Z, reml):
    """Log density of y (or of the residual contrasts) with sigma2 at its best."""
    n, p = X.rows, X.cols
    M = mp.eye(n) + rho * Z * Z.T
    inverse = M**-1
    df = n - p if reml else n
    sigma2 = (y.T * projection(X, inverse) * y)[0] / df
    log_det = df * mp.log(sigma2) + mp.log(mp.det(M))
    if reml:
        log_det += mp.log(mp.det(X.T * inverse * X))
    return -(df * mp.log(2 * mp.pi) + log_det + df) / 2


def dense_optimum(y, X, group, reml):
    """The best of 0 and every root that the grid shows."""
    problem = (y, X, group, reml)
    grid = np.geomspace(1e-5, 1e5, 400).tolist()
    values = [float_score(rho, *problem) for rho in grid]
    matrices = dense(y, X, group)
    candidates = [mp.mpf(0)]
    ends = itertools.pairwise(zip(grid, values, strict=True))
    for (low, f_low), (high, f_high) in ends:
        if f_low < 0 < f_high:
            near = brentq(float_score, low, high, args=problem, xtol=1e-12 * low)
            start = (near, near * (1 + 1e-8))
            candidates.append(mp.findroot(lambda r: score(r, *matrices, reml), start))
    return max(candidates, key=lambda rho: loglik(rho, *matrices, reml))


def dense_quantities(rho, y, X, Z, reml):
    """Everything at rho from V = sigma2 (I + rho ZZ') as the textbook has it."""
    n, p = X.rows, X.cols
    inverse = (mp.eye(n) + rho * Z * Z.T) ** -1
    sigma2 = (y.T * projection(X, inverse) * y)[0] / (n - p if reml else n)
    V_inverse = (sigma2 * (mp.eye(n) + rho * Z * Z.T)) ** -1
    cov = (X.T * V_inverse * X) ** -1
    beta = cov * X.T * V_inverse * y
    blup = rho * sigma2 * Z.T * V_inverse * (y - X * beta)
    sizes = [sum(Z[i, j] for i in range(n)) for j in range(Z.cols)]
    sums = Z.T * (X * beta + Z * blup)
    means = [s / size for s, size in zip(sums, sizes, strict=True)]
    return [rho, sigma2, mp.sqrt(sigma2), rho * sigma2, *beta, *cov, *blup, *means]


@pytest.mark.parametrize("reml", [False, True])
@pytest.mark.parametrize(
    "seed", [pytest.param(k, marks=pytest.mark.slow if k % 2 else []) for k in range(36)]
)
def test_certified_is_the_dense_optimum(seed, reml):
    y, X, group = small(seed)
    statistics = InterceptStatistics.from_arrays(y, X, group)
    optimum = intercept_optimum(statistics, reml=reml, digits=DIGITS)
    with mp.workdps(DPS), ball_precision(300):
        matrices = dense(y, X, group)
        rho = dense_optimum(y, X, group, reml)
        certified = [optimum.rho, optimum.sigma2, optimum.sigma, optimum.tau2, *optimum.beta]
        certified += [*optimum.beta_cov.entries(), *optimum.blup, *optimum.cluster_mean]
        expected = dense_quantities(rho, *matrices, reml)
        certified.append(optimum.loglik)
        expected.append(loglik(rho, *matrices, reml))
        for x, e in zip(certified, expected, strict=True):
            reference = arb(mp.nstr(e, DPS))
            # 1e-38: the enclosure has 40 digits of the quantity or of sigma, below 10 here
            assert abs(x - reference) < arb("1e-38") * (1 + abs(reference))


def test_the_sets_are_not_all_alike():
    """Zero and interior optima, and more than one stationary point or cluster size, occur."""
    at_zero = 0
    for seed in range(36):
        statistics = InterceptStatistics.from_arrays(*small(seed))
        at_zero += sum(intercept_optimum(statistics, reml=r).rho == 0 for r in (False, True))
    assert 10 <= at_zero <= 62
