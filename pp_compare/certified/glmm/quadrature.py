"""Nodes of the trapezoidal rule for one random intercept, and a bound on what it leaves out.

The integrals are of F(b) times a moment, with

    F(b) = exp(-b^2/2 + S sigma b) / D(b),   D = prod (1 + e^eta)^n,  or  exp(sum n e^eta),

eta = o + x'beta + sigma b, S = sum y. Three facts bound the sum h * sum F(kh):

- On the line Im b = y, with v = sigma y: |1 + e^(eta + iv)| >= cos(v/2) (1 + e^eta) for v < pi, so
  |F(x + iy)| <= e^(y^2/2) cos(v/2)^-N F(x), N trials; for counts |F| <= e^(y^2/2) G(x), where G is
  F with its means times cos v, v < pi/2.
- -log F and -log G have second derivative at least 1, so with d the slope of log G at any x0
  G(x0 + u) <= G(x0) exp(d u - u^2/2), whose moments are those of a normal density.
- If the integral of |F| along every line of the strip |Im b| <= a is at most M, the sum over all of
  hZ is off by at most 2 M / (exp(2 pi a/h) - 1) (Trefethen & Weideman 2014, SIAM Review 56,
  theorem 5.1).

Beyond the last node the same convexity bounds the terms by a geometric series. The step and the
ends are chosen in double precision, for speed alone; the bounds are evaluated in balls, for a point
or over a box of (beta, sigma).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from flint import arb
from scipy.special import wrightomega

from pp_compare.certified.equations.krawczyk import UndecidedError
from pp_compare.certified.glmm.data import Family

MOST_NODES = 200_000
"""Nodes of one piece; more need so wide a random effect that nothing comes of it."""

BISECTIONS = 24
"""For the top of an integrand, to a ten-millionth of where it may be: a node's width suffices."""

SLACK = 12.0
"""Nats of the error bound left for the moments' factors, which the choice of the step ignores."""

ORDERS = 3
"""Moments of b and of the mean up to their squares."""


@dataclass(frozen=True)
class Shape:
    """The integrand of one piece in double precision: what the plan is made from.

    Parameters
    ----------
    family : Family
    sigma : float
    eta : (r,) array
        Linear predictors without the random effect.
    trials : (r,) array
    """

    family: Family
    sigma: float
    eta: np.ndarray
    trials: np.ndarray

    def log(self, b: np.ndarray, total: float, share: float | np.ndarray = 1.0) -> np.ndarray:
        """Log F at nodes; `share` multiplies the means of counts."""
        eta = self.eta[:, None] + self.sigma * b
        with np.errstate(over="ignore"):
            cumulant = np.logaddexp(0, eta) if self.family == "binomial" else share * np.exp(eta)
        return np.asarray(-(b**2) / 2 + total * self.sigma * b - self.trials @ cumulant)

    def mode(self, total: float, share: float = 1.0) -> float:
        """Where log F is highest: of trials the root of a decreasing function, by bisection."""
        if self.family == "poisson":
            return float(self.top_of_counts(total, np.array([share]))[0])
        low, high = -self.sigma * float(self.trials.sum()), self.sigma * total
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            if self._slope(middle, total) > 0:
                low = middle
            else:
                high = middle
        return (low + high) / 2

    def top_of_counts(self, total: float, shares: np.ndarray) -> np.ndarray:
        """Where log G is highest: x = S sigma - w / sigma, w + log w = log(c sigma^2) + S sigma^2.

        c is the sum of n e^(o + x'beta), times the share; w is Wright's omega.
        """
        if self.sigma == 0:
            return np.zeros(len(shares))
        level = np.log(self.trials) + self.eta
        known = np.logaddexp.reduce(level) + 2 * np.log(self.sigma) + total * self.sigma**2
        return np.asarray(total * self.sigma - wrightomega(np.log(shares) + known) / self.sigma)

    def _slope(self, b: float, total: float) -> float:
        with np.errstate(over="ignore"):
            mean = 1 / (1 + np.exp(-self.eta - self.sigma * b))
        return float(-b + self.sigma * (total - self.trials @ mean))


@dataclass(frozen=True)
class Plan:
    """Nodes h k for first <= k <= last, and the half width of the strip the bound is taken on."""

    h: float
    first: int
    last: int
    strip: float


def make_plan(shape: Shape, totals: list[int], bits: int) -> Plan:
    """Choose nodes with which the error bound is about 2^-bits of the integral.

    Raises
    ------
    UndecidedError
        Where that takes too many nodes.
    """
    nats = bits * np.log(2) + SLACK
    h, strip = _step(shape, totals, nats)
    low, high = np.inf, -np.inf
    for total in totals:
        mode = shape.mode(total)
        # log F falls by u^2/2 at least within u of its mode.
        reach = np.linspace(0, np.sqrt(2 * nats), 257)
        for sign in (-1, 1):
            nodes = mode + sign * reach
            falls = shape.log(np.array([mode]), total) - shape.log(nodes, total)
            end = nodes[min(int(np.searchsorted(falls, nats)), len(nodes) - 1)]
            low, high = min(low, end), max(high, end)
    first, last = int(np.floor(low / h)), int(np.ceil(high / h))
    if not last - first < MOST_NODES:
        raise UndecidedError(f"{last - first:.3g} nodes for one group are too many")
    return Plan(float(h), first, last, float(strip))


def _step(shape: Shape, totals: list[int], nats: float) -> tuple[float, float]:
    """The longest step whose bound suffices, over half widths of the strip."""
    binomial = shape.family == "binomial"
    widest = np.pi if binomial else np.pi / 2
    most = min(np.sqrt(2 * nats), 0.999 * widest / max(shape.sigma, 1e-300))
    strips = most * np.linspace(0.02, 1, 50)
    v = shape.sigma * strips
    if binomial:
        grows = -shape.trials.sum() * np.log(np.cos(v / 2))
    else:
        grows = np.max([_growth(shape, total, np.cos(v)) for total in totals], axis=0)
    steps = 2 * np.pi * strips / (nats + strips**2 / 2 + grows)
    best = int(np.argmax(steps))
    return float(steps[best]), float(strips[best])


def _growth(shape: Shape, total: float, shares: np.ndarray) -> np.ndarray:
    """How far max log G exceeds max log F."""
    one = np.ones(1)
    tops = shape.log(shape.top_of_counts(total, shares), total, shares)
    return np.asarray(tops - shape.log(shape.top_of_counts(total, one), total, one))


@dataclass(frozen=True)
class Top:
    """Value of F or of its majorant G at a point x, and the slope of its logarithm there; balls."""

    x: arb
    value: arb
    slope: arb


def strip_errors(
    plan: Plan, sigma: arb, family: Family, trials: int, tops: list[Top]
) -> list[list[arb]]:
    """What the sum over all of hZ is off by, in units of the sum: [power of b][power of the mean].

    Parameters
    ----------
    tops : list of Top
        Of F times the mean^j, j = 0, 1, 2, on the strip's edge; of trials, whose mean is at most
        N/cos(v/2)^2, thrice that of F.
    """
    a = arb(plan.strip)
    v = sigma * a
    edge = arb.pi() if family == "binomial" else arb.pi() / 2
    if not v < edge:
        raise UndecidedError("the box of sigma is wider than the strip")
    common = (a * a / 2).exp() * 2 / ((2 * arb.pi() * a / arb(plan.h)).exp() - 1)
    secant = 1 / (v / 2).cos()
    errors: list[list[arb]] = [[] for _ in range(ORDERS)]
    for j, top in enumerate(tops):
        # Not as a power: that of a ball about 0 is nan.
        steep = top.slope * top.slope
        size = common * top.value * (2 * arb.pi()).sqrt() * (steep / 2).exp() / arb(plan.h)
        if family == "binomial":
            size *= secant**trials * (trials * secant**2) ** j
        reach = (1 + steep).sqrt() + abs(top.x) + a
        for k in range(ORDERS):
            errors[k].append(_upper(size * reach**k))
    return errors


def tail_error(x: arb, value: arb, fall: arb, h: float, power: int) -> arb:
    """Bound on the terms beyond the node at x, times |b|^power.

    Parameters
    ----------
    value : arb
        The last term, without the power of b.
    fall : arb
        How fast its logarithm falls outwards, per unit of b.

    Raises
    ------
    UndecidedError
        Where it does not certainly fall.
    """
    if not fall > 0:
        raise UndecidedError("the integrand does not certainly fall beyond the last node")
    # sum_m exp(-fall m h) (c + m h)^power <= the integral of exp(-fall u) (c + u)^power, over h,
    # c = |x| + h; and that is at most power! (c + 1/fall)^power / fall.
    reach = abs(x) + arb(h) + 1 / fall
    return _upper(value / fall / arb(h) * max(power, 1) * reach**power)


def _upper(x: arb) -> arb:
    return x.abs_upper()
