"""Balls as decimals whose last digit is rounded and right."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from flint import arb, fmpq

from pp_compare.errors import PPCompareError

MOST_DIGITS = 20
"""Significant digits of a value: a double has 17."""
SMALLEST_SHARE = 22
"""Digits of a value's natural unit, its standard error say: a value near 0 has fewer significant
ones. How many there are so depends on the numbers alone, never on how narrow a ball came out."""
MARGIN = 2**10
"""How many times wider than ours another enclosure of the same number may be, and still show the
digits that are published."""


class Decimals(NamedTuple):
    """A number as published: ``radius`` is half a unit of the last place, or 0 if it is exact."""

    value: str
    radius: str


def decimals(ball: arb, unit: arb) -> Decimals:
    """Round a ball to `MOST_DIGITS` digits, or to `SMALLEST_SHARE` of those of its natural unit.

    Raises
    ------
    PPCompareError
        Where the ball is too wide: not all of its numbers round alike.
    """
    middle, radius = _fraction(ball.mid()), _fraction(ball.rad()) * MARGIN
    if middle == radius == 0:
        return Decimals("0", "0")
    place = _exponent(_fraction(unit.mid())) - SMALLEST_SHARE + 1
    if middle:
        place = max(place, _exponent(middle) - MOST_DIGITS + 1)
    step = Fraction(10) ** place
    count = round(middle / step)
    if abs(middle - count * step) + radius > step / 2:
        raise PPCompareError(f"{ball.str(40)} is too wide for its digits")
    return Decimals(_text(count, place), _text(5, place - 1))


def narrow(value: arb, radius: Fraction) -> tuple[str, str]:
    """Decimals on either side of a ball's middle, `radius` away or a little more."""
    middle = _fraction(value.mid())
    place = _exponent(radius) - 1
    unit = Fraction(10) ** place
    low, high = (middle - radius) // unit, -((-middle - radius) // unit)
    return _text(low, place), _text(high, place)


def rounded(number: arb | Fraction, digits: int) -> str:
    """A number to some significant digits; nothing rests on the last of them."""
    value = number if isinstance(number, Fraction) else _fraction(number.mid())
    if value == 0:
        return "0"
    place = _exponent(value) - digits + 1
    return _text(round(value / Fraction(10) ** place), place)


def rational(text: str) -> fmpq:
    """The fraction that a decimal is."""
    value = Fraction(text)
    return fmpq(value.numerator, value.denominator)


def fraction(number: arb) -> Fraction:
    """The middle of a ball, exact."""
    return _fraction(number.mid())


def _fraction(number: arb) -> Fraction:
    mantissa, exponent = (int(part) for part in number.man_exp())
    return Fraction(mantissa) * Fraction(2) ** exponent


def _exponent(number: Fraction) -> int:
    """Power of ten of the first significant digit."""
    size = abs(number)
    guess = len(str(size.numerator)) - len(str(size.denominator))
    return guess if size >= Fraction(10) ** guess else guess - 1


def _text(count: int, place: int) -> str:
    return str(Decimal(count).scaleb(place)) if abs(count) < 10**25 else f"{count}E{place}"
