"""lme4's theta, and the same numbers in the scaled coordinates of ``CrossProducts``.

theta holds the lower triangles of the relative covariance factors T, random term by random term,
column by column: the covariance of a term is sigma^2 T T' (Bates et al. 2015, section 2.2). A
column of Z divided by 2^s multiplies a row of T by 2^s, so T stays lower triangular.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from flint import arb, arb_mat
from numpy.typing import NDArray

from pp_compare.certified.equations.crossproducts import CrossProducts
from pp_compare.errors import DataError

Floats = NDArray[np.float64]


@dataclass(frozen=True, order=True)
class Parameter:
    """An entry of the relative covariance factor T of one random term."""

    block: int
    row: int
    column: int


def lower_triangle(sizes: Sequence[int]) -> tuple[Parameter, ...]:
    """All entries of the factors of terms with ``sizes`` coefficients, in the order of theta."""
    return tuple(
        Parameter(block, row, column)
        for block, q in enumerate(sizes)
        for column in range(q)
        for row in range(column, q)
    )


def units(products: CrossProducts) -> Floats:
    """What one unit of each entry of theta is in scaled coordinates; powers of two."""
    exponents = [
        products.coordinates.z_exponents[p.block][p.row] for p in lower_triangle(products.sizes)
    ]
    return np.ldexp(1.0, exponents)


def scaled(products: CrossProducts, theta: Floats) -> Floats:
    """Theta in scaled coordinates; raises DataError if its length is not the model's."""
    unit = units(products)
    values = np.asarray(theta, dtype=np.float64)
    if values.shape != unit.shape:
        raise DataError(f"theta has shape {values.shape}; this model has {len(unit)} entries.")
    return np.asarray(values * unit)


def enclosed_theta(products: CrossProducts, factors: Sequence[arb_mat]) -> arb_mat:
    """Theta (t, 1) of scaled factors, the sign of each column such that its diagonal is >= 0."""
    values = []
    for p, unit in zip(lower_triangle(products.sizes), units(products), strict=True):
        factor = factors[p.block]
        value = factor[p.row, p.column] / arb(float(unit))
        values.append([-value if factor[p.column, p.column] < 0 else value])
    return arb_mat(values)


def float_theta(products: CrossProducts, factors: Sequence[Floats]) -> Floats:
    """Theta (t,) of scaled float64 factors, signs as in ``enclosed_theta``."""
    exact = [arb_mat(f.tolist()) for f in factors]
    return np.array([float(value) for value in enclosed_theta(products, exact).entries()])


def exact_covariances(products: CrossProducts, theta: Floats) -> list[arb_mat]:
    """Scaled relative covariances T T' of a theta taken as the exact doubles that it holds."""
    factors = [arb_mat(q, q) for q in products.sizes]
    for value, p in zip(scaled(products, theta), lower_triangle(products.sizes), strict=True):
        factors[p.block][p.row, p.column] = arb(float(value))
    return [t * t.transpose() for t in factors]


def to_scaled(products: CrossProducts, block: int, G: arb_mat) -> arb_mat:
    """A covariance of one random term, from the model's own columns of Z to the scaled ones."""
    return _congruence(G, products.coordinates.z_exponents[block])


def from_scaled(products: CrossProducts, block: int, G: arb_mat) -> arb_mat:
    """The inverse of ``to_scaled``."""
    return _congruence(G, [-e for e in products.coordinates.z_exponents[block]])


def _congruence(G: arb_mat, exponents: Sequence[int]) -> arb_mat:
    powers = [arb(2) ** e for e in exponents]
    return arb_mat([[G[i, j] * a * b for j, b in enumerate(powers)] for i, a in enumerate(powers)])
