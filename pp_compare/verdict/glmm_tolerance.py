"""How far a sound engine may be from the optimum of a generalised model, from its curvature.

`NEGLIGIBLE` is chosen, as for linear models; everything else follows from it and the information
matrix at the certified optimum. An engine stops where the deviance d'Hd is within `D` of its
minimum, so that a quantity f moves by at most the half width of that ellipsoid: its changes along
the axes sqrt(D) H^-1/2, combined as an ellipsoid's (to first order sqrt(D f'H^-1 f')).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pp_compare.certified.glmm.model import GlmmModel
from pp_compare.verdict.tolerance import NEGLIGIBLE, Tolerance

CURVATURE = float(np.sqrt(NEGLIGIBLE))
"""Of a standard error, relative to it. A criterion that passes is known to e = NEGLIGIBLE/2; its
second differences, with the best step, leave sqrt(4 e k / 3) of the curvature open, k its fourth
derivative in units of the curvature, and a standard error half of that: sqrt(NEGLIGIBLE) where
k = 6. On the named cases k is 1.3 at most, and sound engines are off by 3e-5."""


ROUNDING = 1e-9
"""Of a log-likelihood in double precision, relative to its size and to the rows: a sum of n terms,
each of some 1e-16 of itself, of differences between logarithms a thousand times as large."""


def rounding_of(model: GlmmModel, loglik: float) -> float:
    """Of a log-likelihood in double precision."""
    return ROUNDING * (1 + abs(loglik) / 1e3 + model.design.design.n_obs / 1e3)


def criterion_tolerance(rounding: float) -> float:
    """On the deviance above the optimum, of two log-likelihoods in double precision."""
    return NEGLIGIBLE + 2 * rounding


def glmm_tolerances(
    model: GlmmModel, definition: str, rounding: float, beta_se: np.ndarray | None = None
) -> dict[str, Tolerance]:
    """Tolerances by quantity; empty where no optimum is proved.

    Parameters
    ----------
    model : GlmmModel
    definition : str
        Of a criterion that is worked out for the model.
    rounding : float
        Of a log-likelihood in double precision.
    beta_se : ndarray, optional
        Standard errors by the criterion's second derivatives at the engine's own numbers: what they
        are off by there comes from where it stopped, and no further tolerance is needed for that.
    """
    found, answer = model.found(definition), model.optimum(definition)
    if found.at is None or found.information is None or answer.claim == "none":
        return {}
    allowed = criterion_tolerance(rounding)
    moved = f"what it moves while the deviance rises by {allowed:.1g}"
    se = answer.quantities["beta_se"].values
    tolerances = {"beta": Tolerance(se * np.sqrt(allowed), moved)}
    own = np.zeros(len(se)) if beta_se is None else np.nan_to_num(np.abs(beta_se - se))
    tolerances["beta_se"] = Tolerance(
        CURVATURE * se + own,
        f"{CURVATURE:.1g} of it, what second differences leave of a criterion known to "
        f"{NEGLIGIBLE / 2:g}; and what it is off by at its own estimates",
    )
    theta = np.array([float(x.mid()) for x in found.at.entries()])[len(se) :]
    for name, reach in _covariances(model, theta, found.information, allowed).items():
        tolerances[name] = Tolerance(reach, moved)
    return tolerances


def _covariances(
    model: GlmmModel, theta: np.ndarray, information: np.ndarray, allowed: float
) -> Mapping[str, np.ndarray]:
    """Of each covariance the half width of {deviance <= minimum + allowed}.

    Of a standard deviation that is 0 too: there the information is that along it, and the
    covariance moves by the square.
    """
    spread = np.linalg.inv(information)[-len(theta) :, -len(theta) :]
    axes = np.linalg.cholesky(spread) * np.sqrt(allowed)
    best = model.covariances(theta)
    reach = {name: np.zeros_like(values) for name, values in best.items()}
    for axis in axes.T:
        ends = [model.covariances(theta + sign * axis) for sign in (1, -1)]
        for name, values in best.items():
            change = np.maximum(*(np.abs(end[name] - values) for end in ends))
            reach[name] = np.hypot(reach[name], change)
    return reach
