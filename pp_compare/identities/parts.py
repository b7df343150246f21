"""Connected parts of a model, rows that share no random effect with others, many at a time.

Parts with as many rows and as many levels of each block have matrices of one shape, and LAPACK is
called once for all of them: a model with one grouping factor has a part a group.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse

from pp_compare.model.design import Block, Design

LARGEST = 20_000_000
"""Entries of the largest dense matrix that is formed, 160 MB."""


class TooLargeError(Exception):
    """A connected part of the model is too large for a dense matrix."""


@dataclass(frozen=True, eq=False)
class Parts:
    """k parts of one shape, their random effects eliminated.

    Parameters
    ----------
    effects : tuple of (ndarray, ndarray)
        For each block, the levels that occur, (k, m), and the columns of `triangle` that are
        theirs, (m, q).
    triangle : ndarray, shape (k, r, r)
        R of the random effects: ``triangle' triangle = L'Z'Z L + I``.
    beside : ndarray, shape (k, r, p + 1)
        Rows of Q'[X, y] beside it.
    below : ndarray, shape (k, c, p + 1)
        What remains for the fixed effects: whitened [X, y].
    norm : float
        Largest eigenvalue of ``Z L L' Z'`` in any of them.
    """

    effects: tuple[tuple[np.ndarray, np.ndarray], ...]
    triangle: np.ndarray
    beside: np.ndarray
    below: np.ndarray
    norm: float


def eliminated(design: Design, factors: Sequence[np.ndarray]) -> Iterator[Parts]:
    """All parts of a model, at square roots L of its relative covariances, one a block.

    Raises
    ------
    TooLargeError
    """
    label = connected(design)
    order, sizes = np.argsort(label, kind="stable"), np.bincount(label)
    starts = np.cumsum(sizes) - sizes
    within = [_Levels.of(block, label) for block in design.blocks]
    shapes, which = np.unique(
        np.column_stack([sizes, *(each.counts for each in within)]), axis=0, return_inverse=True
    )
    W = design.scaled(np.column_stack([design.X, design.y]))
    scaled = [
        design.scaled(block.Z) @ factor
        for block, factor in zip(design.blocks, factors, strict=True)
    ]
    for number, (n, *counts) in enumerate(shapes.tolist()):
        r = sum(m * Z.shape[1] for m, Z in zip(counts, scaled, strict=True))
        entries = (n + r) * (r + W.shape[1])
        if (n + r) * r > LARGEST:
            raise TooLargeError
        chosen = np.flatnonzero(which.ravel() == number)
        for some in np.array_split(chosen, max(1, len(chosen) * entries // LARGEST)):
            rows = order[starts[some, None] + np.arange(n)]
            columns = [
                each.wide(Z, rows, m) for each, Z, m in zip(within, scaled, counts, strict=True)
            ]
            effects = _places([each.levels(some) for each in within], scaled)
            yield _eliminated(np.concatenate(columns, axis=2), W[rows], effects)


def _eliminated(
    ZL: np.ndarray, W: np.ndarray, effects: tuple[tuple[np.ndarray, np.ndarray], ...]
) -> Parts:
    """QR of [Z L, X, y; I, 0, 0], of each part."""
    k, n, r = ZL.shape
    stacked = np.zeros((k, n + r, r + W.shape[2]))
    stacked[:, :n, :r], stacked[:, :n, r:] = ZL, W
    stacked[:, n:, :r] = np.eye(r)
    R = np.asarray(np.linalg.qr(stacked, mode="r"))
    norm = float(np.linalg.norm(ZL, 2, axis=(1, 2)).max()) ** 2
    return Parts(effects, R[:, :r, :r], R[:, :r, r:], R[:, r:, r:], norm)


def _places(
    levels: Sequence[np.ndarray], columns: Sequence[np.ndarray]
) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """The levels of each block with the columns that are theirs."""
    found, at = [], 0
    for own, Z in zip(levels, columns, strict=True):
        m, q = own.shape[1], Z.shape[1]
        found.append((own, at + np.arange(m * q).reshape(m, q)))
        at += m * q
    return tuple(found)


@dataclass(frozen=True, eq=False)
class _Levels:
    """The levels of one block in each part: how many, which, and each row's place among them."""

    counts: np.ndarray
    starts: np.ndarray
    names: np.ndarray
    place: np.ndarray

    @staticmethod
    def of(block: Block, label: np.ndarray) -> _Levels:
        m = len(block.levels)
        pairs, inverse = np.unique(label.astype(np.int64) * m + block.codes, return_inverse=True)
        counts = np.bincount(pairs // m, minlength=int(label.max()) + 1)
        starts = np.cumsum(counts) - counts
        return _Levels(counts, starts, pairs % m, inverse.ravel() - starts[label])

    def levels(self, parts: np.ndarray) -> np.ndarray:
        """Which levels some parts of one shape have, (k, m)."""
        return np.asarray(self.names[self.starts[parts, None] + np.arange(self.counts[parts[0]])])

    def wide(self, Z: np.ndarray, rows: np.ndarray, m: int) -> np.ndarray:
        """Rows (k, n) of Z, each in the columns of its level, (k, n, m q)."""
        k, n = rows.shape
        result = np.zeros((k, n, m, Z.shape[1]))
        result[np.arange(k)[:, None], np.arange(n), self.place[rows]] = Z[rows]
        return result.reshape(k, n, -1)


def connected(design: Design) -> np.ndarray:
    """The number of each row's part: two rows are connected where they share a level."""
    n, codes = design.n_obs, list(design.group_codes.values())
    if len(codes) == 1:
        return np.unique(codes[0], return_inverse=True)[1].ravel()
    starts = np.cumsum([n, *(len(levels) for levels in design.group_levels.values())])[:-1]
    ends = np.concatenate([start + code for start, code in zip(starts, codes, strict=True)])
    rows = np.tile(np.arange(n), len(codes))
    size = n + sum(len(levels) for levels in design.group_levels.values())
    graph = scipy.sparse.coo_array((np.ones(len(rows)), (rows, ends)), shape=(size, size))
    labels = scipy.sparse.csgraph.connected_components(graph, directed=False)[1][:n]
    return np.unique(labels, return_inverse=True)[1].ravel()
