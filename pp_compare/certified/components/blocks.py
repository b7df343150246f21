"""Random terms, and the components that their levels form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


@dataclass(frozen=True)
class RandomBlock:
    """One random term, ``(z1 + ... + zq | group)``.

    Attributes
    ----------
    group : (n,) integer array
        The level of each row, 0 to m-1.
    Z : (n, q) float64 array
        The columns whose coefficients vary over the levels, with one q x q covariance.
    """

    group: NDArray[np.intp]
    Z: NDArray[np.float64]

    @property
    def size(self) -> int:
        """q, the number of coefficients of a level."""
        return int(self.Z.shape[1])

    @property
    def levels(self) -> int:
        """m, the number of levels."""
        return int(self.group.max()) + 1


@dataclass(frozen=True)
class Layout:
    """Which component each level belongs to, and where its coefficients begin there.

    Two levels that occur in one row belong to the same component; a level that occurs in no row is
    a component of its own.

    Attributes
    ----------
    component, offset : lists of ints, by random term and level
    members : list of tuples of (term, level)
        The levels of each component in the order of its coefficients.
    widths : list of int
        The number of coefficients of each component.
    """

    component: list[list[int]]
    offset: list[list[int]]
    members: list[tuple[tuple[int, int], ...]]
    widths: list[int]

    @staticmethod
    def of(blocks: Sequence[RandomBlock]) -> Layout:
        """Find the connected components of the levels of all terms."""
        labels, count = _label(blocks)
        members: list[list[tuple[int, int]]] = [[] for _ in range(count)]
        widths = [0] * count
        offset = [[0] * block.levels for block in blocks]
        for b, block in enumerate(blocks):
            for level, k in enumerate(labels[b]):
                members[k].append((b, level))
                offset[b][level] = widths[k]
                widths[k] += block.size
        return Layout(labels, offset, [tuple(m) for m in members], widths)

    def at(
        self, term: int, levels: NDArray[np.intp], column: int
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Component of some levels of a term, and where their coefficient of a column stands."""
        component, offset = self._arrays[term]
        return component[levels], offset[levels] + column

    @cached_property
    def _arrays(self) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        return [
            (np.array(c, dtype=np.intp), np.array(o, dtype=np.intp))
            for c, o in zip(self.component, self.offset, strict=True)
        ]


@dataclass(frozen=True)
class Lead:
    """Where the coefficients of the eliminated term stand in a component; ``width`` a level."""

    term: int
    start: int
    stop: int
    width: int

    @staticmethod
    def of(blocks: Sequence[int], sizes: Sequence[int]) -> Lead:
        """The term with most coefficients; ``blocks`` has the term of each level, in order."""
        counts = {b: blocks.count(b) * sizes[b] for b in blocks}
        term = max(counts, key=counts.__getitem__)
        start = sum(sizes[b] for b in blocks if b < term)
        return Lead(term, start, start + counts[term], sizes[term])


def _label(blocks: Sequence[RandomBlock]) -> tuple[list[list[int]], int]:
    """Number the component of each level; consecutive terms share rows, so they suffice."""
    base = np.concatenate([[0], np.cumsum([b.levels for b in blocks])])
    nodes = [b.group + start for b, start in zip(blocks, base[:-1], strict=True)]
    rows, columns = np.concatenate([nodes[0], *nodes[:-1]]), np.concatenate([nodes[0], *nodes[1:]])
    graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(base[-1], base[-1]))
    count, label = connected_components(graph, directed=False)
    parts = np.split(label, base[1:-1])
    return [[int(k) for k in part] for part in parts], int(count)
