"""Whether an intercept and a slope that are tied to each other fit the response exactly.

Where [X Z] fits any response the criterion may still fall without bound: with a correlation of +-1,
along which Z u = z0 + s z1 alone has to do the fitting. That y lies in the span of [X, z0 + s z1]
is a polynomial equation in s, whose real roots are isolated exactly.
"""

from __future__ import annotations

import numpy as np
from flint import fmpq, fmpq_poly, fmpz_mat, fmpz_poly
from numpy.typing import NDArray

from pp_compare.certified.components.blocks import RandomBlock
from pp_compare.certified.components.integer_columns import IntegerColumn
from pp_compare.certified.intercept.polynomials import real_roots, through, value_at

Floats = NDArray[np.float64]

MOST_LEVELS = 40
"""Levels up to which the equation is solved; its degree is twice that."""


def fitted_in_one_direction(y: Floats, X: Floats, block: RandomBlock) -> bool:
    """Whether some real s puts y into the span of [X, z0 + s z1], with rows to spare.

    False says that none was found, not that there is none: columns that are dependent for every s
    are not followed up.
    """
    width = X.shape[1] + block.levels
    if block.size != 2 or block.levels > MOST_LEVELS or width >= len(y):
        return False
    with_y, without = (_gram(c, block) for c in (np.column_stack([X, y]), X))
    if without.degree() < 0:
        return False
    if with_y.degree() < 0:
        return True
    return any(
        not value_at(without, s).contains(0)
        for part, _ in fmpz_poly(with_y.numer()).factor_squarefree()[1]
        for s in real_roots(part)
    )


def _gram(F: Floats, block: RandomBlock) -> fmpq_poly:
    """|M'M| for M = [F, z0 + s z1], from its values at as many integers s as its degree asks."""
    fixed = [[int(v) for v in IntegerColumn.of(x).integers] for x in F.T]
    both = IntegerColumn.of(block.Z.T.ravel()).integers.reshape(2, -1)
    values = []
    for s in range(2 * block.levels + 1):
        z = [int(a) + s * int(b) for a, b in both.T.tolist()]
        levels = [
            [v if g == k else 0 for v, g in zip(z, block.group.tolist(), strict=True)]
            for k in range(block.levels)
        ]
        M = fmpz_mat([*fixed, *levels])
        values.append(fmpq((M * M.transpose()).det()))
    return through(values)
