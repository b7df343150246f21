"""The restricted criterion of a design in which X and the clusters fit any response.

With ``K`` orthonormal, ``K'X = 0`` and ``d = N - p``, the matrix ``K'ZZ'K`` then has full rank, so
that ``W(rho) = |I + rho K'ZZ'K|`` and ``S = q W`` are polynomials of degree ``d`` and ``d - 1``
with rational coefficients, and up to a constant the criterion is

    f = log W + d log q = d log S - (d - 1) log W.

It tends to a limit as ``rho`` grows (``sigma2`` to 0, ``tau2`` to a value of its own). Its
stationary points are the positive roots of ``d S' W - (d - 1) W' S``, which flint isolates.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise

from flint import arb, fmpq, fmpq_mat, fmpq_poly, fmpz, fmpz_poly

from pp_compare.certified.intercept.polynomials import real_roots, through, value_at
from pp_compare.certified.intercept.precision import PrecisionError
from pp_compare.certified.intercept.stationary import Kind, Root
from pp_compare.certified.intercept.statistics import InterceptStatistics


def saturated_points(statistics: InterceptStatistics) -> list[Root] | None:
    """Stationary points in [0, infinity) by increasing ``rho``; None if the limit lies below them.

    Raises
    ------
    PrecisionError
        Where the working precision cannot tell a minimum from the limit.
    """
    S, W = _polynomials(statistics)
    d = W.degree()
    roots = list(_turns(d * S.derivative() * W - (d - 1) * W.derivative() * S))
    limit = _value(d, arb(S[d - 1]), arb(W[d]))
    found = False
    for root in (r for r in roots if r.kind is Kind.MINIMUM):
        value = _value(d, value_at(S, root.rho), value_at(W, root.rho))
        if not (value < limit or value > limit):
            raise PrecisionError
        found |= bool(value < limit)
    return roots if found else None


def is_proportional(statistics: InterceptStatistics) -> bool:
    """Whether ``K'ZZ'K`` of a saturated design is a multiple of the identity.

    Its eigenvalues are equal where the sum of their squares is least for their sum, and both sums
    follow from the first coefficients of W.
    """
    _, W = _polynomials(statistics)
    first, second = W[1] / W[0], W[2] / W[0]
    return bool(W.degree() * (first**2 - 2 * second) == first**2)


def _value(d: int, s: arb, w: arb) -> arb:
    if not (s > 0 and w > 0):
        raise PrecisionError
    return d * s.log() - (d - 1) * w.log()


def _turns(slope: fmpq_poly) -> Iterator[Root]:
    """Where a polynomial with the sign of the criterion's slope changes it on [0, infinity)."""
    sign = _sign(slope, fmpq(0))
    order = next(k for k, c in enumerate(slope.coeffs()) if c != 0)
    if not sign:  # just beyond 0 the first coefficient decides
        sign = 1 if slope[order] > 0 else -1
    if sign > 0:
        yield Root(arb(0), Kind.MINIMUM)
    roots = [rho for part, odd in _parts(slope) if odd for rho in real_roots(part) if rho > 0]
    for rho in sorted(roots, key=lambda r: float(r.mid())):
        yield Root(rho, Kind.MINIMUM if sign < 0 else Kind.MAXIMUM)
        sign = -sign
    if any(not a < b for a, b in pairwise(sorted(roots, key=lambda r: float(r.mid())))):
        raise PrecisionError


def _parts(slope: fmpq_poly) -> Iterator[tuple[fmpz_poly, bool]]:
    """Square-free parts, with whether their roots change the sign."""
    _, parts = fmpz_poly(slope.numer()).factor_squarefree()
    for part, multiplicity in parts:
        yield part, multiplicity % 2 == 1


def _sign(polynomial: fmpq_poly, x: fmpq) -> int:
    value = polynomial(x)
    return int(value > 0) - int(value < 0)


@lru_cache(maxsize=8)
def _polynomials(statistics: InterceptStatistics) -> tuple[fmpq_poly, fmpq_poly]:
    """S and W, each up to a constant factor, from their values at 0, 1, ..., d."""
    d = statistics.n_obs - statistics.n_fixed
    values = [_determinants(statistics, k) for k in range(d + 1)]
    return through([s for s, _ in values]), through([w for _, w in values])


def _determinants(statistics: InterceptStatistics, rho: int) -> tuple[fmpq, fmpq]:
    """``|M| |D'M^-1D|`` and ``|M| |X'M^-1X|`` at an integer ``rho``."""
    within, denominator = statistics.within
    total, of_m = fmpq_mat(within) / fmpz(denominator), fmpz(1)
    for size, count, crossproduct in statistics.by_size:
        total += fmpq_mat(crossproduct) / fmpz(size * (1 + size * rho))
        of_m *= fmpz(1 + size * rho) ** count
    p = statistics.n_fixed
    leading = fmpq_mat(p, p, [total[i, j] for i in range(p) for j in range(p)])
    return of_m * total.det(), of_m * (leading.det() if p else fmpq(1))
