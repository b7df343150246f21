"""A generalised mixed model as the core sees it: rows, and pieces that share no random effect.

The links are canonical, so the responses enter the likelihood only by X'y and, within a piece, by
Z'y. Pieces with the same rows and the same Z'y therefore have the same integral up to a factor
exp(y'(o + X beta)), which is taken out and summed over all rows; each distinct piece is worked out
once and counted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Literal

import numpy as np
from flint import arb, fmpq
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pp_compare.errors import DataError

Floats = NDArray[np.float64]
Family = Literal["binomial", "poisson"]

MOST_SUCCESSES = 10**7
"""Trials or counts in all: their constant is an exact integer, made by products."""


@dataclass(frozen=True, eq=False)
class Effects:
    """One random term: the level of each row (n,), and its design (n, q)."""

    codes: NDArray[np.int64]
    Z: Floats

    @property
    def size(self) -> int:
        """Random effects of a level."""
        return int(self.Z.shape[1])

    @property
    def levels(self) -> int:
        """Number of levels."""
        return int(self.codes.max()) + 1


@dataclass(frozen=True)
class Row:
    """A row's covariates, exact as the doubles they are; `trials` of all rows alike in a piece."""

    x: tuple[float, ...]
    z: tuple[tuple[int, float], ...]
    offset: float
    trials: int


@dataclass(frozen=True)
class Piece:
    """Rows that share random effects with each other and with no others.

    Parameters
    ----------
    rows : tuple of Row
        Distinct; of each, `Row.z` has pairs (random effect of the piece, value).
    effects : tuple of (term, column)
        The place in its term of each random effect of the piece.
    sums : tuple of Fraction
        Z'y, one a random effect.
    """

    rows: tuple[Row, ...]
    effects: tuple[tuple[int, int], ...]
    sums: tuple[Fraction, ...]


@dataclass(frozen=True, eq=False)
class GlmmData:
    """Response, trials, offset and design of a generalised mixed model.

    Parameters
    ----------
    family : {"binomial", "poisson"}
        With their canonical links, logit and log.
    y : (n,) array of int
        Successes, or counts.
    trials : (n,) array of int
        1 for counts.
    X : (n, p) array
    offset : (n,) array
    terms : tuple of Effects
    """

    family: Family
    y: NDArray[np.int64]
    trials: NDArray[np.int64]
    X: Floats
    offset: Floats
    terms: tuple[Effects, ...]

    def __post_init__(self) -> None:
        total = int(self.y.sum() if self.family == "poisson" else self.trials.sum())
        if total > MOST_SUCCESSES:
            raise DataError(f"{total} trials or counts in all; {MOST_SUCCESSES} at most")

    @property
    def is_random_intercept(self) -> bool:
        """Whether all that is random is one intercept."""
        return (
            len(self.terms) == 1 and self.terms[0].size == 1 and bool((self.terms[0].Z == 1).all())
        )

    @property
    def scalar(self) -> bool:
        """Whether every random term has one effect."""
        return all(term.size == 1 for term in self.terms)

    @cached_property
    def theta(self) -> tuple[tuple[int, int, int], ...]:
        """Entries (term, row, column) of the covariance factors: lme4's theta, in its order."""
        return tuple(
            (k, i, j)
            for k, term in enumerate(self.terms)
            for j in range(term.size)
            for i in range(j, term.size)
        )

    @cached_property
    def pieces(self) -> dict[Piece, int]:
        """Distinct pieces, with how often each occurs."""
        found: dict[Piece, int] = defaultdict(int)
        for rows in self._components():
            found[self._piece(rows)] += 1
        return dict(found)

    @cached_property
    def linear(self) -> tuple[fmpq, ...]:
        """X'y, exact."""
        return tuple(_dot(column, self.y) for column in self.X.T)

    @cached_property
    def offset_sum(self) -> fmpq:
        """o'y, exact."""
        return _dot(self.offset, self.y)

    def constant(self) -> arb:
        """Sum of log C(n, y), or of -log y!."""
        pairs = Counter(zip(self.trials.tolist(), self.y.tolist(), strict=True))
        if self.family == "poisson":
            return sum((-k * arb(y + 1).lgamma() for (_, y), k in pairs.items()), arb(0))
        return sum((k * arb.bin_uiui(n, y).log() for (n, y), k in pairs.items()), arb(0))

    def _components(self) -> Iterator[NDArray[np.int64]]:
        """Rows of each connected component of rows and levels."""
        starts = np.cumsum([0, *(term.levels for term in self.terms)])
        n = len(self.y)
        i = np.tile(np.arange(n), len(self.terms))
        j = n + np.concatenate([t.codes + s for t, s in zip(self.terms, starts, strict=False)])
        size = n + int(starts[-1])
        graph = coo_array((np.ones(len(i)), (i, j)), shape=(size, size))
        _, labels = connected_components(graph, directed=False)
        order = np.argsort(labels[:n], kind="stable")
        cuts = np.flatnonzero(np.diff(labels[:n][order])) + 1
        yield from np.split(order, cuts)

    def _piece(self, rows: Sequence[int] | NDArray[np.int64]) -> Piece:
        places: dict[tuple[int, int, int], int] = {}
        trials: dict[tuple[tuple[float, ...], tuple[tuple[int, float], ...], float], int] = (
            defaultdict(int)
        )
        sums: dict[int, Fraction] = defaultdict(Fraction)
        for i in rows:
            z = []
            for k, term in enumerate(self.terms):
                for c in range(term.size):
                    at = places.setdefault((k, int(term.codes[i]), c), len(places))
                    value = float(term.Z[i, c])
                    sums[at] += int(self.y[i]) * Fraction(value)
                    if value:
                        z.append((at, value))
            row = (tuple(self.X[i].tolist()), tuple(z), float(self.offset[i]))
            trials[row] += int(self.trials[i])
        alike = [Row(x, z, o, n) for (x, z, o), n in trials.items()]
        if len(places) == 1:
            alike.sort(key=lambda row: (row.x, row.offset))
        effects = tuple((k, c) for k, _, c in places)
        return Piece(tuple(alike), effects, tuple(sums[at] for at in range(len(places))))


def _dot(values: Floats, y: NDArray[np.int64]) -> fmpq:
    total = sum(
        (int(k) * Fraction(v) for v, k in zip(values.tolist(), y.tolist(), strict=True)),
        Fraction(0),
    )
    return fmpq(total.numerator, total.denominator)
