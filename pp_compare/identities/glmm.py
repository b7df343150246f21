"""What a fit of a generalised mixed model must satisfy at its own estimates.

The conditional modes maximise each group's exponent h, so Z'(y - mu) = Sigma^-1 b holds group by
group at the engine's own fixed effects and covariance. An engine whose inner iteration ends early
breaks it, and evaluates its criterion at a place that is no mode.

Summed over groups that is 1'(y - mu) = sum b / s^2 for a random intercept, which is what the score
of Laplace's criterion in the fixed intercept is about: with k_j the third cumulants of group j's
rows at its mode, v_j the second, A_j = 1 + s^2 v_j, it is sum b / s^2 - s^2/2 sum k_j / A_j^2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pp_compare.identities.record import IdentityCheck
from pp_compare.model import Fit
from pp_compare.model.glmm import GlmmDesign

MODES = "modes-solve-their-equations"
SCORE = "score-is-zero"
SUM = "modes-sum"

MODE_TOLERANCE = 1e-3
"""Conditional standard deviations: the exponent of a group is then 5e-7 below its top."""


@dataclass(frozen=True)
class GlmmIdentity:
    """What an identity says, and what breaks it."""

    id: str
    statement: str
    cause: str


GLMM_IDENTITIES: tuple[GlmmIdentity, ...] = (
    GlmmIdentity(
        MODES, "each group's conditional modes solve Z'(y - mu) = Sigma^-1 b", "post-processing"
    ),
    GlmmIdentity(SCORE, "the gradient of its criterion is 0 at its estimates", "optimiser"),
    GlmmIdentity(
        SUM,
        "under Laplace's criterion the modes of a random intercept sum to s^4/2 sum k_j / A_j^2",
        "post-processing",
    ),
)


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
    mean, variance, _ = _cumulants(design, fit["beta"], modes)
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


def _cumulants(
    design: GlmmDesign, beta: np.ndarray, modes: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, variance and third cumulant of each row, at its predictor with one random term."""
    block = design.design.blocks[0]
    eta = design.offset + design.design.X @ beta
    eta = eta + np.einsum("ij,ij->i", block.Z, modes[block.codes])
    with np.errstate(over="ignore"):
        if design.family == "poisson":
            mean = np.exp(eta)
            return mean, mean, mean
        p = 1 / (1 + np.exp(-eta))
    variance = design.trials * p * (1 - p)
    return design.trials * p, variance, variance * (1 - 2 * p)


def check_sum(
    design: GlmmDesign, fit: Fit, curvature: float, allowed: float
) -> IdentityCheck | None:
    """The sum of the modes against what Laplace's score asks of it, in units of the intercept's.

    None where the model is more than a random intercept beside a fixed one, for other criteria than
    Laplace's, and where the variance is 0.

    Parameters
    ----------
    curvature : float
        Minus the second derivative of the criterion in the fixed intercept: the score there is at
        most its root times that of the deviance above the optimum.
    allowed : float
        The deviance above an optimum that is let pass.
    """
    blocks = design.design.blocks
    name = f"blup[{blocks[0].group}]"
    whole = len(blocks) == 1 and blocks[0].Z.shape[1] == 1 and bool((blocks[0].Z == 1).all())
    if not whole or "Intercept" not in design.design.labels or name not in fit.quantities:
        return None
    if fit.definition not in ("laplace", "agq:1"):
        return None
    modes, variance = fit[name], float(fit[f"random_cov[{blocks[0].group}]"][0, 0])
    if not np.isfinite(modes).all() or variance <= 0:
        return None
    _, second, third = _cumulants(design, fit["beta"], modes)
    A = 1 + variance * np.bincount(blocks[0].codes, second)
    score = modes.sum() / variance
    score -= variance / 2 * (np.bincount(blocks[0].codes, third) / A**2).sum()
    unit = np.sqrt(curvature)
    slack = MODE_TOLERANCE * float(np.sqrt(variance / A).sum()) / variance / unit
    return _checked(
        fit, SUM, float(abs(score)) / unit, float(np.sqrt(allowed)) + slack,
        f"the deviance is then within {allowed:.1g} of an optimum, and each mode as near as is let "
        "pass",
    )  # fmt: skip


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
