"""How far a sound engine may be from the optimum of this case: from curvature and rounding.

The one number chosen by hand is `NEGLIGIBLE`, in units of the deviance; every tolerance on a
quantity follows from it, case by case, through the shape of the criterion at the optimum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pp_compare.certified.models import CertifiedModel
from pp_compare.identities.rounding import Rounding, rounding_at
from pp_compare.model import Quantity
from pp_compare.model.design import Design

NEGLIGIBLE = 2e-6
"""Deviance above the optimum that is let pass: lme4's own measure of convergence. Its ``checkConv``
warns where the gradient, scaled by the Cholesky factor of the Hessian, passes 2e-3; the deviance is
then (2e-3)^2 / 2 above the optimum, and no estimate is off by more than 1.4e-3 of its standard
error (a rise of d moves an estimate by at most sqrt(d) standard errors: Wald's and the likelihood
ratio's statistic agree to second order)."""


HARMLESS = 0.01
"""Where harm to a reader begins, beyond `NEGLIGIBLE`: a fixed effect by a hundredth of its standard
error, a standard error or a standard deviation by one per cent (a variance by two), -2 loglik by a
hundredth. Two printed digits then stay or move by one in the last, and no test by 0.0025 in p."""


MEANINGFUL = 1.0
"""Where rounding alone may raise the deviance by more than this, estimates may be off by more than
a standard error in double precision: there is nothing left to agree on."""


@dataclass(frozen=True, eq=False)
class Tolerance:
    """Tolerance on each number of one quantity, and why.

    Parameters
    ----------
    values : ndarray
        In the shape of the quantity; infinite where a comparison would mean nothing.
    reason : str
    """

    values: np.ndarray
    reason: str


@dataclass(frozen=True, eq=False)
class Tolerances:
    """All tolerances of a case.

    Parameters
    ----------
    criterion : float
        On -2 loglik above the optimum: `NEGLIGIBLE` and the rounding of the criterion.
    quantities : dict of str to Tolerance
    """

    criterion: float
    quantities: dict[str, Tolerance]

    @property
    def criterion_reason(self) -> str:
        """Why the criterion's tolerance is what it is."""
        if np.isinf(self.criterion):
            return "double precision cannot tell"
        rounding = self.criterion - NEGLIGIBLE
        return f"{NEGLIGIBLE:g} (lme4's convergence criterion) plus {rounding:.1g} for rounding"


def rounding_at_optimum(design: Design, model: CertifiedModel) -> Rounding:
    """Rounding bounds at the optimum's own variances."""
    best = model.optimum.representative
    covariances = {g: best[f"random_cov[{g}]"].values for g in design.group_levels}
    return rounding_at(design, float(best["sigma"].values), covariances)


def criterion_tolerance(rounding: Rounding) -> float:
    """On -2 loglik above the optimum; infinite where double precision cannot tell."""
    tolerance = NEGLIGIBLE + rounding.criterion
    return tolerance if tolerance <= MEANINGFUL else np.inf


def derive_tolerances(design: Design, model: CertifiedModel) -> Tolerances:
    """Tolerances of a case from the curvature at its optimum.

    A quantity may be off by what it changes over {deviance <= minimum + criterion}, axis by axis
    and combined as an ellipsoid's half width, plus what rounding does at the optimum itself. One
    that the criterion does not fix has no tolerance: two engines may differ in it by any amount.
    """
    best, at = model.optimum.quantities, model.optimum.representative
    rounding = rounding_at_optimum(design, model)
    criterion = criterion_tolerance(rounding)
    if np.isinf(criterion):
        return Tolerances(np.inf, _open(at, "double precision cannot tell"))
    axes = model.near(criterion)
    missing = {name: quantity for name, quantity in at.items() if name not in best}
    found = _open(missing, model.existence.sentence)
    for name, quantity in best.items():
        floor = rounding.of(quantity)
        if name == "loglik":
            found[name] = Tolerance(floor + criterion / 2, "half the criterion's tolerance")
            continue
        reach = np.zeros(quantity.values.shape)
        for first, last in axes:
            ends = [np.abs(end[name].values - quantity.values) for end in (first, last)]
            reach = np.hypot(reach, np.maximum(*ends))
        found[name] = Tolerance(
            reach + floor,
            f"what it moves while the deviance rises by {criterion:.1g}, and rounding",
        )
    return Tolerances(criterion, found)


def _open(quantities: dict[str, Quantity], reason: str) -> dict[str, Tolerance]:
    """No bound on any number of these."""
    values = {name: np.full(quantity.values.shape, np.inf) for name, quantity in quantities.items()}
    return {name: Tolerance(value, reason) for name, value in values.items()}
