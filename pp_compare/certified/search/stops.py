"""Where a search for a minimum came to rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SAME_POINT = 1e-4
"""Two stops are one optimum if no relative covariance differs by more than this (of 1 + size):
Newton stops within 1e-6 of an optimum, and two optima of one criterion lie apart by a barrier."""

FLAT = 1e-3
"""Largest slope, in units of the deviance, at which a stop counts as a stationary point."""

DIVERGED = 1e4
"""Relative standard deviations, in units of each column's size, beyond which a failed proof is put
down to a criterion without an optimum; no two such stops count as two minima."""


@dataclass(frozen=True)
class Stop:
    """Where the search came to rest: T of each term, deviance, how many starts led there."""

    factors: tuple[Floats, ...]
    deviance: float
    stationary: bool
    hits: int = 1

    @property
    def covariances(self) -> list[Floats]:
        """Relative covariance T T' of each term."""
        return [T @ T.T for T in self.factors]

    @property
    def lost(self) -> bool:
        """Whether it ran off, or did not come to rest."""
        return not self.stationary or max(np.abs(T).max() for T in self.factors) > DIVERGED


def same(a: Stop, b: Stop) -> bool:
    """Whether two stops are one optimum."""
    if a.lost and b.lost:
        return True  # what ran off or was stopped on its way is no minimum of its own
    return all(
        np.abs(s - t).max() <= SAME_POINT * (1 + np.abs(s).max())
        for s, t in zip(a.covariances, b.covariances, strict=True)
    )
