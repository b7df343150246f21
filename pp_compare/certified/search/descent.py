"""Newton's method from many points at once.

Each point has a trust region of its own (Nocedal & Wright 2006, algorithm 4.1). The step is
Newton's with the absolute values of the Hessian's eigenvalues, shortened to the region; where the
gradient vanishes and the Hessian has a negative eigenvalue, as by symmetry on every boundary that
is no minimum, it goes along the eigenvector.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

FIRST_RADIUS, LAST_RADIUS = 1.0, 1e9
"""Of the trust region, in relative standard deviations in units of each column's size."""

MOST_STEPS = 100

STATIONARY = 1e-7
"""Largest slope at which a point has come to rest; the polish after it squares that."""

NOISE = 1e-12
"""Relative difference of two deviances that rounding makes: some sums of thousands of terms."""

LARGEST = 1e100
"""Of a second derivative; the squares of what is larger may overflow."""

DOWNHILL = -1e-5
"""Eigenvalue of the Hessian below which a point with no slope is left along its vector."""


@dataclass(frozen=True)
class At:
    """Deviance (N,), gradient (N, t) and Hessian (N, t, t) at N points."""

    value: Floats
    gradient: Floats
    hessian: Floats

    def of(self, which: NDArray[np.intp] | Bools) -> At:
        """Some of the points."""
        return At(self.value[which], self.gradient[which], self.hessian[which])

    def put(self, which: NDArray[np.intp], new: At) -> None:
        """Replace some of the points."""
        self.value[which], self.gradient[which] = new.value, new.gradient
        self.hessian[which] = new.hessian


@dataclass(frozen=True)
class Steps:
    """Steps (N, t), the decrease that each promises, and what is known of where it begins.

    ``whole``: Newton's step within a region where the Hessian is positive definite. ``rising``: the
    Hessian has no negative eigenvalue to leave along.
    """

    step: Floats
    promise: Floats
    whole: Bools
    rising: Bools

    @staticmethod
    def of(at: At, radius: Floats) -> Steps:
        """One step a point."""
        # What overflows far out is no step of use: NaN there, and the region shrinks.
        hessian = np.where(np.abs(at.hessian) < LARGEST, at.hessian, LARGEST)
        values, vectors = np.linalg.eigh(hessian)
        slope = (vectors.swapaxes(1, 2) @ at.gradient[:, :, None])[..., 0]
        size = np.maximum(
            np.abs(values), 1e-12 * np.abs(values).max(axis=1, keepdims=True) + 1e-300
        )
        along = np.clip(-slope / size, -LARGEST, LARGEST)
        leave = (values < DOWNHILL) & (np.abs(along) < 0.1 * radius[:, None])
        along = np.where(leave, np.where(along < 0, -1, 1) * radius[:, None], along)
        length = np.linalg.norm(along, axis=1)
        shorter = np.minimum(1.0, radius / np.maximum(length, 1e-300))
        along = along * shorter[:, None]
        promise = -(slope * along + values * along**2 / 2).sum(axis=1)
        return Steps(
            step=(vectors @ along[:, :, None])[..., 0],
            promise=promise,
            whole=(shorter == 1.0) & (values > 0).all(axis=1),
            rising=np.asarray(~(values < DOWNHILL).any(axis=1)),
        )


def descend(
    derivatives: Callable[[Floats], tuple[Floats, Floats, Floats]],
    points: Floats,
    arrived: Callable[[Floats], Bools],
) -> tuple[Floats, At, Bools]:
    """Descend from points (N, t) until each comes to rest.

    Parameters
    ----------
    derivatives : callable
        Values, gradients and Hessians at points; NaN or infinite where there are none.
    points : (N, t) array
    arrived : callable
        Which of some points are so near to a known minimum that going on is idle; asked where
        Newton's step is the whole one.

    Returns
    -------
    points : (N, t) array
        Where each came to rest, one step of Newton's method further where that lowers the slope;
        those that arrived, where the step led that showed it.
    at : At
        There.
    ended : (N,) array of bool
        Which were said to have arrived.
    """
    x, radius = points.copy(), np.full(len(points), FIRST_RADIUS)
    at, ended = At(*derivatives(x)), np.zeros(len(points), dtype=bool)
    moving = np.flatnonzero(np.isfinite(at.value))
    for _ in range(MOST_STEPS):
        if not len(moving):
            break
        here = at.of(moving)
        go = Steps.of(here, radius[moving])
        known = go.whole & arrived(x[moving] + go.step)
        x[moving[known]] += go.step[known]
        ended[moving[known]] = True
        rest = (np.abs(here.gradient).max(axis=1) < STATIONARY) & go.rising | known
        moving, here = moving[~rest], here.of(~rest)
        if not len(moving):
            break
        step, promise = go.step[~rest], go.promise[~rest]
        there = At(*derivatives(x[moving] + step))
        noise = NOISE * (1 + np.abs(here.value))
        with np.errstate(all="ignore"):
            won = here.value - there.value
            ratio = np.where(promise < noise, 1.0, won / promise)
        taken = np.isfinite(there.value) & (won >= -noise)
        length = np.linalg.norm(step, axis=1)
        grown = np.minimum(np.maximum(radius[moving], 2 * length), LAST_RADIUS)
        kept = np.where(taken & (ratio > 0.25), radius[moving], length / 4)
        radius[moving] = np.where(taken & (ratio > 0.75), grown, kept)
        x[moving[taken]] += step[taken]
        at.put(moving[taken], there.of(taken))
        moving = moving[radius[moving] > 1e-12]
    return *_polished(derivatives, x, at, ~ended), ended


def _polished(
    derivatives: Callable[[Floats], tuple[Floats, Floats, Floats]],
    x: Floats,
    at: At,
    chosen: Bools,
) -> tuple[Floats, At]:
    """One step more, across a flat direction where there is one: a proof may not come after it."""
    good = np.flatnonzero(np.isfinite(at.value) & chosen)
    if not len(good):
        return x, at
    here = at.of(good)
    inverse = np.linalg.pinv(here.hessian, rcond=1e-8, hermitian=True)
    closer = x[good] - (inverse @ here.gradient[:, :, None])[..., 0]
    there = At(*derivatives(closer))
    with np.errstate(invalid="ignore"):
        better = np.abs(there.gradient).max(axis=1) < np.abs(here.gradient).max(axis=1)
    better &= np.isfinite(there.value)
    x[good[better]] = closer[better]
    at.put(good[better], there.of(better))
    return x, at
