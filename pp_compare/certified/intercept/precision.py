"""Working precision of ball arithmetic, set for a block and given back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flint import ctx

from pp_compare.errors import PPCompareError

START_BITS = 256
MOST_BITS = 2**14


class UndecidedError(PPCompareError):
    """A question that no ball of the highest precision tried could decide."""


class PrecisionError(ArithmeticError):
    """The balls are too wide at this precision; caught, and tried again with twice the bits."""


@contextmanager
def ball_precision(bits: int, terms: int = 4) -> Iterator[None]:
    """Compute with ``bits`` bits and power series of ``terms`` terms.

    Both are global in python-flint (not per thread), so both are given back on leaving.
    """
    before = ctx.prec, ctx.cap
    ctx.prec, ctx.cap = bits, terms
    try:
        yield
    finally:
        ctx.prec, ctx.cap = before


def rising_precision(start: int = START_BITS) -> Iterator[int]:
    """Precisions to try, each twice the one before, from ``start`` to ``MOST_BITS``."""
    bits = start
    while bits <= MOST_BITS:
        yield bits
        bits *= 2
