"""A number as it is shown: its value, and what its last place leaves open."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real

from pp_compare.errors import InputError

_SHOWN = re.compile(r"([<>≤]?)\s*([-+−]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)$")
LONGEST = 60
"""Characters of a number; a double needs at most 24."""
EXACT_DIGITS = 10
"""A float that needs more digits than this was computed and not typed from a printout: R's and
statsmodels' summaries show at most 7 significant digits, `format(x, digits = 10)` ten."""


@dataclass(frozen=True)
class Number:
    """A number with half a unit of its last place.

    Parameters
    ----------
    value : float
    half : float
        The number that was rounded lies within `value` plus or minus this; 0 for an exact one.
    text : str
        As it is shown.
    """

    value: float
    half: float
    text: str


def shown_number(text: str) -> Number:
    """Read a number with its digits: ``"0.02558"`` is anything from 0.025575 to 0.025585.

    ``"< 2e-16"`` is anything from 0 to that.

    Raises
    ------
    InputError
        For text that is not one number.
    """
    match = _SHOWN.match(text.strip()) if len(text) <= LONGEST else None
    if match is None:
        if text.strip().lower() in {"nan", "na", ""}:
            return Number(math.nan, 0.0, text)
        raise InputError(f"'{text[:LONGEST]}' is not a number")
    sign, digits = match.groups()
    decimal = Decimal(digits.replace("−", "-"))
    value = float(decimal)
    if sign:
        return Number(value / 2, abs(value) / 2, text)
    exponent = int(decimal.as_tuple().exponent)
    return Number(value, _half_unit(exponent), text)


def rounded_number(value: float, digits: int | None = None) -> Number:
    """A float that was rounded to so many significant digits; exact without `digits`."""
    number = float(value)
    if digits is None or number == 0.0 or not math.isfinite(number):
        return Number(number, 0.0, repr(number))
    return Number(number, _half_unit(math.floor(math.log10(abs(number))) + 1 - digits), f"{number}")


def typed_number(value: float) -> Number:
    """A float as rounded to the digits that it shows; exact where it shows too many to be typed."""
    text = repr(float(value))
    if value == 0:
        return Number(0.0, 0.0, text)
    digits = Decimal(text).as_tuple().digits if math.isfinite(value) else ()
    if not 0 < len(digits) <= EXACT_DIGITS:
        return Number(float(value), 0.0, text)
    return shown_number(text.removesuffix(".0"))


def number_of(value: object, digits: int | None = None) -> Number:
    """A number from what was passed: text keeps its digits, a float is exact or has `digits`.

    Raises
    ------
    InputError
        For what is no number.
    """
    if isinstance(value, Number):
        return value
    if isinstance(value, str):
        return shown_number(value)
    if isinstance(value, Real):
        return rounded_number(float(value), digits)
    raise InputError(f"{value!r} is not a number")


def _half_unit(exponent: int) -> float:
    """Half a unit of a decimal place; 0 where that is below a double's range."""
    return 0.5 * 10.0**exponent if exponent > -320 else 0.0
