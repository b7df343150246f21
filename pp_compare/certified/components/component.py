"""Independent components of a mixed model: levels that are tied to each other through rows.

Across components (see ``blocks``) the marginal covariance is zero, so a model with one grouping
factor is many small systems and a crossed one a single one, with no case distinction elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
from flint import arb_mat
from numpy.typing import NDArray

from pp_compare.certified.components.blocks import Lead

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Component:
    """Levels that are tied to each other through rows, and their cross-products.

    ``levels`` holds (block, level) pairs; their coefficients, in this order, index the r rows of
    ``zz`` (r, r) and ``zf`` = Z'[X y] (r, p + 1); ``sizes`` has q of each random term.
    """

    levels: tuple[tuple[int, int], ...]
    zz: arb_mat
    zf: arb_mat
    sizes: tuple[int, ...]

    @cached_property
    def split(self) -> Split:
        """Its largest random term apart from the others."""
        return Split.of(self)


@dataclass(frozen=True)
class Split:
    """A component as the levels A of its largest term, and all others, B.

    Attributes
    ----------
    term, start : int
        The term of A and its first coefficient.
    own : list of (q, q) arb_mat
        Z_l'Z_l of each level of A.
    levels : list of (q, b + p + 1) arb_mat
        Z_l'[Z_B X y] of each.
    rest_turned, fixed_turned : (b, a) and (p + 1, a) arb_mat
        Z_B'Z_A and [X y]'Z_A: apart, for the one has few bits, and a product takes as long as the
        longest of its entries.
    rest, rest_f : (b, b) and (b, p + 1) arb_mat
        Z_B'Z_B and Z_B'[X y].
    rest_spans : list of (first coefficient, term, q)
        The levels of B.
    fixed : int
        p + 1.
    unit : (q, q) arb_mat
    """

    term: int
    start: int
    own: list[arb_mat]
    levels: list[arb_mat]
    rest_turned: arb_mat
    fixed_turned: arb_mat
    rest: arb_mat
    rest_f: arb_mat
    rest_spans: list[tuple[int, int, int]]
    fixed: int
    unit: arb_mat

    @staticmethod
    def of(component: Component) -> Split:
        """Cut up the cross-products."""
        terms, sizes = [term for term, _ in component.levels], component.sizes
        lead = Lead.of(terms, sizes)
        zz, zf = component.zz, component.zf.table()
        rest = [k for k in range(len(zf)) if not lead.start <= k < lead.stop]
        own, levels = [], []
        for at in range(lead.start, lead.stop, lead.width):
            level = range(at, at + lead.width)
            own.append(part(zz, at, lead.width, at, lead.width))
            levels.append(arb_mat([[zz[i, j] for j in rest] + zf[i] for i in level]))
        b, table = len(rest), [row for level in levels for row in level.table()]
        spans, at = [], 0
        for term in (t for t in terms if t != lead.term):
            spans.append((at, term, sizes[term]))
            at += sizes[term]
        return Split(
            term=lead.term,
            start=lead.start,
            own=own,
            levels=levels,
            rest_turned=arb_mat([row[:b] for row in table]).transpose(),
            fixed_turned=arb_mat([row[b:] for row in table]).transpose(),
            rest=arb_mat([[zz[i, j] for j in rest] for i in rest]),
            rest_f=arb_mat([zf[i] for i in rest]),
            rest_spans=spans,
            fixed=component.zf.ncols(),
            unit=arb_mat([[int(i == j) for j in range(lead.width)] for i in range(lead.width)]),
        )

    @property
    def rest_terms(self) -> list[int]:
        """The term of each level of B."""
        return [term for _, term, _ in self.rest_spans]


@dataclass(frozen=True)
class Stratum:
    """Components with the same sequence of blocks, hence with the same covariance matrix."""

    blocks: tuple[int, ...]
    components: tuple[Component, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of coefficients of a level, by random term."""
        return self.components[0].sizes

    @cached_property
    def starts(self) -> dict[int, list[int]]:
        """Where the levels of each term begin among the coefficients of a component."""
        found: dict[int, list[int]] = {}
        at = 0
        for term in self.blocks:
            found.setdefault(term, []).append(at)
            at += self.sizes[term]
        return found

    @cached_property
    def levels(self) -> dict[int, list[int]]:
        """The levels of each term in the order in which `long` has them."""
        found: dict[int, list[int]] = {}
        for i, term in enumerate(self.blocks):
            found.setdefault(term, []).extend(c.levels[i][1] for c in self.components)
        return found

    @cached_property
    def rounded(self) -> Floats:
        """Z'Z of each component, (k, r, r), the nearest doubles."""
        return np.array([floats(c.zz) for c in self.components])

    @cached_property
    def rows(self) -> dict[int, arb_mat]:
        """Z'[X y] of all components, as `long` has it."""
        return self.long([c.zf for c in self.components])

    def long(self, tables: Sequence[arb_mat]) -> dict[int, arb_mat]:
        """Matrices (r, f), one a component, as one (q f, levels) of each term: a level a column."""
        f = tables[0].ncols()
        flat = list(chain.from_iterable(table.entries() for table in tables))
        size = tables[0].nrows() * f
        return {
            term: arb_mat(
                [
                    list(chain.from_iterable(flat[start * f + x :: size] for start in starts))
                    for x in range(self.sizes[term] * f)
                ]
            )
            for term, starts in self.starts.items()
        }


def part(a: arb_mat, row: int, rows: int, column: int, columns: int) -> arb_mat:
    """A rectangle of a matrix."""
    entries = [a[i, j] for i in range(row, row + rows) for j in range(column, column + columns)]
    return arb_mat(rows, columns, entries)


def floats(a: arb_mat) -> Floats:
    """Midpoints, rounded."""
    values = [float(entry) for entry in a.entries()]
    return np.array(values, dtype=np.float64).reshape(a.nrows(), a.ncols())
