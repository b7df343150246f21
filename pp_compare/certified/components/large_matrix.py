"""Inverse and determinant of a large matrix of balls, from those of its midpoints in float64.

With R a matrix of doubles near the inverse of S, taken as the exact numbers that they are, and
E = I - R S (the residual of Krawczyk 1969; Rump 2010, Acta Numerica 19, section 10),

    S^-1 = (I - E)^-1 R,   (I - E)^-1 = I + E + ... + E^(k-1) and a rest of norm <= e^k / (1 - e)

for any e < 1 that bounds the row sums of the absolute values of E. With A and B near the inverses
of the triangular factors of S, its rows in the order of the pivots, and F = I - A S B likewise,

    log|A S B| = -tr F - tr(F F) / 2 and a rest of size <= n f^3 / (3 (1 - f))

and the determinants of A and B, triangular, are products of doubles. E and F are rounding errors of
float64, times a condition number, so that a few terms do, and products by doubles take less time
than the elimination in balls.
"""

from __future__ import annotations

import numpy as np
from flint import arb, arb_mat, ctx
from numpy.typing import NDArray
from scipy.linalg import lapack

Floats = NDArray[np.float64]

LARGE = 80
"""Rows from which this takes less time."""

MOST_TERMS = 4
"""Of the series of the inverse; where more are needed, elimination takes less time."""


def inverse(a: arb_mat) -> arb_mat:
    """The inverse of a square matrix; NaN where it may be singular.

    Its entries are right to half the working precision at least, relative to its norm.
    """
    near = _near_inverse(a) if a.nrows() >= LARGE else None
    if near is None:
        return a.inv(nonstop=True)
    R = arb_mat(near.tolist())
    E = _one_minus(R * a)
    e = _norm(E)
    terms = next((k for k in range(2, MOST_TERMS + 1) if e**k < arb(2) ** -(ctx.prec // 2)), None)
    if terms is None:
        return a.inv(nonstop=True)
    series = _plus(E, arb(1, e**terms / (1 - e)), arb(0, e**terms / (1 - e)))
    if terms > 2:
        square = E * E
        series = series + (square if terms == 3 else square + square * E)
    return series * R


def determinant(a: arb_mat) -> arb:
    """The determinant of a square matrix."""
    factors = _near_factors(a) if a.nrows() >= LARGE else None
    if factors is None:
        return a.det()
    rows, sign, left, right = factors
    table = a.table()
    A, B = arb_mat(left.tolist()), arb_mat(right.tolist())
    F = _one_minus(A * arb_mat([table[i] for i in rows]) * B)
    f, n = _norm(F), a.nrows()
    if not f**3 * n < arb(2) ** -(ctx.prec // 2):
        return a.det()
    squares = _inner(F, F.transpose())
    logarithm = arb(-F.trace() - squares / 2, n * f**3 / (3 * (1 - f)))
    scale = arb(sign)
    for x in (*np.diag(left).tolist(), *np.diag(right).tolist()):
        scale *= arb(x)
    return logarithm.exp() / scale


def _near_inverse(a: arb_mat) -> Floats | None:
    try:
        near = np.asarray(np.linalg.inv(_rounded(a)), dtype=np.float64)
    except np.linalg.LinAlgError:
        return None
    return near if np.isfinite(near).all() else None


def _near_factors(a: arb_mat) -> tuple[list[int], int, Floats, Floats] | None:
    """Order of the rows and its sign, and near inverses of the factors L and U of a in it."""
    values = _rounded(a)
    if not np.isfinite(values).all():
        return None
    both, pivots, failed = lapack.dgetrf(values)
    if failed:
        return None
    rows = np.arange(len(values))
    for i, k in enumerate(pivots.tolist()):
        rows[[i, k]] = rows[[k, i]]
    left, _ = lapack.dtrtri(both, lower=1, unitdiag=1)
    right, _ = lapack.dtrtri(both)
    left, right = np.tril(left, -1) + np.eye(len(values)), np.triu(right)
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        return None
    swaps = int((pivots != np.arange(len(pivots))).sum())
    return rows.tolist(), (-1) ** swaps, left, right


def _rounded(a: arb_mat) -> Floats:
    return np.array([float(x) for x in a.entries()]).reshape(a.nrows(), a.ncols())


def _one_minus(a: arb_mat) -> arb_mat:
    result = -a
    for i in range(a.nrows()):
        result[i, i] += 1
    return result


def _plus(a: arb_mat, diagonal: arb, other: arb) -> arb_mat:
    """A matrix plus one number on its diagonal and one everywhere else."""
    n = a.nrows()
    added = [other] * (n * n)
    added[:: n + 1] = [diagonal] * n
    return a + arb_mat(n, n, added)


def _norm(a: arb_mat) -> arb:
    """The largest row sum of absolute values, from above."""
    sums = [sum((x.abs_upper() for x in row), arb(0)) for row in a.table()]
    return arb(max(float(total.upper()) for total in sums)) * (1 + arb(2) ** -50)


def _inner(a: arb_mat, b: arb_mat) -> arb:
    size = a.nrows() * a.ncols()
    return (arb_mat(1, size, a.entries()) * arb_mat(size, 1, b.entries()))[0, 0]
