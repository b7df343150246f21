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

FOURTH = 1.0
"""Least fourth derivative of a criterion, in units of its curvature, that is allowed for: where it
is less a longer step would be better, and no engine knows that."""

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
    model: GlmmModel,
    definition: str,
    rounding: float,
    own: np.ndarray | None = None,
) -> dict[str, Tolerance]:
    """Tolerances by quantity; empty where no optimum is proved.

    Parameters
    ----------
    model : GlmmModel
    definition : str
        Of a criterion that is worked out for the model.
    rounding : float
        Of a log-likelihood in double precision.
    own : ndarray, optional
        Standard errors by the criterion's second derivatives at the engine's own numbers: what they
        are off by there comes from where it stopped, and no further tolerance is needed for that.
    """
    found, answer = model.found(definition), model.optimum(definition)
    if found.at is None or found.information is None or answer.claim == "none":
        return {}
    allowed = criterion_tolerance(rounding)
    moved = f"what it moves while the deviance rises by {allowed:.1g}"
    se = answer.quantities["beta_se"].values
    theta = np.array([float(x.mid()) for x in found.at.entries()])[len(se) :]
    tolerances = {"beta": Tolerance(se * np.sqrt(allowed), moved)}
    stop = np.zeros(len(se)) if own is None else np.nan_to_num(np.abs(own - se))
    fourth = max(FOURTH, np.nan_to_num(model.fourth_derivative(definition)))
    open_ = standard_error_tolerance(found.information, se, float(fourth))
    tolerances["beta_se"] = Tolerance(
        open_ + stop,
        f"what second differences of a criterion known to {NEGLIGIBLE / 2:g} leave of it, and what "
        "it is off by at its own estimates",
    )
    for name, reach in _covariances(model, theta, found.information, allowed).items():
        tolerances[name] = Tolerance(reach, moved)
    return tolerances


def standard_error_tolerance(information: np.ndarray, se: np.ndarray, fourth: float) -> np.ndarray:
    """What second differences leave of standard errors open.

    A criterion that passes is known to e = NEGLIGIBLE/2; with the best step its second differences
    are off by sqrt(4 e k / 3) of a curvature, k its fourth derivative in units of the curvature.
    With errors of that size, independent, in the entries of H, a variance C_ii of C = H^-1 is off
    by sqrt(2) times them times sum_r C_ir^2 H_rr, and the standard error by half of that over C_ii.
    """
    error = np.sqrt(4 * NEGLIGIBLE / 2 * fourth / 3)
    cov = np.linalg.inv(information)
    spread = (cov**2 @ np.diag(information))[: len(se)]
    return np.asarray(se * error / np.sqrt(2) * spread / np.diag(cov)[: len(se)])


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
