"""y'Py with all random effects free: the residual sum of squares of y on [X Z], exactly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
from flint import fmpq, fmpq_mat, fmpz_mat, nmod_mat
from numpy.typing import NDArray

from pp_compare.certified.components.blocks import RandomBlock
from pp_compare.certified.components.integer_columns import IntegerColumn

Floats = NDArray[np.float64]

PRIME = 2**61 - 1
"""Columns that are independent modulo it are so over the rationals; the converse is checked."""


def all_free(
    y: Floats, X: Floats, blocks: Sequence[RandomBlock], weights: Floats | None = None
) -> fmpq:
    """The least sum of squares, weighted, in units of the response squared; 0 if it is not found.

    The projection of y is solved for on columns that are independent modulo a prime, and believed
    only if what it leaves is orthogonal to every column.
    """
    Z = [np.where(b.group == k, z, 0.0) for b in blocks for z in b.Z.T for k in range(b.levels)]
    columns = fmpz_mat([_integers(x) for x in (*X.T, *Z)])
    response = IntegerColumn.of(y)
    right = fmpz_mat([[int(v)] for v in response.integers])
    scale = IntegerColumn.of(np.ones(len(y)) if weights is None else weights)
    heavy = fmpz_mat(
        [
            [int(w) * v for w, v in zip(scale.integers, map(int, row), strict=True)]
            for row in columns.tolist()
        ]
    )
    gram, side = heavy * columns.transpose(), heavy * right
    kept = _independent(gram)
    square = fmpz_mat([[gram[i, j] for j in kept] for i in kept])
    found = cast(fmpq_mat, square.solve(fmpz_mat([[side[i, 0]] for i in kept])))
    across = fmpq_mat(fmpz_mat([[gram[i, j] for j in kept] for i in range(gram.nrows())]))
    if across * found != fmpq_mat(side):
        return fmpq(0)
    whole = sum(
        (int(w) * int(v) ** 2 for w, v in zip(scale.integers, response.integers, strict=True)), 0
    )
    explained = sum((side[i, 0] * found[k, 0] for k, i in enumerate(kept)), fmpq(0))
    return (fmpq(whole) - explained) * _power(2 * response.exponent + scale.exponent)


def _integers(column: Floats) -> list[int]:
    return [int(v) for v in IntegerColumn.of(column).integers]


def _independent(gram: fmpz_mat) -> list[int]:
    size = gram.nrows()
    residues = nmod_mat(size, size, [int(v) % PRIME for v in gram.entries()], PRIME)
    reduced, rank = residues.rref()
    return [next(j for j in range(size) if int(reduced[i, j]) != 0) for i in range(rank)]


def _power(exponent: int) -> fmpq:
    return fmpq(2**exponent) if exponent >= 0 else fmpq(1, 2**-exponent)
