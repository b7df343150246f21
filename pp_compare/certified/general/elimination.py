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

from pp_compare.certified.general.crossproducts import Component

WIDE = 12
"""Coefficients of a component from which elimination takes less time than one whole inverse."""


@dataclass(frozen=True)
class Whole:
    """A narrow component: I + Z'Z G inverted as it is; F = Z'V^-1 [X y] (r, p + 1)."""

    zz: arb_mat
    system: arb_mat
    inverse: arb_mat
    F: arb_mat

    @staticmethod
    def of(component: Component, joint: arb_mat) -> Whole:
        """Invert at G = ``joint`` (r, r)."""
        system = component.zz * joint + component.unit
        inverse = system.inv(nonstop=True)
        return Whole(component.zz, system, inverse, inverse * component.zf)

    @property
    def M(self) -> arb_mat:
        """Z'V^-1 Z, (r, r)."""
        return self.inverse * self.zz

    @property
    def determinant(self) -> arb:
        """|I + Z'Z G|."""
        return self.system.det()


@dataclass(frozen=True)
class Eliminated:
    """A wide component, its levels A eliminated from its levels B.

    ``Y`` (a, b) is Z_A'V1^-1 Z_B, ``N`` (b, b) Z_B'V1^-1 Z_B, ``system`` I + N G_B with ``inverse``,
    ``W`` Y G_B (I + N G_B)^-1; ``alone`` holds (I + Z_l'Z_l G)^-1 Z_l'Z_l of each level of A.
    """

    before: int
    leading: arb
    alone: Sequence[arb_mat]
    Y: arb_mat
    N: arb_mat
    W: arb_mat
    system: arb_mat
    inverse: arb_mat
    F: arb_mat

    @staticmethod
    def of(component: Component, joint: arb_mat, lead: Lead) -> Eliminated:
        """Eliminate at G = ``joint`` (r, r), the levels of ``lead`` first."""
        rows, fixed = component.zz.table(), component.zf.table()
        rest = [k for k in range(len(rows)) if not lead.start <= k < lead.stop]
        G = _chosen(joint, range(lead.start, lead.start + lead.width))
        U, UG, Y, F, leading, alone = [], [], [], [], arb(1), []
        for at in range(lead.start, lead.stop, lead.width):
            level = range(at, at + lead.width)
            zz = arb_mat([[rows[i][j] for j in level] for i in level])
            system = _shifted(zz * G)
            inverse = system.inv(nonstop=True)
            side = arb_mat([[rows[i][j] for j in rest] for i in level])
            solved = inverse * side
            U += side.table()
            Y += solved.table()
            UG += (G * solved).table()
            F += (inverse * arb_mat([fixed[i] for i in level])).table()
            alone.append(inverse * zz)
            leading *= system.det()
        turned, Fa, Ya = arb_mat(U).transpose(), arb_mat(F), arb_mat(Y)
        GF = _by_level(G, Fa)
        N = _chosen(component.zz, rest) - turned * arb_mat(UG)
        Nf = arb_mat([fixed[i] for i in rest]) - turned * GF
        Gb = _chosen(joint, rest)
        system = _shifted(N * Gb)
        inverse = system.inv(nonstop=True)
        W = Ya * (Gb * inverse)
        own, others = (Fa - W * Nf).table(), (inverse * Nf).table()
        return Eliminated(
            before=lead.start,
            leading=leading,
            alone=alone,
            Y=Ya,
            N=N,
            W=W,
            system=system,
            inverse=inverse,
            F=arb_mat(others[: lead.start] + own + others[lead.start :]),
        )

    @cached_property
    def M(self) -> arb_mat:
        """Z'V^-1 Z, (r, r), in the order of the component."""
        own = (-(self.W * self.Y.transpose())).table()
        at = 0
        for block in self.alone:
            for i, row in enumerate(block.table()):
                for j, value in enumerate(row):
                    own[at + i][at + j] += value
            at += block.nrows()
        cross, others = self.Y * self.inverse.transpose(), (self.inverse * self.N).table()
        k, back = self.before, cross.transpose().table()
        rest = [a[:k] + b + a[k:] for a, b in zip(others, back, strict=True)]
        lead = [a[:k] + b + a[k:] for a, b in zip(cross.table(), own, strict=True)]
        return arb_mat(rest[:k] + lead + rest[k:])

    @property
    def determinant(self) -> arb:
        """|I + Z'Z G|."""
        return self.leading * self.system.det()


@dataclass(frozen=True)
class Lead:
    """Where the coefficients of the eliminated term stand in a component; ``width`` a level."""

    start: int
    stop: int
    width: int

    @staticmethod
    def of(blocks: Sequence[int], sizes: Sequence[int]) -> Lead:
        """The term with most coefficients; ``blocks`` has the term of each level, in order."""
        counts = {b: blocks.count(b) * sizes[b] for b in blocks}
        term = max(counts, key=counts.__getitem__)
        start = sum(sizes[b] for b in blocks if b < term)
        return Lead(start, start + counts[term], sizes[term])


def _chosen(a: arb_mat, rows: Sequence[int]) -> arb_mat:
    table = a.table()
    return arb_mat(len(rows), len(rows), [table[i][j] for i in rows for j in rows])


def _by_level(G: arb_mat, a: arb_mat) -> arb_mat:
    """G times each level's rows of ``a``."""
    q, rows = G.nrows(), a.table()
    parts = [(G * arb_mat(rows[i : i + q])).table() for i in range(0, len(rows), q)]
    return arb_mat([row for part in parts for row in part])


def _shifted(a: arb_mat) -> arb_mat:
    """I + a."""
    result = +a
    for i in range(a.nrows()):
        result[i, i] += 1
    return result
