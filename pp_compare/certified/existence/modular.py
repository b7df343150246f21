"""Arithmetic modulo a prime, as a cheap proof that numbers are independent over the rationals.

A double is an integer times a power of two, so it has a residue modulo an odd prime, exactly. Ranks
can only fall on the way: columns that are independent modulo a prime are so over the rationals. The
converse does not hold, and whoever finds a dependence here has to prove it with integers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Residues = NDArray[np.int64]
Floats = NDArray[np.float64]

PRIME = 2**31 - 1
"""The product of two residues fits a 64-bit integer, and so does the sum of 2**32 residues."""


def residues(x: Floats) -> Residues:
    """Each double modulo `PRIME`."""
    fraction, exponent = np.frexp(x)
    mantissa = np.ldexp(fraction, 53).astype(np.int64)
    exponents, which = np.unique(exponent, return_inverse=True)
    powers = np.array([pow(2, int(e) - 53, PRIME) for e in exponents], dtype=np.int64)
    return np.asarray(mantissa % PRIME * powers[which].reshape(x.shape) % PRIME)


def product(a: Residues, b: Residues) -> Residues:
    """Matrix product of residues; its inner dimension may be long."""
    total: Any = 0
    for k in range(a.shape[-1]):
        total = (total + a[..., :, k, None] * b[..., k, None, :]) % PRIME
    return np.asarray(total)


def inverse(x: Residues) -> Residues:
    """Reciprocal of each residue; that of 0 is 0 (Fermat's little theorem)."""
    result, power = np.ones_like(x), x.copy()
    exponent = PRIME - 2
    while exponent:
        if exponent & 1:
            result = result * power % PRIME
        power = power * power % PRIME
        exponent >>= 1
    return result


def eliminated(matrix: Residues, order: int) -> tuple[Residues, NDArray[np.bool_]]:
    """Sweep the leading `order` rows and columns out of symmetric matrices, (..., r, r).

    Returns
    -------
    rest : (..., r - order, r - order) array
        Schur complement on the rows whose pivot was not 0.
    pivots : (..., order) array of bool
        Which those are.
    """
    rest, pivots = matrix.copy(), []
    for k in range(order):
        pivot = rest[..., k, k].copy()
        pivots.append(pivot != 0)
        row = rest[..., k, :] * inverse(pivot)[..., None] % PRIME
        rest = (rest - rest[..., :, k, None] * row[..., None, :]) % PRIME
    found = np.array(pivots, dtype=bool).reshape(order, *matrix.shape[:-2])
    return rest[..., order:, order:], np.moveaxis(found, 0, -1)


def level_sums(values: Residues, order: NDArray[np.intp], starts: NDArray[np.intp]) -> Residues:
    """Sum rows of residues, (n, ...), over the levels of a factor: sorted rows, first of each."""
    return np.asarray(np.add.reduceat(values[order], starts, axis=0) % PRIME)
