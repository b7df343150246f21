"""The global optimum of the ML or REML criterion for one random intercept, proved.

    y = X beta + u[group] + e,    u ~ N(0, tau2 I),    e ~ N(0, sigma2 I),    rho = tau2 / sigma2.

Every stationary point of the profiled criterion on [0, infinity) is enclosed, the lowest minimum
is chosen by a comparison that is certain, and the precision rises until every quantity has the
digits that were asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from typing import ClassVar

from flint import arb, arb_mat

from pp_compare.certified.intercept.criterion import Criterion
from pp_compare.certified.intercept.degenerate import (
    FLAT,
    Degeneracy,
    DegenerateModelError,
    degeneracy,
    within_residual,
)
from pp_compare.certified.intercept.likelihood import Profile, criterion_of
from pp_compare.certified.intercept.precision import (
    PrecisionError,
    UndecidedError,
    ball_precision,
    rising_precision,
)
from pp_compare.certified.intercept.saturated import saturated_points
from pp_compare.certified.intercept.stationary import Kind, Root, stationary_points
from pp_compare.certified.intercept.statistics import InterceptStatistics
from pp_compare.errors import DataError


class Remark(Enum):
    """What is particular about an optimum that exists."""

    SINGLE_CLUSTER = "there is a single cluster"
    ZERO_SCORE_AT_ZERO = "the derivative of the criterion at tau2 = 0 is exactly 0"


@dataclass(frozen=True)
class StationaryPoint:
    """A local minimum or maximum of the deviance in ``rho`` on [0, infinity).

    Attributes
    ----------
    rho : arb
        ``tau2 / sigma2``.
    deviance : arb
        Minus twice the profiled log-likelihood.
    kind : Kind
        Minimum (a local optimum) or maximum.
    """

    rho: arb
    deviance: arb
    kind: Kind

    @property
    def boundary(self) -> bool:
        """Whether this is ``rho = 0``."""
        return bool(self.rho == 0)


@dataclass(frozen=True)
class InterceptOptimum:
    """The global optimum, every number an enclosure (``flint.arb``).

    ``float(x)`` rounds an enclosure; arithmetic with it rounds to flint's global precision, so
    wrap it in ``ball_precision(optimum.bits)``.

    Attributes
    ----------
    rho, sigma2, sigma, tau2 : arb
        Variance ratio ``tau2 / sigma2``, residual variance and its root, variance between clusters.
    beta : tuple of arb, (p,)
        Fixed effects.
    beta_cov : arb_mat, (p, p)
        ``(X'V^-1X)^-1``.
    loglik, deviance : arb
        Log-likelihood (restricted under REML) with all constants, as R's ``logLik`` has it for
        lme4 and nlme; the deviance is minus twice that.
    blup : tuple of arb, (J,)
        Predicted random intercepts.
    cluster_mean : tuple of arb, (J,)
        Mean over the rows of each cluster of ``X beta + u``.
    stationary : tuple of StationaryPoint
        All of them, by increasing ``rho``.
    remarks : frozenset of Remark
        What is particular about this optimum.
    bits : int
        Working precision that it took.
    """

    rho: arb
    sigma2: arb
    sigma: arb
    tau2: arb
    beta: tuple[arb, ...]
    beta_cov: arb_mat
    loglik: arb
    deviance: arb
    blup: tuple[arb, ...]
    cluster_mean: tuple[arb, ...]
    stationary: tuple[StationaryPoint, ...]
    remarks: frozenset[Remark]
    bits: int
    claim: ClassVar[str] = "global"

    @property
    def optima(self) -> tuple[StationaryPoint, ...]:
        """Every local optimum, by increasing ``rho``."""
        return tuple(s for s in self.stationary if s.kind is Kind.MINIMUM)


def intercept_optimum(
    statistics: InterceptStatistics, *, reml: bool, digits: int = 30
) -> InterceptOptimum:
    """Prove the global optimum of the ML or REML criterion.

    Parameters
    ----------
    statistics : InterceptStatistics
        Of the data and the design.
    reml : bool
        REML if true, else ML.
    digits : int
        Decimal digits that every quantity gets, relative to its size; where the size may be 0,
        relative to its standard error or to sigma if that is larger.

    Raises
    ------
    DegenerateModelError
        If there is no optimum; ``reason`` is a `Degeneracy`. Where tau2 is not identified
        (`degenerate.FLAT`) the optimum at tau2 = 0 stands for all.
    UndecidedError
        If two optima, or an optimum and a saddle, can't be told apart with 2**14 bits.
    """
    reason = degeneracy(statistics, reml=reml)
    if reason is not None and reason is not Degeneracy.SATURATED and reason not in FLAT:
        raise DegenerateModelError(reason)
    for bits in rising_precision():
        with ball_precision(bits):
            try:
                return _proved(statistics, reml=reml, digits=digits, bits=bits)
            except PrecisionError:
                continue
    raise UndecidedError(f"Stationary points of the criterion can't be separated at {bits} bits.")


def rho_within(
    statistics: InterceptStatistics, optimum: InterceptOptimum, *, reml: bool, delta: float
) -> tuple[float, float]:
    """Find the values of ``rho`` about the optimum with a deviance at most ``delta`` higher.

    Between stationary points the deviance is monotone, so the search is a bisection and the
    interval is connected: it ends where the deviance first passes the level.

    Parameters
    ----------
    delta : float
        Above 0.

    Returns
    -------
    low, high : float
        Ends to a relative 1e-6, from outside; ``low`` is 0 if the level is not reached before, and
        ``high`` is `FAR` where the criterion stays below it for ever.
    """
    if not delta > 0:
        raise DataError(f"delta is {delta}: the deviance may rise by more than 0 only")
    with ball_precision(optimum.bits):
        criterion = criterion_of(statistics, reml, optimum.bits)
        level = optimum.deviance + arb(delta)

        def exceeds(rho: float) -> bool:
            return not Profile(criterion, arb(rho)).deviance() <= level

        if degeneracy(statistics, reml=reml) in FLAT:
            return 0.0, 0.0
        best, step = float(optimum.rho), 1 / max(criterion.sizes)
        turns = [float(s.rho) for s in optimum.stationary]
        above = chain((t for t in turns if t > best), _doubling(max(best, *turns, step)))
        below = chain((t for t in reversed(turns) if t < best), [0.0])
        high = _crossing(exceeds, best, above)
        low = _crossing(exceeds, best, below) if best else 0.0
    return low, high


def _proved(
    statistics: InterceptStatistics, *, reml: bool, digits: int, bits: int
) -> InterceptOptimum:
    criterion = criterion_of(statistics, reml, bits)
    roots = _roots(criterion)
    profiles = [Profile(criterion, root.rho) for root in roots]
    stationary = tuple(
        StationaryPoint(root.rho, profile.deviance(), root.kind)
        for root, profile in zip(roots, profiles, strict=True)
    )
    best = lowest(stationary)
    gls = profiles[best].gls()
    deviance = stationary[best].deviance
    remarks = {Remark.SINGLE_CLUSTER: statistics.n_clusters == 1}
    flat = degeneracy(statistics, reml=reml) in FLAT
    remarks[Remark.ZERO_SCORE_AT_ZERO] = not flat and criterion.zero_order_at_zero > 0
    optimum = InterceptOptimum(
        rho=roots[best].rho,
        sigma2=gls.sigma2,
        sigma=gls.sigma2.sqrt(),
        tau2=gls.tau2,
        beta=gls.beta,
        beta_cov=gls.beta_cov,
        loglik=-deviance / 2,
        deviance=deviance,
        blup=gls.blup,
        cluster_mean=gls.cluster_mean,
        stationary=stationary,
        remarks=frozenset(remark for remark, holds in remarks.items() if holds),
        bits=bits,
    )
    _require_digits(optimum, digits)
    return optimum


def _roots(criterion: Criterion) -> list[Root]:
    """The stationary points; where the criterion does not depend on ``rho``, 0 for all."""
    reason = degeneracy(criterion.statistics, reml=criterion.reml)
    if reason in FLAT:
        return [Root(arb(0), Kind.MINIMUM)]
    if reason is not Degeneracy.SATURATED:
        return stationary_points(criterion, arb(within_residual(criterion.statistics)))
    roots = saturated_points(criterion.statistics)
    if roots is None:
        raise DegenerateModelError(reason)
    return roots


def lowest(stationary: tuple[StationaryPoint, ...]) -> int:
    """Index of the point whose deviance is certainly below all others."""
    best = min(range(len(stationary)), key=lambda i: float(stationary[i].deviance))
    for i, point in enumerate(stationary):
        if i != best and not point.deviance > stationary[best].deviance:
            raise PrecisionError
    return best


def _require_digits(optimum: InterceptOptimum, digits: int) -> None:
    """Raise PrecisionError unless every enclosure is as narrow as was asked for."""
    share = arb(10) ** -digits
    for value, unit in _with_units(optimum):
        radius = value.rad()
        if not (radius <= share * unit or radius <= share * abs(value)):
            raise PrecisionError


def _with_units(optimum: InterceptOptimum) -> Iterator[tuple[arb, arb]]:
    """Every number of the record, with a size to hold its radius against where it may be 0."""
    for value in (optimum.rho, optimum.sigma, optimum.tau2):
        yield value, arb(0)
    yield optimum.deviance, arb(1)
    errors = [optimum.beta_cov[k, k].sqrt() for k in range(len(optimum.beta))]
    yield from zip(optimum.beta, errors, strict=True)
    for row, error in zip(optimum.beta_cov.table(), errors, strict=True):
        yield from ((x, error * other) for x, other in zip(row, errors, strict=True))
    for value in (*optimum.blup, *optimum.cluster_mean):
        yield value, optimum.sigma


FAR = 2.0**200
"""A ratio of variances beyond which nothing is looked for: a criterion that tends to a limit, or
that does not depend on the ratio, may never reach a level."""


def _doubling(start: float) -> Iterator[float]:
    while start < FAR:
        start *= 2
        yield start


def _crossing(exceeds: Callable[[float], bool], inside: float, ends: Iterable[float]) -> float:
    """First ``rho`` from ``inside`` towards ``ends`` that exceeds, to a relative 1e-6."""
    outside = inside
    for outside in ends:
        if exceeds(outside):
            break
        inside = outside
    else:
        return outside
    while abs(outside - inside) > 1e-6 * outside:
        middle = math.sqrt(inside * outside) or (inside + outside) / 2
        inside, outside = (inside, middle) if exceeds(middle) else (middle, outside)
    return outside
