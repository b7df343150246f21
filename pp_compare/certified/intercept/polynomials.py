"""Polynomials with rational coefficients: through values, at a ball, and their real roots."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from flint import arb, arb_poly, fmpq, fmpq_poly, fmpz_poly


def through(values: list[fmpq]) -> fmpq_poly:
    """The polynomial with these values at 0, 1, 2, ... (Newton's forward differences)."""
    result, factor, differences = fmpq_poly([0]), fmpq_poly([1]), list(values)
    for k in range(len(values)):
        result += differences[0] * factor
        factor *= fmpq_poly([fmpq(-k, k + 1), fmpq(1, k + 1)])
        differences = [b - a for a, b in pairwise(differences)]
    return result


def value_at(polynomial: fmpq_poly, x: arb) -> arb:
    """Enclose the value of a polynomial on a ball."""
    return arb_poly([arb(c) for c in polynomial.coeffs()])(x)


def real_roots(part: fmpz_poly) -> Iterator[arb]:
    """Enclose the real roots of a square-free polynomial; flint gives them no imaginary part."""
    roots: Any = part.complex_roots()
    yield from (root.real for root, _ in roots if root.imag == 0)
