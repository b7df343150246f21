"""One component's equations solved by eliminating its largest random term first, level by level.

Levels of one factor share no rows, so their part of I + Z'Z G is block diagonal: with A the levels
of the term that has most coefficients and B all others, V1 = I + Z_A G_A Z_A' costs one small
inverse a level, and what is left is a system as wide as B (Woodbury's identity). A component of one
level has no B; one of two crossed factors is as wide as the smaller of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from flint import arb, arb_mat

from pp_compare.certified.components.component import Component, part
from pp_compare.certified.components.large_matrix import determinant
from pp_compare.certified.components.large_matrix import inverse as inverse_of

WIDE = 12
"""Coefficients of a component from which elimination takes less time than one whole inverse."""


@dataclass(frozen=True)
class Eliminated:
    """A wide component, its levels A eliminated from its levels B.

    ``Y`` (a, b) is Z_A'V1^-1 Z_B, ``N`` (b, b) Z_B'V1^-1 Z_B, ``G`` that of each level of B,
    ``system`` I + N G with ``inverse``; ``alone`` holds (I + Z_l'Z_l G)^-1 Z_l'Z_l of each level of
    A, ``leading`` the product of those determinants, ``explained`` [X y]'(I - V^-1)[X y].
    """

    component: Component
    leading: arb
    alone: Sequence[arb_mat]
    Y: arb_mat
    N: arb_mat
    G: Sequence[arb_mat]
    system: arb_mat
    inverse: arb_mat
    F: arb_mat
    explained: arb_mat

    @staticmethod
    def of(component: Component, G: Sequence[arb_mat]) -> Eliminated:
        """Eliminate at relative covariances G, one a random term."""
        split = component.split
        lead, b = G[split.term], split.rest.nrows()
        solved, spread, leading, alone = [], [], arb(1), []
        for zz, side in zip(split.own, split.levels, strict=True):
            system = zz * lead + split.unit
            inverse = system.inv(nonstop=True)
            rows = inverse * side
            solved += rows.table()
            spread += (lead * rows).table()
            alone.append(inverse * zz)
            leading *= system.det()
        weighted = arb_mat(spread)
        left, below = split.rest_turned * weighted, split.fixed_turned * weighted
        N, Nf = split.rest - part(left, 0, b, 0, b), split.rest_f - part(left, 0, b, b, split.fixed)
        GB = [G[term] for term in split.rest_terms]
        system = _shifted(by_level(GB, N).transpose())  # N is symmetric
        inverse = inverse_of(system)
        Y, FB = arb_mat([row[:b] for row in solved]), inverse * Nf
        GF = by_level(GB, FB)
        FA = (arb_mat([row[b:] for row in solved]) - Y * GF).table()
        others = FB.table()
        return Eliminated(
            component=component,
            leading=leading,
            alone=alone,
            Y=Y,
            N=N,
            G=GB,
            system=system,
            inverse=inverse,
            F=arb_mat(others[: split.start] + FA + others[split.start :]),
            explained=part(below, 0, split.fixed, b, split.fixed) + Nf.transpose() * GF,
        )

    @cached_property
    def tie(self) -> arb_mat:
        """Y G (I + N G)^-1, (a, b): the levels A are tied to each other by tie Y'."""
        return self.Y * by_level(self.G, self.inverse)

    def within(self, term: int) -> arb_mat:
        """Sum over the levels of a term of their blocks of M, (q, q)."""
        split = self.component.split
        if term == split.term:
            q = split.unit.nrows()
            W, Y = self.tie.table(), self.Y.table()
            tied = [[inner(W[i::q], Y[j::q]) for j in range(q)] for i in range(q)]
            return sum(self.alone[1:], self.alone[0]) - arb_mat(tied)
        rows = [at for at, of_term, _ in split.rest_spans if of_term == term]
        q = next(q for _, of_term, q in split.rest_spans if of_term == term)
        inverse, N = self.inverse.table(), self.N.table()
        own = [[[a[at + i] for at in rows] for i in range(q)] for a in (inverse, N)]
        return arb_mat([[inner(own[0][i], own[1][j]) for j in range(q)] for i in range(q)])

    @cached_property
    def moment(self) -> arb_mat:
        """Z'V^-1 Z, (r, r), in the order of the component."""
        own = (-(self.tie * self.Y.transpose())).table()
        at = 0
        for block in self.alone:
            for i, row in enumerate(block.table()):
                for j, value in enumerate(row):
                    own[at + i][at + j] += value
            at += block.nrows()
        cross, others = self.Y * self.inverse.transpose(), (self.inverse * self.N).table()
        k, back = self.component.split.start, cross.transpose().table()
        rest = [a[:k] + b + a[k:] for a, b in zip(others, back, strict=True)]
        lead = [a[:k] + b + a[k:] for a, b in zip(cross.table(), own, strict=True)]
        return arb_mat(rest[:k] + lead + rest[k:])

    @cached_property
    def determinant(self) -> arb:
        """|I + Z'Z G|."""
        return self.leading * determinant(self.system)


def inner(a: list[list[arb]], b: list[list[arb]]) -> arb:
    """Sum of the products of the entries of two tables."""
    left, right = [x for row in a for x in row], [x for row in b for x in row]
    return (arb_mat(1, len(left), left) * arb_mat(len(right), 1, right))[0, 0]


def by_level(G: Sequence[arb_mat], a: arb_mat) -> arb_mat:
    """The block diagonal matrix of G times ``a``."""
    if G[0].nrows() == 1 and all(g is G[0] for g in G):
        return a * G[0][0, 0]
    rows, result, at = a.table(), [], 0
    for g in G:
        q = g.nrows()
        if q == 1:
            result.append([g[0, 0] * x for x in rows[at]])
        else:
            result += (g * arb_mat(rows[at : at + q])).table()
        at += q
    return arb_mat(result)


def _shifted(a: arb_mat) -> arb_mat:
    """I + a."""
    result = +a
    for i in range(a.nrows()):
        result[i, i] += 1
    return result
