"""Numbers of a generalised model that are another quantity than the likelihood's own.

The likelihood's come from its second derivatives in all parameters. Some programs take the random
effects' covariances for known, and then there are two: by the criterion's second derivatives in the
fixed effects alone, and by the penalised least squares at the conditional modes, which lets the
determinant rest too (``glmer``'s ``vcov(use.hessian = FALSE)``).

Fixed effects may be those that maximise the penalised likelihood together with the modes, at the
engine's own covariances (``glmer``'s ``nAGQ = 0``): then X'(y - mu) = 0 at the modes, which neither
Laplace's criterion nor the exact one asks for.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from pp_compare.errors import InputError
from pp_compare.identities.conditional_modes import conditional_modes, mean_and_variance
from pp_compare.model import Fit
from pp_compare.model.glmm import GlmmDesign

Other = Literal["known variances", "penalised least squares"]

SAME = 1e-3
"""Relative: second differences of a criterion that is known to 1e-6 leave 8e-4 of a standard error
open at the best step; GPBoost's are off by 1.1e-4 at most on the named cases. The other quantity is
algebra, and met to rounding."""


def other_standard_errors(design: GlmmDesign, fit: Fit, known: np.ndarray) -> Other | None:
    """Which other quantity an engine's standard errors are; None where they are neither.

    Parameters
    ----------
    design : GlmmDesign
    fit : Fit
    known : ndarray, shape (p,)
        By the second derivatives in the fixed effects alone, at the engine's own estimates.
    """
    theirs = fit["beta_se"]
    if np.abs(theirs / known - 1).max() <= SAME:
        return "known variances"
    try:
        information = conditional_modes(design, fit["beta"], fit.covariances).information
        penalised = np.sqrt(np.diag(np.linalg.inv(information)))
    except (InputError, np.linalg.LinAlgError):
        return None
    same = np.abs(theirs / penalised - 1).max() <= SAME
    return "penalised least squares" if same else None


OTHER_ERRORS: dict[Other, str] = {
    "known variances": "by the second derivatives in the fixed effects alone, as if the random "
    "effects' variances were known",
    "penalised least squares": "by the penalised least squares at the modes, as if the random "
    "effects' variances were known (glmer's use.hessian = FALSE)",
}
"""What they are, in words."""


def jointly_maximised(design: GlmmDesign, fit: Fit, allowed: float) -> bool:
    """Whether the fixed effects maximise the penalised likelihood together with the modes.

    Parameters
    ----------
    design : GlmmDesign
    fit : Fit
    allowed : float
        Of twice the penalised log-likelihood, below its maximum.
    """
    try:
        modes = conditional_modes(design, fit["beta"], fit.covariances)
    except InputError:
        return False
    mean, _ = mean_and_variance(design.family, modes.predictor, design.trials)
    score = design.design.X.T @ (design.y - mean)
    return bool(score @ np.linalg.solve(modes.information, score) <= allowed)
