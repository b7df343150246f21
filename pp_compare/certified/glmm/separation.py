"""Data whose likelihood rises for ever along a direction of the fixed effects.

With canonical links log L(beta) is concave at a given covariance, and the terms of every row tend
to their suprema along d where x'd >= 0 in rows of successes alone, <= 0 in rows of failures alone
and = 0 in the others; for counts, where x'd = 0 in rows with counts and <= 0 in rows of 0. Along
such a d that is not 0 everywhere neither the exact likelihood nor Laplace's has a maximum
(Albert & Anderson 1984, Biometrika 71; Haberman 1974 for counts).
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from pp_compare.certified.glmm.data import Floats, GlmmData

LARGEST_DENOMINATORS = (1, 12, 1000, 10**6)
"""A vertex of the linear programme is rational; the simplest that passes is taken."""


def separating_direction(data: GlmmData) -> tuple[Fraction, ...] | None:
    """A direction along which the likelihood rises for ever, checked in exact arithmetic.

    None where the linear programme finds none, or none that passes the check.
    """
    low, high = _sides(data)
    whole = np.column_stack([data.X, low, high]).astype(float)
    kinds = np.unique(whole, axis=0, return_index=True)[1]
    X, low, high = data.X[kinds], low[kinds], high[kinds]
    signed = np.vstack([X[high & ~low], -X[low & ~high]])
    equal = X[~low & ~high]
    # A row of both kinds, 0 of 0 trials, asks nothing.
    if not len(signed):
        return None
    from scipy.optimize import linprog  # noqa: PLC0415 - a tenth of a second that few models need

    found = linprog(
        -signed.sum(axis=0),
        A_ub=-signed,
        b_ub=np.zeros(len(signed)),
        A_eq=equal if len(equal) else None,
        b_eq=np.zeros(len(equal)) if len(equal) else None,
        bounds=[(-1, 1)] * X.shape[1],
    )
    if found.status != 0 or found.fun is None or -found.fun < 1e-7 * np.abs(signed).sum():
        return None
    return _checked(signed, equal, np.asarray(found.x))


def _sides(data: GlmmData) -> tuple[np.ndarray, np.ndarray]:
    """Rows that allow x'd < 0, and those that allow x'd > 0."""
    if data.family == "poisson":
        return data.y == 0, np.zeros(len(data.y), bool)
    return data.y == 0, data.y == data.trials


def _checked(signed: Floats, equal: Floats, d: Floats) -> tuple[Fraction, ...] | None:
    for largest in LARGEST_DENOMINATORS:
        direction = tuple(Fraction(float(v)).limit_denominator(largest) for v in d)
        rises = [_dot(row, direction) for row in signed]
        still = all(_dot(row, direction) == 0 for row in equal)
        if still and all(r >= 0 for r in rises) and any(rises):
            return direction
    return None


def _dot(row: Floats, direction: tuple[Fraction, ...]) -> Fraction:
    return sum((Fraction(x) * d for x, d in zip(row.tolist(), direction, strict=True)), Fraction(0))
