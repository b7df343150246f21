"""Every stationary point of the criterion on [0, infinity): isolated, then refined.

Between break points, two proofs are tried: that one side of the score is above the other (no
stationary point), or that their difference is monotone (at most one, and exactly one if the signs
at the ends differ). Where both fail the interval is halved, on a logarithmic scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import NamedTuple

from flint import arb

from pp_compare.certified.intercept.criterion import Criterion, ScorePoint, certainly_above
from pp_compare.certified.intercept.precision import PrecisionError


class Kind(Enum):
    """What the criterion (minus twice the log-likelihood) does at a stationary point."""

    MINIMUM = "minimum"
    MAXIMUM = "maximum"


@dataclass(frozen=True)
class Root:
    """An enclosure of ``rho`` that holds exactly one stationary point."""

    rho: arb
    kind: Kind


class Side(Enum):
    """The two sides of the score."""

    EVIDENCE = "evidence"
    PENALTY = "penalty"


class Bracket(NamedTuple):
    """An interval on which the sides of the score cross exactly once."""

    left: ScorePoint
    right: ScorePoint
    kind: Kind


def stationary_points(criterion: Criterion, within_residual: arb) -> list[Root]:
    """Enclose every stationary point in (0, infinity), and 0 if the criterion rises from it.

    Parameters
    ----------
    criterion : Criterion
        With a response outside the span of ``X`` and, under REML, clusters outside it.
    within_residual : arb
        ``q`` at infinity, certainly positive.

    Returns
    -------
    list of Root
        In increasing order; minima and maxima alternate and the last is a minimum.

    Raises
    ------
    PrecisionError
        If the precision is too low to tell stationary points apart.
    """
    zero = Root(arb(0), Kind.MINIMUM)
    if criterion.evidence_is_zero:
        return [zero]
    points = _break_points(criterion, within_residual)
    roots = [_refine(criterion, b) for b in _isolate(criterion, points)]
    rises_from_zero = not roots or roots[0].kind is Kind.MAXIMUM
    return [zero] * rises_from_zero + roots


def _break_points(criterion: Criterion, within_residual: arb) -> list[ScorePoint]:
    """Points from 0 to beyond the last stationary point, four times apart.

    ``rho a`` increases in ``rho`` and ``rho b <= q - q(infinity)``, since ``rho d / (1 + rho d)``
    stays below 1. So ``rho f' > 0`` from ``R`` on as soon as ``R a > df (1 - q(infinity) / q)``
    holds at ``R``.
    """
    points = [_first_point(criterion)]
    rho = 4 * float(points[0].rho) or 1 / max(criterion.sizes)
    while True:
        points.append(_decided(criterion, rho, 2 * rho))
        last = points[-1]
        if last.rho * last.penalty[0] > criterion.df * (last.q - within_residual):
            return points
        rho *= 4


def _first_point(criterion: Criterion) -> ScorePoint:
    """Where to begin: 0, or beyond it if the score is exactly 0 there.

    If the derivatives of ``evidence - penalty`` below the ``k``-th vanish at 0 and the ``k``-th
    has one sign on ``[0, rho]``, then by Taylor's theorem so has the difference on ``(0, rho]``.
    """
    order = criterion.zero_order_at_zero
    zero = criterion.score(arb(0), order + 3)
    if order == 0:
        return _signed(zero)
    rho = 1 / max(criterion.sizes)
    while rho > 2.0**-900:
        point = criterion.score(arb(rho), order + 3)
        if larger(zero, point, order):
            return _signed(point)
        rho /= 4
    raise PrecisionError


def _signed(point: ScorePoint) -> ScorePoint:
    if not point.sign:
        raise PrecisionError
    return point


def _decided(criterion: Criterion, rho: float, limit: float) -> ScorePoint:
    """Evaluate at ``rho``, or further on towards ``limit`` where that may be a stationary point."""
    for share in (0.0, 0.125, 0.25, 0.375):
        point = criterion.score(arb(rho + share * (limit - rho)), 3)
        if point.sign:
            return point
    raise PrecisionError


def _isolate(criterion: Criterion, points: list[ScorePoint]) -> list[Bracket]:
    brackets = []
    stack = list(pairwise(points))[::-1]
    while stack:
        left, right = stack.pop()
        if larger(left, right, 0):
            continue
        if not (falls_faster := larger(left, right, 1)):
            middle = _decided(criterion, _between(criterion, left, right), float(right.rho))
            stack += [(middle, right), (left, middle)]
        elif left.sign != right.sign:
            kind = Kind.MINIMUM if falls_faster is Side.EVIDENCE else Kind.MAXIMUM
            brackets.append(Bracket(left, right, kind))
    return brackets


def larger(left: ScorePoint, right: ScorePoint, order: int) -> Side | None:
    """Prove that one side of the score has the larger ``order``-th derivative between two points.

    Of a completely monotone function, the derivatives with signs alternating are completely
    monotone again; larger means larger in size. Order 0 excludes a stationary point, and order 1
    leaves room for one at most.
    """
    sign = (-1) ** order

    def ends(series: Callable[[ScorePoint], tuple[arb, ...]]) -> list[tuple[arb, arb]]:
        return [
            (sign * c[order], sign * (order + 1) * c[order + 1])
            for c in (series(left), series(right))
        ]

    width = right.rho - left.rho
    evidence, penalty = ends(lambda x: x.evidence), ends(lambda x: x.penalty)
    if certainly_above(evidence, penalty, width):
        return Side.EVIDENCE
    return Side.PENALTY if certainly_above(penalty, evidence, width) else None


def _between(criterion: Criterion, left: ScorePoint, right: ScorePoint) -> float:
    """Where to halve an interval; gives up once it is narrower than an eighth of the bits."""
    low, high = float(left.rho), float(right.rho)
    narrow = 2.0 ** -(min(criterion.bits, 400) // 8)
    if high - low < narrow * (low or 1 / max(criterion.sizes)):
        raise PrecisionError
    return math.sqrt(low) * math.sqrt(high) if low else high / 8


def _refine(criterion: Criterion, bracket: Bracket) -> Root:
    """Close in by Newton's method on ``log(evidence / penalty)`` as a function of ``log rho``.

    Both sides are near to powers of ``rho``, so this function is near to a line. The last step
    leaves an error near the square of the one before; two signs then prove the enclosure.
    """
    low, high = bracket.left.rho, bracket.right.rho
    rho = (low * high).sqrt() if low > 0 else high / 2
    small = arb(2) ** -(criterion.bits * 3 // 10)
    for _ in range(criterion.bits):
        rho = rho.mid()
        point = criterion.score(rho, 2)
        step = _newton_step(point)
        following = rho * step.exp()
        if abs(step) < small:
            return Root(proved(criterion, following.mid(), bracket), bracket.kind)
        if point.sign == bracket.right.sign:
            high = rho
        else:
            low = rho
        inside = following > low and following < high
        rho = following if inside else (low + high) / 2
    raise PrecisionError


def _newton_step(point: ScorePoint) -> arb:
    (evidence, d_evidence), (penalty, d_penalty) = point.evidence, point.penalty
    slope = point.rho * (d_evidence / evidence - d_penalty / penalty)
    return -(evidence / penalty).log() / slope


def proved(criterion: Criterion, rho: arb, bracket: Bracket) -> arb:
    """Enclose the one zero of the score in the bracket by its signs on either side of ``rho``."""
    for tenths in (6, 5, 4):
        radius = (rho * arb(2) ** -(criterion.bits * tenths // 10)).mid()
        low, high = rho - radius, rho + radius
        if not (low > bracket.left.rho and high < bracket.right.rho):
            continue
        left, right = (criterion.score(end.mid(), 1) for end in (low, high))
        if left.sign * right.sign < 0:
            return low.mid().union(high.mid())
    raise PrecisionError
