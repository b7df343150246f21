"""Identities of the criterion and of the residual variance."""

from __future__ import annotations

import numpy as np

from pp_compare.identities.record import Identity, Residue
from pp_compare.identities.rounding import EPS, largest_number
from pp_compare.identities.workings import Workings


def _loglik(at: Workings) -> Residue:
    # Worst case for both sides: n residuals of size sigma, each off by eps max|y| in one direction;
    # and a quadratic form and determinants that are differences of terms 1 + rho sum z^2 larger.
    n, p = at.design.X.shape
    one_way = float(2 * n * EPS * largest_number(at.design) / np.float64(at.rounding.sigma))
    differences = (n / 2 + p) * at.rounding.relative
    tolerance = at.rounding.criterion + one_way + differences
    return Residue(abs(float(at.fit["loglik"]) - loglik(at)), tolerance)


def loglik(at: Workings) -> float:
    """The criterion at the engine's own estimates, with the constant of R's ``logLik()``."""
    n, p = at.design.X.shape
    R = at.triangle[:-1, :-1]
    if at.design.spec.method == "REML":
        penalty = 2 * float(np.log(np.abs(np.diag(R))).sum()) - p * np.log(at.sigma2)
        df, quadratic = n - p, at.quadratic
    else:
        # Under ML the fixed effects are parameters: the engine's own ones count.
        penalty, df = 0.0, n
        quadratic = at.quadratic + float(np.sum((R @ (at.fit["beta"] - at.gls_beta)) ** 2))
    constant = df * np.log(2 * np.pi) + n * np.log(at.sigma2)
    return float(-0.5 * (constant + at.logdet + penalty + quadratic / at.sigma2))


def _residual_variance(at: Workings) -> Residue:
    n, p = at.design.X.shape
    df = n - p if at.design.spec.method == "REML" else n
    wanted = float(np.sqrt(at.quadratic / df))
    sigma = float(at.fit["sigma"])
    # A norm of n residuals whose errors have the line's size, over sqrt(df), is off by as much.
    line = at.rounding.scaled_line
    return Residue(abs(sigma - wanted), line * np.sqrt(n / df) + at.rounding.relative * sigma)


CRITERION: tuple[Identity, ...] = (
    Identity(
        id="own-loglik",
        statement="log-likelihood = the REML or ML criterion at the engine's own estimates",
        source="Bates et al. 2015, J. Stat. Softw. 67(1), equations 34 and 40",
        reason="rounding: 2 n eps max|y| / sigma for the residuals, (n / 2 + p) (n + p) eps "
        "cond(X)^2 (1 + rho sum z^2) for what is subtracted, and the criterion's own",
        needs=("beta", "loglik", "random_cov", "sigma"),
        residue=_loglik,
        cause="objective",
    ),
    Identity(
        id="profiled-sigma",
        statement="residual variance = r'V^-1r sigma2 / (n - p) under REML, / n under ML",
        source="Bates et al. 2015, J. Stat. Softw. 67(1), equations 35 and 41: given the ratios, "
        "the best residual variance has a closed form, and all engines here use it",
        reason="rounding: (n + p) eps cond(X)^2 (1 + rho sum z^2) (sigma + max|y|)",
        needs=("random_cov", "sigma"),
        residue=_residual_variance,
        cause="optimiser",
    ),
)
