"""The log-likelihood of a linear mixed model at anybody's numbers, enclosed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from flint import arb, arb_mat, ctx

from pp_compare.certified.components.blocks import RandomBlock
from pp_compare.certified.general.estimates import deviance_at_variances, gls_at
from pp_compare.errors import InputError
from pp_compare.model.design import Design

BITS = 256
DIGITS = 30


def lmm_loglik(
    design: Design,
    sigma: float,
    covariances: Mapping[str, np.ndarray],
    beta: np.ndarray | None = None,
) -> tuple[str, float, float]:
    """The REML or ML log-likelihood at given variances, with every constant.

    Parameters
    ----------
    design : Design
    sigma : float
        Residual standard deviation.
    covariances : mapping of str to (q, q) array
        Of the random effects, by grouping factor.
    beta : (p,) array, optional
        Under ML; the best ones for the variances by default.

    Returns
    -------
    str, float, float
        Its certain digits, at most 30, and doubles below and above.

    Raises
    ------
    InputError
        For fixed effects under REML, or a residual standard deviation that is not positive.
    """
    if not (np.isfinite(sigma) and sigma > 0):
        raise InputError(f"the residual standard deviation is {sigma:g}; it must be positive")
    reml = design.spec.method == "REML"
    if reml and beta is not None:
        raise InputError("the REML criterion has no fixed effects: it integrates them out")
    blocks = [RandomBlock(block.codes, block.Z) for block in design.blocks]
    parts = design.by_block(covariances)
    data = (design.y, design.X, blocks, sigma**2, parts)
    deviance = deviance_at_variances(*data, reml=reml, weights=design.weights, bits=BITS)
    with ctx.workprec(BITS):
        if beta is not None:
            best = gls_at(*data, weights=design.weights, bits=BITS)
            move = arb_mat([[arb(float(b))] for b in beta]) - best.beta
            deviance += (move.transpose() * best.beta_cov.solve(move))[0, 0]
        loglik = -deviance / 2
        ends = float(loglik.lower()), float(loglik.upper())
    lower, upper = (
        float(np.nextafter(end, way)) for end, way in zip(ends, (-np.inf, np.inf), strict=True)
    )
    return str(loglik.str(DIGITS, radius=False)), lower, upper
