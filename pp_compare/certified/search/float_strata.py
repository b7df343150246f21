"""The equations of whole strata at many points, in float64.

What ``elimination`` does for one component in balls is done here for all components of a stratum
and for N points at once: every array begins with (N, k), points and components. A level with one or
two coefficients is inverted by formula; a component of several levels has its largest term
eliminated first, level by level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pp_compare.certified.components.blocks import Lead
from pp_compare.certified.components.component import Stratum, floats
from pp_compare.certified.equations.crossproducts import CrossProducts
from pp_compare.certified.search.float_levels import added, by_level, inverses, sum_of

Floats = NDArray[np.float64]

FEW = 12
"""Levels up to which adding them one by one beats LAPACK's calls on many small systems."""


@dataclass(frozen=True)
class Solved:
    """A stratum at N points.

    Attributes
    ----------
    explained : (N, p + 1, p + 1) array
        [X y]'[X y] less [X y]'V^-1 [X y].
    logdet : (N,) array
    M : (N, k, r, r) array
        Z'V^-1 Z; empty where only values are asked for.
    F : (N, k, r, p + 1) array
        Z'V^-1 [X y].
    """

    explained: Floats
    logdet: Floats
    M: Floats
    F: Floats


@dataclass(frozen=True)
class FloatStratum:
    """Cross-products of the components of a stratum; ``spans`` has term, start, stop by level."""

    spans: tuple[tuple[int, int, int], ...]
    lead: Lead
    zz: Floats
    zf: Floats

    @staticmethod
    def of(products: CrossProducts, stratum: Stratum) -> FloatStratum:
        """Round a stratum."""
        starts = products.offsets(stratum)
        return FloatStratum(
            spans=tuple(
                (block, start, start + products.sizes[block])
                for block, start in zip(stratum.blocks, starts, strict=True)
            ),
            lead=Lead.of(stratum.blocks, products.sizes),
            zz=stratum.rounded,
            zf=np.array([floats(c.zf) for c in stratum.components]),
        )

    @property
    def width(self) -> int:
        """r, the number of coefficients of a component."""
        return int(self.zz.shape[1])

    @property
    def cost(self) -> int:
        """Multiplications at a point, about."""
        q, rest = self.lead.width, self.width - (self.lead.stop - self.lead.start)
        levels = (self.lead.stop - self.lead.start) // q
        return len(self.zz) * (levels * q * (q + rest + 3) ** 2 + (rest + 3) ** 3)

    @cached_property
    def starts(self) -> dict[int, list[int]]:
        """Where the levels of each term begin."""
        found: dict[int, list[int]] = {}
        for term, start, _ in self.spans:
            found.setdefault(term, []).append(start)
        return found

    def solve(self, G: Sequence[Floats], *, moments: bool = True) -> Solved:
        """Solve at relative covariances, (N, q, q) a term."""
        lead = G[self.lead.term]
        if not moments and self.lead.width <= 2 and self._rest_is_scalar:
            return self._values(G)
        inverse, logdet = inverses(self._zz_lead, lead)
        split = _Split(self, inverse, lead)
        if self._rest.size == 0:
            F = split.alone(self._zf_lead)
            return Solved(
                explained=sum_of(self._zf_lead, split.by_covariance(F)),
                logdet=logdet,
                M=split.alone(self.zz) if moments else np.empty(0),
                F=F,
            )
        return split.whole(self._joint_rest(G), logdet, moments)

    def _values(self, G: Sequence[Floats]) -> Solved:
        """The same without moments: levels are added to V one by one (see ``cover.values``).

        What the leading levels take from all products is one product of matrices.
        """
        D, K = added(self._entries, self._flat, G[self.lead.term])
        logdet = np.log(D).sum(axis=(1, 2))
        N, c = len(logdet), self._base.shape[-1]
        K = K.reshape(N, len(self.zz), -1)
        if not len(self._rest):
            lost = K.reshape(N, -1) @ self._grams.reshape(-1, c * c)
            return Solved(lost.reshape(N, c, c), logdet, np.empty(0), np.empty(0))
        left = self._base - (K[:, :, None] @ self._grams).reshape(N, -1, c, c)
        for term in self._rest_terms:
            g = G[term][:, 0, 0, None]
            D = 1 + left[:, :, 0, 0] * g
            logdet = logdet + np.log(D).sum(axis=1)
            row = left[:, :, 0, 1:]
            taken = (g / D)[..., None] * row
            left = left[:, :, 1:, 1:] - taken[..., :, None] * row[..., None, :]
        return Solved(-left.sum(axis=1), logdet, np.empty(0), np.empty(0))

    @cached_property
    def _rest_terms(self) -> list[int]:
        inside = range(self.lead.start, self.lead.stop)
        return [term for term, start, _ in self.spans if start not in inside]

    @cached_property
    def _rest_is_scalar(self) -> bool:
        """Whether what is not eliminated has one coefficient a level, and few levels."""
        return len(self._rest) == len(self._rest_terms) <= FEW

    @cached_property
    def _entries(self) -> list[Floats]:
        """Upper triangles of Z_l'Z_l of the leading levels, (k, levels) each."""
        q = self.lead.width
        return [self._zz_lead[..., i, j] for i in range(q) for j in range(i, q)]

    @cached_property
    def _flat(self) -> Floats:
        if self.lead.width == 1:
            return self._entries[0]
        a, b, c = self._entries
        return np.maximum(a * c - b * b, 0.0)

    @cached_property
    def _grams(self) -> Floats:
        """What each entry of K is multiplied by, (k, entries of all levels, c * c)."""
        q, k = self.lead.width, len(self.zz)
        sides = np.concatenate([self._between, self._zf_lead], axis=2).reshape(k, -1, q, self._c)
        parts = []
        for i in range(q):
            for j in range(i, q):
                outer = sides[:, :, i, :, None] * sides[:, :, j, None, :]
                parts.append(outer if i == j else outer + outer.swapaxes(2, 3))
        return np.concatenate(parts, axis=1).reshape(k, -1, self._c * self._c)

    @cached_property
    def _base(self) -> Floats:
        """[[Z_B'Z_B, Z_B'[X y]], [.., 0]], (k, c, c)."""
        b = len(self._rest)
        base = np.zeros((len(self.zz), self._c, self._c))
        base[:, :b, :b], base[:, :b, b:] = self._zz_rest, self._zf_rest
        base[:, b:, :b] = self._zf_rest.swapaxes(1, 2)
        return base

    @property
    def _c(self) -> int:
        return len(self._rest) + int(self.zf.shape[2])

    def _joint_rest(self, G: Sequence[Floats]) -> Floats:
        """G of the levels that are not eliminated, (N, 1, b, b)."""
        b, at = len(self._rest), {int(k): i for i, k in enumerate(self._rest)}
        joint = np.zeros((len(G[0]), 1, b, b))
        for block, start, stop in self.spans:
            if start in at:
                part = slice(at[start], at[start] + stop - start)
                joint[:, 0, part, part] = G[block]
        return joint

    @cached_property
    def _rest(self) -> NDArray[np.intp]:
        inside = np.arange(self.width)
        return inside[(inside < self.lead.start) | (inside >= self.lead.stop)]

    @cached_property
    def _lead(self) -> slice:
        return slice(self.lead.start, self.lead.stop)

    @cached_property
    def _zz_lead(self) -> Floats:
        """(k, levels, q, q)."""
        q = self.lead.width
        starts = range(self.lead.start, self.lead.stop, q)
        return np.stack([self.zz[:, s : s + q, s : s + q] for s in starts], axis=1)

    @cached_property
    def _zf_lead(self) -> Floats:
        return np.ascontiguousarray(self.zf[:, self._lead])

    @cached_property
    def _zf_rest(self) -> Floats:
        return self.zf[:, self._rest]

    @cached_property
    def _zz_rest(self) -> Floats:
        return self.zz[:, self._rest[:, None], self._rest]

    @cached_property
    def _between(self) -> Floats:
        """Z_A'Z_B, (k, a, b)."""
        return np.ascontiguousarray(self.zz[:, self._lead][:, :, self._rest])


@dataclass(frozen=True)
class _Split:
    """A stratum with the inverses (N, k, levels, q, q) of I + Z_l'Z_l G of its leading levels."""

    stratum: FloatStratum
    inverse: Floats
    G: Floats

    def alone(self, a: Floats) -> Floats:
        """Inverses times rows of leading levels, (k, a, f)."""
        return by_level(self.inverse, a[None])

    def by_covariance(self, a: Floats) -> Floats:
        """G times rows of leading levels, (N, k, a, f)."""
        if self.G.shape[-1] == 1:
            return self.G[:, :, None] * a
        return by_level(self.G[:, None, None], a)

    def whole(self, joint: Floats, logdet: Floats, moments: bool) -> Solved:
        """Solve what is left, and go back (see ``elimination``)."""
        s, b = self.stratum, joint.shape[-1]
        Y, Fa = self.alone(s._between), self.alone(s._zf_lead)
        turned = s._between.swapaxes(1, 2)
        N = s._zz_rest - turned @ self.by_covariance(Y)
        GFa = self.by_covariance(Fa)
        Nf = s._zf_rest - turned @ GFa
        system = np.eye(b) + N @ joint
        both = np.linalg.solve(system, np.concatenate([N, Nf], axis=3))
        Mb, Fb = both[..., :b], both[..., b:]
        logdet = logdet + np.linalg.slogdet(system)[1].sum(axis=1)
        explained = sum_of(s._zf_lead, GFa) + (Nf.swapaxes(2, 3) @ (joint @ Fb)).sum(axis=1)
        if not moments:
            return Solved(explained, logdet, np.empty(0), np.empty(0))
        W = Y @ (joint - joint @ Mb @ joint)
        F = np.empty((*Fa.shape[:2], s.width, Fa.shape[3]))
        F[:, :, s._lead], F[:, :, s._rest] = Fa - W @ Nf, Fb
        M = np.empty((*Fa.shape[:2], s.width, s.width))
        Yt = Y.swapaxes(2, 3)
        own = -(W @ Yt)
        alone = self.inverse @ s._zz_lead
        q, level = s.lead.width, np.arange(alone.shape[2])
        for i in range(q):
            for j in range(q):
                part = own[:, :, i::q, j::q]
                part[:, :, level, level] += alone[..., i, j]
        M[:, :, s._lead, s._lead] = own
        cross = Yt - Mb @ joint @ Yt
        M[:, :, s._rest, s._lead] = cross
        M[:, :, s._lead, s._rest] = cross.swapaxes(2, 3)
        M[:, :, s._rest[:, None], s._rest] = Mb
        return Solved(explained, logdet, M, F)
