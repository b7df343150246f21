"""Likelihood, fixed effects and predictions of a random-intercept model at any variances.

What attribution evaluates at an engine's own estimates, and the optimum at its own. Everything is
a ball at a precision of choice; numbers that go in as floats are the rationals they stand for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from flint import arb, arb_mat, fmpq

from pp_compare.certified.intercept.criterion import Criterion
from pp_compare.certified.intercept.degenerate import Degeneracy, DegenerateModelError, degeneracy
from pp_compare.certified.intercept.precision import (
    START_BITS,
    PrecisionError,
    UndecidedError,
    ball_precision,
    rising_precision,
)
from pp_compare.certified.intercept.statistics import InterceptStatistics
from pp_compare.errors import DataError

Number = float | fmpq | arb  # a float is the rational it stands for
T = TypeVar("T")


@dataclass(frozen=True)
class GLS:
    """Generalised least squares and best linear unbiased prediction at given variances.

    Attributes
    ----------
    beta : tuple of arb, (p,)
        Fixed effects, ``(X'V^-1X)^-1 X'V^-1y``.
    beta_cov : arb_mat, (p, p)
        ``(X'V^-1X)^-1``.
    sigma2, tau2 : arb
        Residual variance and variance between clusters.
    blup : tuple of arb, (J,)
        Predicted random intercepts, ``tau2 Z'V^-1(y - X beta)``.
    cluster_mean : tuple of arb, (J,)
        Mean over the rows of each cluster of ``X beta + u``.
    """

    beta: tuple[arb, ...]
    beta_cov: arb_mat
    sigma2: arb
    tau2: arb
    blup: tuple[arb, ...]
    cluster_mean: tuple[arb, ...]


class Profile:
    """The likelihood with everything but ``rho`` at its best, at one ``rho``.

    To be made and used within ``ball_precision``.
    """

    def __init__(self, criterion: Criterion, rho: arb) -> None:
        self.criterion = criterion
        self.statistics = criterion.statistics
        self.rho = rho
        self.unit = [arb(u) for u in self.statistics.unit]
        p = criterion.n_fixed
        self.crossproducts = criterion.crossproducts(rho)
        table = self.crossproducts.table()
        self._fixed = arb_mat(p, p, [x for row in table[:p] for x in row[:p]])
        self._response = arb_mat(p, 1, [row[p] for row in table[:p]])
        try:
            self._beta = self._fixed.solve(self._response).entries() if p else []
        except ZeroDivisionError:
            raise PrecisionError from None
        fitted = sum((b * x for b, x in zip(self._beta, self._response.entries(), strict=True)), 0)
        self.q = (table[p][p] - fitted) * self.unit[p] ** 2
        if not self.q > 0:
            raise PrecisionError

    @property
    def sigma2(self) -> arb:
        """Profiled residual variance, ``q / df``."""
        return self.q / self.criterion.df

    def beta(self) -> tuple[arb, ...]:
        """Fixed effects in the units of the data."""
        *units, response = self.unit
        return tuple(b * response / u for b, u in zip(self._beta, units, strict=True))

    def beta_cov(self, sigma2: arb) -> arb_mat:
        """``sigma2 (X'M^-1X)^-1`` in the units of the data."""
        p = self.criterion.n_fixed
        inverse = self._fixed.inv().table() if p else []
        cells = [
            sigma2 * x / (u * v)
            for row, u in zip(inverse, self.unit, strict=False)
            for x, v in zip(row, self.unit, strict=False)
        ]
        return arb_mat(p, p, cells)

    def log_dets(self) -> arb:
        """``log|M|``, and ``log|X'M^-1X|`` with it under REML."""
        result = self.criterion.log_det_m(self.rho)
        if self.criterion.reml and self.criterion.n_fixed:
            result += self._fixed.det().log()
            result += 2 * sum((u.log() for u in self.unit[:-1]), arb(0))
        return result

    def deviance(self) -> arb:
        """Minus twice the profiled log-likelihood, all constants included."""
        df = self.criterion.df
        return df * (2 * arb.pi() * self.q / df).log() + df + self.log_dets()

    def predictions(self) -> tuple[tuple[arb, ...], tuple[arb, ...]]:
        """Random intercepts and predicted cluster means.

        With ``r`` the sum of the residuals of a cluster, ``u = rho r / (1 + n rho)``, and the mean
        of ``X beta + u`` is the observed mean less ``r / (n (1 + n rho))``.
        """
        p, response = self.criterion.n_fixed, self.unit[-1]
        combination = arb_mat(p + 1, 1, [*(-b for b in self._beta), arb(1)])
        residuals = (arb_mat(self.statistics.cluster_sum) * combination).entries()
        sizes = self.statistics.cluster_size
        shares = {n: response / (1 + n * self.rho) for n in self.criterion.sizes}
        blup = {n: self.rho * share for n, share in shares.items()}
        miss = {n: share / n for n, share in shares.items()}
        mean = {n: response / n for n in shares}
        observed = [row[p] for row in self.statistics.cluster_sum.table()]
        return (
            tuple(r * blup[n] for r, n in zip(residuals, sizes, strict=True)),
            tuple(
                y * mean[n] - r * miss[n]
                for y, r, n in zip(observed, residuals, sizes, strict=True)
            ),
        )

    def gls(self, sigma2: arb | None = None) -> GLS:
        """Fixed effects and predictions with ``sigma2`` as given, or profiled."""
        sigma2 = self.sigma2 if sigma2 is None else sigma2
        blup, mean = self.predictions()
        return GLS(self.beta(), self.beta_cov(sigma2), sigma2, self.rho * sigma2, blup, mean)


def deviance_at(
    statistics: InterceptStatistics, rho: Number, *, reml: bool, bits: int = START_BITS
) -> arb:
    """Minus twice the profiled log-likelihood at ``rho = tau2 / sigma2``.

    Parameters
    ----------
    rho : float, fmpq or arb
        At least 0; a float is the rational it stands for.
    bits : int
        Least working precision.

    Raises
    ------
    DegenerateModelError
        If ``X`` is rank-deficient or fits the response exactly.
    DataError
        If ``rho`` is negative or not finite.
    """
    return _at(statistics, (rho, 1), reml, bits, lambda profile: profile.deviance())


def gls_at(
    statistics: InterceptStatistics,
    rho: Number | None = None,
    *,
    reml: bool,
    sigma2: Number | None = None,
    tau2: Number | None = None,
    bits: int = START_BITS,
) -> GLS:
    """Fixed effects, their covariance and the predictions at given variances.

    Parameters
    ----------
    rho : float, fmpq or arb, optional
        ``tau2 / sigma2``, at least 0; ``sigma2`` is then profiled (divisor N, or N - p under REML).
    sigma2, tau2 : float, fmpq or arb, optional
        The variances instead of ``rho``; their ratio is not rounded.

    Raises
    ------
    DegenerateModelError, DataError
        As `deviance_at`; also unless either ``rho`` or both variances are given.
    """
    if rho is not None and sigma2 is None and tau2 is None:
        return _at(statistics, (rho, 1), reml, bits, lambda profile: profile.gls())
    if rho is not None or sigma2 is None or tau2 is None:
        raise DataError(f"rho={rho}, sigma2={sigma2}, tau2={tau2}: give rho, or both variances")
    variances = (tau2, sigma2)
    return _at(statistics, variances, reml, bits, lambda profile: profile.gls(arb(sigma2)))


def loglik_at(
    statistics: InterceptStatistics,
    beta: Sequence[Number] | None,
    sigma2: Number,
    tau2: Number,
    *,
    reml: bool,
    bits: int = START_BITS,
) -> arb:
    """Log-likelihood at an engine's own estimates, nothing profiled, all constants included.

    Under ML it is the normal density of ``y``. Under REML the likelihood is that of the residual
    contrasts, which depends on the variances alone:

        -1/2 [(N - p) log(2 pi sigma2) + log|M| + log|X'M^-1X| + r'M^-1r / sigma2],

    with ``r = y - X beta`` at the GLS ``beta`` (Harville 1974, Biometrika 61, 383-385). A ``beta``
    that is given is put into ``r``: the value is then the restricted likelihood less
    ``(beta - GLS)' X'V^-1X (beta - GLS) / 2``, so at most equal to it.

    Parameters
    ----------
    beta : sequence of float, fmpq or arb, (p,), or None
        None for the GLS solution at these variances.
    sigma2, tau2 : float, fmpq or arb
        ``sigma2 > 0``, ``tau2 >= 0``.

    Raises
    ------
    DegenerateModelError, DataError
        As `deviance_at`; also if ``beta`` has not ``p`` elements.
    """
    if beta is not None and len(beta) != statistics.n_fixed:
        raise DataError(f"{len(beta)} fixed effects were given, X has {statistics.n_fixed} columns")

    def value(profile: Profile) -> arb:
        df, scale = profile.criterion.df, _positive(sigma2)
        q = profile.q if beta is None else _residual_form(profile, beta)
        return -(df * (2 * arb.pi() * scale).log() + profile.log_dets() + q / scale) / 2

    return _at(statistics, (tau2, sigma2), reml, bits, value)


def _residual_form(profile: Profile, beta: Sequence[Number]) -> arb:
    """``(y - X beta)' M^-1 (y - X beta)``."""
    combination = [*(-arb(b) for b in beta), arb(1)]
    column = arb_mat(
        len(combination), 1, [c * u for c, u in zip(combination, profile.unit, strict=True)]
    )
    return (column.transpose() * profile.crossproducts * column)[0, 0]


@lru_cache(maxsize=8)
def criterion_of(statistics: InterceptStatistics, reml: bool, bits: int) -> Criterion:
    """The criterion of these statistics, kept for the next evaluation at the same precision."""
    return Criterion(statistics, reml=reml, bits=bits)


def _at(
    statistics: InterceptStatistics,
    variances: tuple[Number, Number],
    reml: bool,
    bits: int,
    evaluate: Callable[[Profile], T],
) -> T:
    """Evaluate at ``(tau2, sigma2)`` with as many bits as it takes for the balls to be finite."""
    tau2, sigma2 = variances
    reason = degeneracy(statistics, reml=reml)
    if reason in {Degeneracy.RANK_DEFICIENT, Degeneracy.CONSTANT_RESPONSE, Degeneracy.EXACT_FIT}:
        raise DegenerateModelError(reason)
    for precision in rising_precision(bits):
        with ball_precision(precision):
            rho = arb(tau2) / _positive(sigma2)
            if not (rho.is_finite() and rho >= 0):
                raise DataError(f"tau2 / sigma2 is {rho}: it must be finite and at least 0")
            try:
                return evaluate(Profile(criterion_of(statistics, reml, precision), rho))
            except PrecisionError:
                continue
    raise UndecidedError(f"The likelihood at tau2 / sigma2 = {rho} needs over {precision} bits.")


def _positive(sigma2: Number) -> arb:
    ball = arb(sigma2)
    if not (ball.is_finite() and ball > 0):
        raise DataError(f"sigma2 is {sigma2}: it must be finite and above 0")
    return ball
