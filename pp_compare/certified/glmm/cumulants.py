"""The cumulant function of each family at a linear predictor, with four derivatives, in balls."""

from __future__ import annotations

from flint import arb

from pp_compare.certified.glmm.data import Family


def cumulants(family: Family, eta: arb) -> tuple[arb, arb, arb, arb, arb]:
    """log(1 + e^eta), or e^eta, and its first four derivatives.

    The first two of these are mean and variance of one trial, or of a count.
    """
    if family == "poisson":
        mean = eta.exp()
        return mean, mean, mean, mean, mean
    # The smaller of p and q is the one that keeps its digits.
    flipped = eta.mid() > 0
    odds = (-eta if flipped else eta).exp()
    small = odds / (1 + odds)
    large = 1 / (1 + odds)
    p, q = (large, small) if flipped else (small, large)
    variance = small * large
    log = odds.log1p() + (eta if flipped else arb(0))
    return log, p, variance, variance * (q - p), variance * (1 - 6 * variance)
