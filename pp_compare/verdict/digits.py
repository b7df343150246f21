"""How far apart two numbers are: digits, and units of a tolerance; a value for every pair."""

from __future__ import annotations

import math

import numpy as np

MAX_DIGITS = 15.0
"""A double has 15 to 17 significant digits; NIST caps its measure at 15."""


def lre(value: float, truth: float, scale: float | None = None) -> float:
    """Number of correct significant digits: the log relative error of NIST's StRD.

    ``-log10(|x - t| / |t|)``, between 0 and 15 (McCullough 1998, *Am. Stat.* 52(4), 358-366).

    Parameters
    ----------
    value, truth : float
        Any doubles. Equal values, equal infinities included, have 15 digits; NaN and an infinity
        against a number have none.
    scale : float, optional
        Used for ``|t|`` where the truth is 0 or smaller than `scale`; without it, an error against
        a truth of 0 has no digits.
    """
    if value == truth:
        return MAX_DIGITS
    unit = max(abs(truth), scale or 0.0)
    error = abs(value - truth)
    if not math.isfinite(error) or not math.isfinite(unit) or unit == 0.0:
        return 0.0
    # Two logarithms, because the quotient of two doubles may overflow.
    return min(MAX_DIGITS, max(0.0, math.log10(unit) - math.log10(error)))


def excess(error: float, tolerance: float) -> float:
    """An error in units of its tolerance; infinite beyond a tolerance of 0, nan for 0 of 0."""
    with np.errstate(all="ignore"):
        return float(np.divide(error, tolerance))
