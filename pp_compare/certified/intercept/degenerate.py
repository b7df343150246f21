"""The cases in which a random-intercept model has no optimum, or one that needs a remark.

Each is decided by the rank of an integer matrix, so the answers are exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from functools import lru_cache

from flint import fmpq, fmpz_mat

from pp_compare.certified.intercept.saturated import is_proportional
from pp_compare.certified.intercept.statistics import InterceptStatistics
from pp_compare.errors import PPCompareError


class Degeneracy(Enum):
    """Why the criterion has no optimum in the interior or at zero, in words for the reader."""

    RANK_DEFICIENT = "the columns of X are linearly dependent, so beta is not identified"
    CONSTANT_RESPONSE = "the response is constant and X fits it exactly: no residual is left"
    EXACT_FIT = "the response lies in the span of X: no residual is left"
    SINGLE_CLUSTER = "there is a single cluster, so nothing varies between clusters"
    CLUSTERS_IN_SPAN = (
        "X spans the cluster indicators, so the restricted likelihood does not depend on tau2"
    )
    ALL_SINGLETONS = "every cluster has one row, so only sigma2 + tau2 is identified"
    SATURATED = (
        "X and the cluster indicators together fit any response, and the restricted likelihood is "
        "higher in the limit of sigma2 = 0 than at any sigma2 above it"
    )
    PROPORTIONAL = (
        "once X is fitted, tau2 adds to the covariance of the rows what sigma2 adds to it, so the "
        "restricted likelihood cannot tell them apart"
    )
    NO_WITHIN_RESIDUAL = (
        "X and the cluster indicators together fit the response exactly, so the likelihood grows "
        "without bound as sigma2 goes to 0"
    )


FLAT = frozenset(
    {
        Degeneracy.SINGLE_CLUSTER,
        Degeneracy.CLUSTERS_IN_SPAN,
        Degeneracy.ALL_SINGLETONS,
        Degeneracy.PROPORTIONAL,
    }
)
"""There is an optimum, and the variances are not identified by it: tau2 = 0 is as good as any."""


class DegenerateModelError(PPCompareError):
    """The model has no optimum on these data; ``reason`` says why, where it is one of ours."""

    def __init__(self, reason: Degeneracy | str) -> None:
        words = reason.value if isinstance(reason, Degeneracy) else reason
        super().__init__(f"No optimum: {words}. Change the model or the data.")
        self.reason = reason


@lru_cache(maxsize=8)
def degeneracy(statistics: InterceptStatistics, *, reml: bool) -> Degeneracy | None:
    """Name the first reason for which the criterion may have no optimum, or no single one.

    Of `FLAT` ones the optimum exists; of SATURATED ones it may.
    """
    return next(_reasons(statistics, reml=reml), None)


def _reasons(statistics: InterceptStatistics, *, reml: bool) -> Iterator[Degeneracy]:
    p, n_clusters = statistics.n_fixed, statistics.n_clusters
    total, (within, _) = statistics.crossproduct, statistics.within
    if _leading(total, p).rank() < p:
        yield Degeneracy.RANK_DEFICIENT
    elif total.rank() == p:
        constant = total[p, p] * statistics.n_obs == _total_response(statistics) ** 2
        yield Degeneracy.CONSTANT_RESPONSE if constant else Degeneracy.EXACT_FIT
    rank_within = _leading(within, p).rank()
    if reml and n_clusters + rank_within == p:
        yield Degeneracy.SINGLE_CLUSTER if n_clusters == 1 else Degeneracy.CLUSTERS_IN_SPAN
    if n_clusters == statistics.n_obs:
        yield Degeneracy.ALL_SINGLETONS
    if reml and n_clusters + rank_within == statistics.n_obs:
        yield Degeneracy.PROPORTIONAL if is_proportional(statistics) else Degeneracy.SATURATED
    if within.rank() == rank_within:
        yield Degeneracy.NO_WITHIN_RESIDUAL


def within_residual(statistics: InterceptStatistics) -> fmpq:
    """Residual sum of squares of ``y`` on ``X`` and the cluster indicators, in units of ``y``.

    It is the Schur complement of ``y`` in the within-cluster crossproducts, a ratio of two
    determinants over columns of ``X`` that are independent within clusters.
    """
    within, denominator = statistics.within
    p = statistics.n_fixed
    reduced, _, rank = _leading(within, p).rref()
    columns = [next(k for k in range(p) if reduced[i, k] != 0) for i in range(rank)]
    numerator = _principal(within, [*columns, p]).det()
    return fmpq(numerator, _principal(within, columns).det() * denominator)


def _total_response(statistics: InterceptStatistics) -> int:
    column = statistics.n_fixed
    return sum(int(row[column]) for row in statistics.cluster_sum.table())


def _principal(matrix: fmpz_mat, rows: list[int]) -> fmpz_mat:
    return fmpz_mat(len(rows), len(rows), [matrix[i, j] for i in rows for j in rows])


def _leading(matrix: fmpz_mat, order: int) -> fmpz_mat:
    return _principal(matrix, list(range(order)))
