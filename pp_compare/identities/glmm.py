"""What a fit of a generalised mixed model must satisfy at its own estimates.

The conditional modes maximise each group's exponent h, so Z'(y - mu) = Sigma^-1 b holds group by
group at the engine's own fixed effects and covariance. An engine whose inner iteration ends early
breaks it, and evaluates its criterion at a place that is no mode.
"""

from __future__ import annotations

import numpy as np

from pp_compare.identities.record import IdentityCheck
from pp_compare.model import Fit
from pp_compare.model.glmm import GlmmDesign

MODES = "modes-solve-their-equations"
SCORE = "score-is-zero"

MODE_TOLERANCE = 1e-3
"""Conditional standard deviations: the exponent of a group is then 5e-7 below its top."""


def check_modes(design: GlmmDesign, fit: Fit) -> IdentityCheck | None:
    """Newton's step from each group's conditional modes, in conditional standard deviations.

    None for a model with more than one random term, a singular covariance, a fit without modes, and
    for penalised quasi-likelihood and posteriors, whose effects are other quantities.
    """
    blocks = design.design.blocks
    name = f"blup[{blocks[0].group}]"
    if len(blocks) > 1 or name not in fit.quantities or fit.definition in ("pql", "vb", "map"):
        return None
    block, modes, sigma = blocks[0], fit[name], fit[f"random_cov[{blocks[0].group}]"]
    if not np.isfinite(modes).all() or np.linalg.cond(sigma) > 1e12 or not sigma.any():
        return None
    eta = design.offset + design.design.X @ fit["beta"]
    eta = eta + np.einsum("ij,ij->i", block.Z, modes[block.codes])
    with np.errstate(over="ignore"):
        p = np.exp(eta) if design.family == "poisson" else 1 / (1 + np.exp(-eta))
    mean = design.trials * p
    variance = mean if design.family == "poisson" else mean * (1 - p)
    precision = np.linalg.inv(sigma)
    m, q = modes.shape
    score = np.zeros((m, q))
    np.add.at(score, block.codes, (design.y - mean)[:, None] * block.Z)
    score -= modes @ precision
    curvature = np.broadcast_to(precision, (m, q, q)).copy()
    np.add.at(
        curvature, block.codes, variance[:, None, None] * block.Z[:, :, None] * block.Z[:, None, :]
    )
    step = np.linalg.solve(curvature, score[:, :, None])[:, :, 0]
    error = float(np.sqrt(np.maximum((step * score).sum(axis=1), 0)).max())
    return _checked(
        fit, MODES, error, MODE_TOLERANCE, "the exponent of a group is within 5e-7 of its top"
    )


def check_score(fit: Fit, decrement: float, allowed: float) -> IdentityCheck:
    """The gradient g of the engine's own criterion at its estimates: sqrt(g'H^-1 g).

    That is its largest entry over all directions, each in its standard error; H is minus the second
    derivatives. Where the criterion is not concave there, the estimates are no maximum of it.

    Parameters
    ----------
    decrement : float
        g'H^-1 g / 2, which Newton's method expects to gain; nan where it is not concave.
    allowed : float
        The deviance above an optimum that is let pass.
    """
    error = float("inf") if np.isnan(decrement) else float(np.sqrt(2 * max(decrement, 0.0)))
    reason = f"the deviance is then within {allowed:.1g} of an optimum"
    return _checked(fit, SCORE, error, float(np.sqrt(allowed)), reason)


def _checked(fit: Fit, identity: str, error: float, tolerance: float, reason: str) -> IdentityCheck:
    verdict = "pass" if error <= tolerance else "fail"
    return IdentityCheck(fit.engine, identity, error, tolerance, verdict, reason)  # type: ignore[arg-type]  # two words of Verdict
