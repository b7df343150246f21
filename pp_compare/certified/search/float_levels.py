"""Small matrices of many levels at many points, in float64.

Every array begins with (N, k, levels), points, components and levels; one or two coefficients a
level are inverted by formula.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def added(N: Sequence[Floats], flat: Floats, G: Floats) -> tuple[Floats, Floats]:
    """|I + N G| of levels, (N, k, levels), and the upper triangle of G (I + N G)^-1 before them."""
    g = G[:, :, :, None, None]
    if len(N) == 1:
        D: Floats = np.asarray(1 + N[0] * g[:, 0, 0])
        return D, np.asarray((g[:, 0, 0] / D)[:, :, None])
    a, b, c = N
    both = g[:, 0, 0] * g[:, 1, 1] - g[:, 0, 1] ** 2
    D = 1 + a * g[:, 0, 0] + 2 * b * g[:, 0, 1] + c * g[:, 1, 1] + flat * both
    K = [g[:, 0, 0] + both * c, g[:, 0, 1] - both * b, g[:, 1, 1] + both * a]
    return D, np.asarray(np.stack([k / D for k in K], axis=2))


def inverses(zz: Floats, G: Floats) -> tuple[Floats, Floats]:
    """(I + zz G)^-1, (N, k, levels, q, q), and the sum of the log determinants, (N,)."""
    q = G.shape[-1]
    if q > 2:
        system = np.eye(q) + zz[None] @ G[:, None, None]
        inverse: Floats = np.asarray(np.linalg.inv(system), dtype=np.float64)
        return inverse, np.linalg.slogdet(system)[1].sum(axis=(1, 2))
    if q == 1:
        determinant = 1 + zz[None, ..., 0, 0] * G[:, 0, 0, None, None]
        return (1 / determinant)[..., None, None], np.log(determinant).sum(axis=(1, 2))
    g = G[:, :, :, None, None]
    a, b, c = zz[None, ..., 0, 0], zz[None, ..., 0, 1], zz[None, ..., 1, 1]
    upper = 1 + a * g[:, 0, 0] + b * g[:, 0, 1]
    lower = 1 + b * g[:, 0, 1] + c * g[:, 1, 1]
    flat = np.maximum(zz[..., 0, 0] * zz[..., 1, 1] - zz[..., 0, 1] ** 2, 0.0)
    G_flat = g[:, 0, 0] * g[:, 1, 1] - g[:, 0, 1] ** 2
    determinant = upper + lower - 1 + flat * np.maximum(G_flat, 0.0)
    result = np.empty((*determinant.shape, 2, 2))
    result[..., 0, 0] = lower / determinant
    result[..., 1, 1] = upper / determinant
    result[..., 0, 1] = -(a * g[:, 0, 1] + b * g[:, 1, 1]) / determinant
    result[..., 1, 0] = -(b * g[:, 0, 0] + c * g[:, 0, 1]) / determinant
    return result, np.log(determinant).sum(axis=(1, 2))


def by_level(small: Floats, a: Floats) -> Floats:
    """Products of a (.., levels, q, q) matrix of each level with its rows of a, (.., a, f)."""
    q, f = small.shape[-1], a.shape[-1]
    if q == 1:
        return np.asarray(small[..., 0, 0, None] * a)
    rows = a.reshape(*a.shape[:2], -1, q, f)
    parts = [sum(small[..., i, j, None] * rows[..., j, :] for j in range(q)) for i in range(q)]
    found = np.stack(parts, axis=-2)
    return found.reshape(*found.shape[:2], -1, f)


def sum_of(a: Floats, b: Floats) -> Floats:
    """Sum over components and rows of a'b: a (k, r, f), b (N, k, r, g)."""
    rows = a.shape[0] * a.shape[1]
    return np.asarray(a.reshape(rows, -1).T @ b.reshape(len(b), rows, -1))
