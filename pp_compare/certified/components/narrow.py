"""The narrow components of one stratum at a given G: inverted one by one, summed up together.

A model with one grouping factor has thousands of components with a few coefficients each. Sums
over all of them are inner products of long rows, so one product of two long matrices takes the
place of several small ones a component.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from flint import arb, arb_mat

from pp_compare.certified.components.component import Stratum, part


class Whole(NamedTuple):
    """A narrow component: I + Z'Z G inverted as it is; F = Z'V^-1 [X y] (r, p + 1)."""

    zz: arb_mat
    system: arb_mat
    inverse: arb_mat
    F: arb_mat

    @property
    def moment(self) -> arb_mat:
        """Z'V^-1 Z, (r, r)."""
        return self.inverse * self.zz

    @property
    def determinant(self) -> arb:
        """|I + Z'Z G|."""
        return self.system.det()


@dataclass(frozen=True, eq=False)
class Narrow:
    """A stratum of narrow components, solved."""

    stratum: Stratum
    wholes: list[Whole]

    @staticmethod
    def of(stratum: Stratum, joint: arb_mat) -> Narrow:
        """Invert every component at G = ``joint`` (r, r)."""
        r = joint.nrows()
        unit = arb_mat([[int(i == j) for j in range(r)] for i in range(r)])
        wholes = []
        for component in stratum.components:
            system = component.zz * joint + unit
            inverse = system.inv(nonstop=True)
            wholes.append(Whole(component.zz, system, inverse, inverse * component.zf))
        return Narrow(stratum, wholes)

    def explained(self, G: Sequence[arb_mat]) -> arb_mat:
        """[X y]'(I - V^-1)[X y] of all components: the sum of Z'[X y] times G F."""
        given, solved = self.stratum.rows, self.rows
        parts = [_first(given[t] * solved[t].transpose(), G[t]) for t in solved]
        return sum(parts[1:], parts[0])

    def slopes(self, middle: arb_mat) -> dict[int, arb_mat]:
        """Sums over the levels of each term of their (q, q) blocks of M - F middle F'."""
        total = self.wholes[0].moment
        for whole in self.wholes[1:]:
            total += whole.moment
        result = {}
        for term, starts in self.stratum.starts.items():
            rows, q = self.rows[term], self.stratum.sizes[term]
            own = [part(total, start, q, start, q) for start in starts]
            result[term] = sum(own[1:], own[0]) - _second(rows * rows.transpose(), middle)
        return result

    @cached_property
    def rows(self) -> dict[int, arb_mat]:
        """F of all components, as `Stratum.long` has it."""
        return self.stratum.long([whole.F for whole in self.wholes])


def _first(a: arb_mat, G: arb_mat) -> arb_mat:
    """The sum of G_ij times block (i, j) of a matrix of q by q blocks."""
    q = G.nrows()
    f = a.nrows() // q
    parts = [G[i, j] * part(a, i * f, f, j * f, f) for i in range(q) for j in range(q)]
    return sum(parts[1:], parts[0])


def _second(a: arb_mat, middle: arb_mat) -> arb_mat:
    """The inner product of each block with another matrix, (q, q)."""
    f, weights = middle.nrows(), middle.entries()
    q = a.nrows() // f
    column = arb_mat(f * f, 1, weights)
    blocks = [part(a, i * f, f, j * f, f).entries() for i in range(q) for j in range(q)]
    return arb_mat(q, q, (arb_mat(blocks) * column).entries())
