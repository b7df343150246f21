"""How far apart two numbers are: digits, and units of a tolerance."""

from __future__ import annotations

import math
from collections.abc import Iterable

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
        against a number have 0.
    scale : float, optional
        Used for ``|t|`` where the truth is 0 or smaller than `scale`.

    Returns
    -------
    float
        nan against an exact 0 without a `scale`: 0 has no significant digits, so neither has what
        is held against it, 0 itself included.
    """
    if truth == 0 and not scale:
        return math.nan
    if value == truth:
        return MAX_DIGITS
    unit = max(abs(truth), scale or 0.0)
    error = abs(value - truth)
    if not math.isfinite(error) or not math.isfinite(unit) or unit == 0.0:
        return 0.0
    # Two logarithms, because the quotient of two doubles may overflow.
    return min(MAX_DIGITS, max(0.0, math.log10(unit) - math.log10(error)))


def lre_of(values: np.ndarray, truths: np.ndarray) -> np.ndarray:
    """`lre` of many numbers, without a scale."""
    with np.errstate(all="ignore"):
        error, unit = np.abs(values - truths), np.abs(truths)
        digits = np.clip(np.log10(unit) - np.log10(error), 0.0, MAX_DIGITS)
        digits = np.where(np.isfinite(error) & np.isfinite(unit), digits, 0.0)
    return np.where(truths == 0, np.nan, np.where(values == truths, MAX_DIGITS, digits))


def least(digits: Iterable[float]) -> float:
    """The fewest digits, of numbers that have any; nan where none has."""
    return min((each for each in digits if not math.isnan(each)), default=math.nan)


def worst_first(digits: float) -> float:
    """Place of a number that is off: without digits it may be off by any factor, so first."""
    return 0.0 if math.isnan(digits) else digits


def digits_text(digits: float) -> str:
    """With one decimal, as every table shows them; ``-`` for none."""
    return "-" if math.isnan(digits) else f"{digits:.1f}"


def excess(error: float, tolerance: float) -> float:
    """An error in units of its tolerance; infinite beyond a tolerance of 0, nan for 0 of 0."""
    with np.errstate(all="ignore"):
        return float(np.divide(error, tolerance))
