"""The certificate of a global claim: every stationary point in an interval of its own.

With ``r = tau2 / sigma2`` the deviance falls where the evidence for variance between clusters is
above the penalty and rises where it is below. A point's interval is one on which the difference of
the two is monotone with different signs at the ends; between the intervals, and from the last one
to ``beyond``, whoever checks finds the two apart by halving as often as it takes; from there on
``r a(r) > df (q(r) - q(infinity)) / q(r)``, which stays so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from flint import arb

from pp_compare.certified.intercept.criterion import Criterion
from pp_compare.certified.intercept.degenerate import within_residual
from pp_compare.certified.intercept.likelihood import criterion_of
from pp_compare.certified.intercept.optimum import InterceptOptimum, Remark
from pp_compare.certified.intercept.precision import ball_precision
from pp_compare.certified.intercept.stationary import Kind
from pp_compare.certified.intercept.statistics import InterceptStatistics
from pp_compare.errors import PPCompareError
from pp_compare.reference.decimals import fraction, narrow, rational

ENCLOSED = Fraction(1, 10**40)
"""Relative radius of a point's enclosure; the ball that a search leaves is narrower."""
MORE_BITS = 192
"""Beyond what the search took: a sign has to be told at a distance of 1e-40."""


def intercept_certificate(
    statistics: InterceptStatistics,
    found: InterceptOptimum,
    *,
    reml: bool,
    exact: Fraction | None = None,
) -> dict[str, Any]:
    """What a proof of all stationary points needs.

    Parameters
    ----------
    statistics : InterceptStatistics
    found : InterceptOptimum
    reml : bool
    exact : Fraction, optional
        The one interior point, where it is a fraction that is known.
    """
    bits = found.bits + MORE_BITS
    with ball_precision(bits):
        criterion = criterion_of(statistics, reml, bits)
        points = list(_points(criterion, found, exact))
        last = max([*(Fraction(p["isolated"][1]) for p in points), Fraction(1, 2**10)])
        beyond = _beyond(criterion, arb(within_residual(statistics)), last)
    return {"proof": "stationary points", "bits": bits, "points": points, "beyond": beyond}


def _points(
    criterion: Criterion, found: InterceptOptimum, exact: Fraction | None
) -> Iterator[dict[str, Any]]:
    roots = [fraction(s.rho) for s in found.stationary]
    if Remark.ZERO_SCORE_AT_ZERO in found.remarks:
        yield _at_zero(criterion, roots)
    for point, root in zip(found.stationary, roots, strict=True):
        kind = "minimum" if point.kind is Kind.MINIMUM else "maximum"
        if root == 0:
            if Remark.ZERO_SCORE_AT_ZERO not in found.remarks:
                yield _point(kind, ("0", "0"), ("0", "0"))
        elif exact is not None and kind == "minimum":
            yield _point(kind, _isolated(criterion, point.rho, roots), (str(exact), str(exact)))
        else:
            isolated = _isolated(criterion, point.rho, roots)
            yield _point(kind, isolated, narrow(point.rho, ENCLOSED * root))


def _point(kind: str, isolated: Sequence[str], enclosed: Sequence[str]) -> dict[str, Any]:
    return {"kind": kind, "isolated": list(isolated), "enclosed": list(enclosed)}


def _isolated(criterion: Criterion, rho: arb, roots: Sequence[Fraction]) -> tuple[str, str]:
    """The widest interval of some about a point that lets its proof go through."""
    centre = fraction(rho)
    for power in range(2, 60):
        low, high = narrow(rho, centre / 2**power)
        inside = [r for r in roots if Fraction(low) <= r <= Fraction(high)]
        if len(inside) == 1 and _crosses_once(criterion, low, high):
            return low, high
    raise PPCompareError(f"the stationary point at {rho.str(10)} has no interval of its own")


def _crosses_once(criterion: Criterion, low: str, high: str) -> bool:
    a, b = (criterion.score(arb(rational(end)), 2) for end in (low, high))
    falls_faster = b.evidence[1] < a.penalty[1] or b.penalty[1] < a.evidence[1]
    return bool(falls_faster and b.sign and (a.sign == -b.sign or Fraction(low) == 0))


def _at_zero(criterion: Criterion, roots: Sequence[Fraction]) -> dict[str, Any]:
    """Where the score is exactly 0 at 0: an interval that begins there."""
    first = min((r for r in roots if r > 0), default=Fraction(1))
    for power in range(1, 60):
        high = narrow(arb(0), first / 4**power)[1]
        if _crosses_once(criterion, "0", high):
            sign = criterion.score(arb(rational(high)), 2).sign
            return _point("minimum" if sign > 0 else "maximum", ("0", high), ("0", "0"))
    raise PPCompareError("the sign of the score beside 0 was not found")


def _beyond(criterion: Criterion, within: arb, last: Fraction) -> str:
    power = 0
    while Fraction(2) ** power <= last:
        power += 1
    while True:
        point = criterion.score(arb(2) ** power, 1)
        if point.rho * point.penalty[0] > criterion.df * (point.q - within):
            return str(2**power) if power >= 0 else str(Fraction(2) ** power)
        power += 1
