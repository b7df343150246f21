"""The set of covariance matrices of fixed rank on which an optimum lies, as a smooth chart.

Near a positive semidefinite G* of rank r choose r rows K with G*[K, K] positive definite. Every
positive semidefinite G nearby is, in exactly one way (a block Cholesky factorisation),

    G = T T' + R,    T (q, r) with T[K] lower triangular and positive diagonal,
                     R positive semidefinite, zero outside the other rows N

so (T, R) is a chart of the cone. With D the gradient of the deviance in G, the deviance at (T, R)
is the deviance at (T, 0) plus tr(D[N, N] R) plus terms of second order in R. Hence G* is a strict
local minimum over the whole cone if T* is one on the face R = 0 with positive definite Hessian,
and D[N, N] is positive definite at G*. For one variance of zero N is that variance, and the second
condition says that the deviance rises with the variance; for a correlation of +-1 it says that it
rises with the conditional variance of the dependent coefficient.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from flint import arb, arb_mat
from numpy.typing import NDArray

from pp_compare.certified.equations.krawczyk import NotProvedError
from pp_compare.certified.equations.parametrisation import Parameter

Floats = NDArray[np.float64]

THRESHOLDS = (1e-6, 1e-12, 0.0)
"""Conditional relative variances, in units of each column's size, below which a row is first
taken as dependent. Only the order of the attempts rests on them: the proof decides."""


@dataclass(frozen=True)
class Face:
    """Which rows K of each random term's covariance are independent."""

    sizes: tuple[int, ...]
    pivots: tuple[tuple[int, ...], ...]

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The entries of T that vary, term by term and column by column."""
        return tuple(
            Parameter(block, row, column)
            for block, (q, pivots) in enumerate(zip(self.sizes, self.pivots, strict=True))
            for column, pivot in enumerate(pivots)
            for row in range(q)
            if row >= pivot or row not in pivots
        )

    @property
    def singular(self) -> bool:
        """Whether the covariance of some random term has less than full rank."""
        return any(len(k) < q for k, q in zip(self.pivots, self.sizes, strict=True))

    def dependent(self, block: int) -> list[int]:
        """The rows N of a random term."""
        return [row for row in range(self.sizes[block]) if row not in self.pivots[block]]

    def factors(self, x: arb_mat) -> list[arb_mat]:
        """Unpack a (t, 1) vector over ``parameters`` into one (q, q) factor a random term."""
        result = [arb_mat(q, q) for q in self.sizes]
        for i, p in enumerate(self.parameters):
            result[p.block][p.row, p.column] = x[i, 0]
        return result

    def normals(self, D: Sequence[arb_mat]) -> Iterator[arb_mat]:
        """The matrices D[N, N] that have to be positive definite, one a singular random term."""
        for block, slope in enumerate(D):
            rows = self.dependent(block)
            if rows:
                yield arb_mat([[slope[i, j] for j in rows] for i in rows])

    def require_lower_triangular(self) -> None:
        """Raise NotProvedError if T has no lower-triangular form, as lme4's theta needs."""
        if any(p.row < p.column for p in self.parameters):
            raise NotProvedError(
                "the first coefficients of a random term are exactly dependent and later ones are "
                "not; put the independent coefficients first in that term"
            )

    def require_positive_pivots(self, factors: Sequence[arb_mat]) -> None:
        """Raise NotProvedError unless the diagonal of each T[K] is certainly positive."""
        for factor, pivots in zip(factors, self.pivots, strict=True):
            for column, row in enumerate(pivots):
                if not factor[row, column] > 0:
                    raise NotProvedError("a nonzero entry of theta's diagonal is not certain")


def candidate_faces(factors: Sequence[Floats]) -> Iterator[tuple[Face, arb_mat]]:
    """Faces that the float optimum may lie on, lowest rank first, each with a start on it."""
    sizes = tuple(len(f) for f in factors)
    seen: set[Face] = set()
    for threshold in THRESHOLDS:
        parts = [_echelon(f @ f.T, threshold) for f in factors]
        face = Face(sizes, tuple(pivots for pivots, _ in parts))
        if face not in seen:
            seen.add(face)
            start = [parts[p.block][1][p.row, p.column] for p in face.parameters]
            yield face, arb_mat(len(start), 1, [arb(float(value)) for value in start])


def _echelon(G: Floats, threshold: float) -> tuple[tuple[int, ...], Floats]:
    """Cholesky factorisation in the natural order, small pivots skipped."""
    rest, factor = G.copy(), np.zeros_like(G)
    pivots: list[int] = []
    for k in range(len(G)):
        if rest[k, k] > threshold:
            column = rest[:, k] / np.sqrt(rest[k, k])
            column[pivots] = 0.0
            factor[:, len(pivots)] = column
            rest -= np.outer(column, column)
            pivots.append(k)
    return tuple(pivots), factor
