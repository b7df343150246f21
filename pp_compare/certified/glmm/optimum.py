"""The certified optimum of the exact likelihood, or of the Laplace criterion.

Newton's method in low precision finds it, the project's Krawczyk operator (``general.krawczyk``)
proves that a stationary point exists, is the only one in a box and is a maximum. With one effect a
term both criteria are even in every standard deviation, so a deviation of 0 is proved on the face
where it is 0, with the second derivative off the face certainly positive: the mixed ones are 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from flint import arb, arb_mat, ctx

from pp_compare.certified.equations.krawczyk import (
    Derivatives,
    NotProvedError,
    UndecidedError,
    certified_minimum,
)
from pp_compare.certified.glmm.data import Floats
from pp_compare.certified.glmm.search import DIVERGED, Criterion, Stop, search
from pp_compare.certified.glmm.separation import separating_direction

ZERO = 1e-3
"""A standard deviation below this is tried as 0: log L moves by 1e-6 curvatures between the two."""

LOCAL = (
    "the likelihood is not concave in the random standard deviations, and not all of them were "
    "searched"
)
"""Why no more than a local maximum is claimed."""


@dataclass(frozen=True, eq=False)
class GlmmOptimum:
    """The best known optimum of a criterion and what is proved about it.

    Attributes
    ----------
    definition : str
        ``exact``, ``laplace`` or ``agq:k``.
    claim : "local" or "none"
        "local": `at` encloses a strict local maximum, and no other stationary point lies in `box`.
    reason : str
        Why no more is claimed.
    at : (t, 1) arb_mat or None
        beta and theta; theta as lme4's, without a sigma: standard deviations for one effect a term.
        None where the likelihood has no maximum.
    box : (t, 1) arb_mat or None
    loglik : arb or None
        With every constant.
    information : (t, t) float64 array or None
        Minus the second derivatives of the log-likelihood at the optimum.
    fixed_at_zero : tuple of int
        Places in `at` of standard deviations that are 0.
    direction : tuple of float
        Of the fixed effects, along which the likelihood rises for ever; empty where there is none.
    """

    definition: str
    claim: Literal["local", "none"]
    reason: str
    at: arb_mat | None = None
    box: arb_mat | None = None
    loglik: arb | None = None
    information: Floats | None = None
    fixed_at_zero: tuple[int, ...] = ()
    direction: tuple[float, ...] = ()


def glmm_optimum(
    criterion: Criterion,
    starts: Sequence[Floats] = (),
    *,
    also: Sequence[Floats] = (),
    digits: int = 30,
) -> GlmmOptimum:
    """Find the best optimum that a search reaches, and prove it.

    Parameters
    ----------
    criterion : Criterion
    starts : sequence of (t,) arrays
        Where to search from, in place of starts of our own.
    also : sequence of (t,) arrays
        Further starts, such as the answers of engines.
    digits : int
        Of each coordinate, relative to its curvature scale.
    """
    direction = separating_direction(criterion.data)
    if direction is not None:
        reason = (
            "the likelihood has no maximum: the data are separated, it rises for ever along a "
            "direction of the fixed effects"
        )
        found = tuple(map(float, direction))
        return GlmmOptimum(criterion.definition, "none", reason, direction=found)
    ends = search(criterion, tuple(starts), tuple(also))
    if not ends:
        return GlmmOptimum(criterion.definition, "none", "the search could not evaluate its starts")
    best = ends[0]
    if np.abs(best.at[criterion.p :]).max(initial=0) > DIVERGED:
        reason = (
            f"the search ran off to random effects with a standard deviation above {DIVERGED:g} on "
            "the link scale: the likelihood keeps rising, or stays flat"
        )
        return GlmmOptimum(criterion.definition, "none", reason)
    return _prove(criterion, best, digits)


def _prove(criterion: Criterion, best: Stop, digits: int) -> GlmmOptimum:
    reason = ""
    base = 60 + int(np.ceil(digits * np.log2(10)))
    for bits in (base, 2 * base):
        with ctx.workprec(bits):
            try:
                return _proved(criterion, best, digits)
            except NotProvedError as failure:
                reason = str(failure)
                if not isinstance(failure, UndecidedError):
                    break
    with ctx.workprec(base):
        at = arb_mat([[float(v)] for v in best.at])
        value, _, hessian = criterion.everything(at)
        return GlmmOptimum(
            criterion.definition, "none", reason, at, at, -value, _floats(hessian), ()
        )


def _proved(criterion: Criterion, best: Stop, digits: int) -> GlmmOptimum:
    zeros = _zeros(criterion, best)
    free = [i for i in range(criterion.size) if i not in zeros]
    start = arb_mat([[float(best.at[i])] for i in free])
    minimum = certified_minimum(_restricted(criterion, free), start, digits=digits)
    at = _whole(criterion.size, free, minimum.point)
    value, _, hessian = criterion.everything(at)
    for i in zeros:
        if not hessian[i, i] > 0:
            kind = NotProvedError if hessian[i, i] < 0 else UndecidedError
            raise kind(
                "the second derivative of the log-likelihood in the standard deviation at 0 is "
                f"{(-hessian[i, i]).str(6)}, not certainly negative"
            )
    box = _whole(criterion.size, free, minimum.box)
    return GlmmOptimum(
        criterion.definition, "local", LOCAL, at, box, -value, _floats(hessian), zeros
    )


def _zeros(criterion: Criterion, best: Stop) -> tuple[int, ...]:
    """Standard deviations that the search ended at 0; those of correlated effects are not tried."""
    if not criterion.data.scalar:
        return ()
    return tuple(i for i in range(criterion.p, criterion.size) if abs(best.at[i]) < ZERO)


def _restricted(criterion: Criterion, free: list[int]) -> Derivatives:
    def derivatives(x: arb_mat) -> tuple[arb_mat, arb_mat]:
        t = len(free)
        try:
            gradient, hessian = criterion.derivatives(_whole(criterion.size, free, x))
        except NotProvedError:
            if all(v.rad() == 0 for v in x.entries()):
                raise
            nan = arb("nan")
            return arb_mat([[nan]] * t), arb_mat([[nan] * t] * t)
        return (
            arb_mat([[gradient[i, 0]] for i in free]),
            arb_mat([[hessian[i, j] for j in free] for i in free]),
        )

    return derivatives


def _whole(size: int, free: list[int], x: arb_mat) -> arb_mat:
    found = arb_mat(size, 1)
    for k, i in enumerate(free):
        found[i, 0] = x[k, 0]
    return found


def _floats(a: arb_mat) -> Floats:
    return np.array([[float(v.mid()) for v in row] for row in a.tolist()])
