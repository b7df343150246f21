"""Where the proof begins: Newton's method with a trust region, in balls of low precision.

Nothing here has to be rigorous. The criterion's own derivatives are used, so there is no second
version of it in double precision.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from flint import arb, arb_mat, ctx
from numpy.typing import NDArray

from pp_compare.certified.equations.krawczyk import NotProvedError
from pp_compare.certified.glmm.data import Family, Floats, GlmmData

BITS = 64
"""Of the search; derivatives keep some eight digits, which is where the proof wants to start."""

STEPS = 60
CLOSE = 1e-9
"""Newton decrement, in units of the log-likelihood, at which the search stops."""

DIVERGED = 300.0
"""Standard deviations on the link scale that say nothing any more: beyond e^300 to one."""

START_SCALES = (1.0, 0.3, 3.0)
"""Random standard deviations that the search of one term starts from; it ends with the first two
that agree."""

SMALL = 0.1
"""Start of the other terms' standard deviations where one term is to take the variance."""


class Criterion(Protocol):
    """Minus a log-likelihood of (beta, theta), enclosed."""

    data: GlmmData
    definition: str
    p: int
    size: int

    def value(self, at: arb_mat) -> arb:
        """At a point or over a box, (t, 1)."""

    def derivatives(self, at: arb_mat) -> tuple[arb_mat, arb_mat]:
        """Gradient (t, 1) and Hessian (t, t)."""

    def everything(self, at: arb_mat) -> tuple[arb, arb_mat, arb_mat]:
        """Value, gradient and Hessian."""


@dataclass(frozen=True, eq=False)
class Stop:
    """Where a search ended: (beta, theta) (t,), minus log L there, and whether it stands still."""

    at: Floats
    value: float
    stationary: bool


def search(
    criterion: Criterion, starts: tuple[Floats, ...] = (), also: tuple[Floats, ...] = ()
) -> list[Stop]:
    """Ends of searches from the starts, or some of our own, and from others too; best first."""
    ends = [end for start in also if (end := _newton(criterion, start)) is not None]
    given = iter(starts) if starts else own_starts(criterion.data)
    for start in given:
        end = _newton(criterion, start)
        if end is not None:
            ends.append(end)
        if len(criterion.data.terms) == 1 and _agreed(ends):
            break
    return sorted(ends, key=lambda end: end.value)


def _agreed(ends: list[Stop]) -> bool:
    """Whether two searches found the same place."""
    if len(ends) < 2 or not (ends[-1].stationary and ends[-2].stationary):
        return False
    return abs(ends[-1].value - ends[-2].value) < 1e-6


def own_starts(data: GlmmData) -> Iterator[Floats]:
    """Fixed effects without random ones, and covariances of several scales.

    Of several terms each may take the variance of the others, and often either way is an optimum.
    """
    beta = glm(data)
    diagonal = np.array([float(i == j) for _, i, j in data.theta])
    if len(data.terms) == 1:
        for scale in START_SCALES:
            yield np.concatenate([beta, scale * diagonal])
        return
    yield np.concatenate([beta, diagonal])
    for term in range(len(data.terms)):
        own = np.array([1.0 if k == term else SMALL for k, _, _ in data.theta])
        yield np.concatenate([beta, own * diagonal])


def glm(data: GlmmData) -> Floats:
    """Fixed effects of the model without random effects."""
    return scored(data.family, data.X, data.y, data.trials, data.offset)


def scored(family: Family, X: Floats, y: NDArray[Any], n: NDArray[Any], offset: Floats) -> Floats:
    """The maximum of a generalised linear model, by scoring with halved steps.

    Parameters
    ----------
    family : {"binomial", "poisson"}
    X : (n, p) array
    y, n : (n,) arrays
        Successes or counts, whole or not, and trials.
    offset : (n,) array
    """

    def loss(beta: Floats) -> tuple[float, Floats, Floats]:
        eta = offset + X @ beta
        with np.errstate(over="ignore", invalid="ignore"):
            if family == "poisson":
                mean = np.exp(eta)
                return float(mean.sum() - y @ eta), mean, mean
            p = 1 / (1 + np.exp(-eta))
            return float(n @ np.logaddexp(0, eta) - y @ eta), n * p, n * p * (1 - p)

    beta = np.zeros(X.shape[1])
    value, mean, variance = loss(beta)
    for _ in range(50):
        hessian = X.T @ (variance[:, None] * X)
        step = np.linalg.lstsq(hessian, X.T @ (y - mean), rcond=1e-12)[0]
        for k in range(30):
            trial = loss(beta + step / 2**k)
            if np.isfinite(trial[0]) and trial[0] < value:
                break
        else:
            break
        done = value - trial[0] < 1e-10
        beta, (value, mean, variance) = beta + step / 2**k, trial
        if done:
            break
    return np.asarray(beta)


def _newton(criterion: Criterion, start: Floats) -> Stop | None:
    """Newton's method with a step of limited length; negative curvature is followed downhill."""
    with ctx.workprec(BITS):
        found = _at(criterion, start)
        if found is None:
            return None
        x, (value, gradient, hessian) = start, found
        radius = 2.0
        for _ in range(STEPS):
            step, decrement = _step(gradient, hessian, criterion.p, radius)
            if decrement < CLOSE:
                return Stop(_upright(criterion, x), value, stationary=True)
            trial = _at(criterion, x + step)
            if trial is not None and trial[0] < value + 1e-12 * abs(value):
                x, (value, gradient, hessian) = x + step, trial
                radius = min(2 * radius, 8.0)
            else:
                radius = _length(step, criterion.p) / 4
            if radius < 1e-10 or np.abs(x[criterion.p :]).max(initial=0) > DIVERGED:
                break
        return Stop(_upright(criterion, x), value, stationary=False)


def _length(step: Floats, p: int) -> float:
    """Steps of fixed effects may be ten times as long as those of standard deviations."""
    return float(max(np.abs(step[:p]).max(initial=0) / 10, np.abs(step[p:]).max(initial=0)))


def _step(gradient: Floats, hessian: Floats, p: int, radius: float) -> tuple[Floats, float]:
    # The scale of the columns is taken out, for a fair floor on the curvature.
    unit = 1 / np.sqrt(np.maximum(np.abs(np.diag(hessian)), 1e-12))
    values, vectors = np.linalg.eigh(hessian * np.outer(unit, unit))
    slope = vectors.T @ (gradient * unit)
    step = -unit * (vectors @ (slope / np.maximum(np.abs(values), 1e-6)))
    decrement = float(-(gradient @ step)) / 2
    if (values <= 0).any():
        decrement = max(decrement, CLOSE) if decrement > CLOSE / 1e3 else decrement
    return step * min(1.0, radius / max(_length(step, p), 1e-300)), decrement


def _at(criterion: Criterion, x: Floats) -> tuple[float, Floats, Floats] | None:
    try:
        value, gradient, hessian = criterion.everything(arb_mat([[float(v)] for v in x]))
    except NotProvedError:
        return None
    g = np.array([float(v.mid()) for v in gradient.entries()])
    H = np.array([[float(v.mid()) for v in row] for row in hessian.tolist()])
    number = float(value.mid())
    finite = np.isfinite(number) and np.isfinite(g).all() and np.isfinite(H).all()
    return (number, g, H) if finite else None


def _upright(criterion: Criterion, x: Floats) -> Floats:
    """The point with positive diagonals of the factors: signs of their columns mean nothing."""
    x = x.copy()
    theta = criterion.data.theta
    for r, (term, i, j) in enumerate(theta):
        if i == j and x[criterion.p + r] < 0:
            for s, (other, _, column) in enumerate(theta):
                if (other, column) == (term, j):
                    x[criterion.p + s] *= -1
    return x
