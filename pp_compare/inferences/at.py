"""Any criterion at anybody's numbers, with an enclosure: what settles a dispute.

The criteria of a linear model are ``reml`` and ``ml``, those of a generalised one ``exact``,
``laplace`` and ``agq:k``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pp_compare.certified.glmm.model import GlmmModel
from pp_compare.certified.value import lmm_loglik
from pp_compare.errors import InputError, quoted
from pp_compare.model.design import Design
from pp_compare.model.glmm import GlmmDesign


@dataclass(frozen=True)
class Value:
    """A criterion at given numbers.

    Parameters
    ----------
    definition : str
    digits : str
        The log-likelihood, as many digits as are certain, thirty at most.
    lower, upper : float
        Doubles that enclose it.
    below : float
        How far it is below the certified maximum; nan where none is known.
    best : str
        The certified maximum, to thirty digits.
    """

    definition: str
    digits: str
    lower: float
    upper: float
    below: float
    best: str


def glmm_value(
    design: GlmmDesign,
    definition: str,
    beta: Sequence[float],
    sds: Mapping[str, Sequence[float]],
    correlations: Mapping[str, Sequence[float]] | None = None,
    *,
    against_best: bool = True,
) -> Value:
    """The log-likelihood of a generalised model at given numbers.

    Parameters
    ----------
    design : GlmmDesign
    definition : str
        ``exact``, ``laplace`` or ``agq:k``.
    beta : sequence of float
        In the order of the columns of the fixed part.
    sds : mapping of str to sequence of float
        Random standard deviations by grouping factor.
    correlations : mapping of str to sequence of float, optional
        Lower triangle row by row; 0 where nothing is said.
    against_best : bool
        Whether to prove the maximum, too.

    Raises
    ------
    InputError
        For numbers that are too few or too many, not finite, or no covariance; a definition that is
        not worked out for the model.
    """
    model = GlmmModel(design)
    covariances = covariances_of(design.design, sds, correlations or {})
    fixed = _beta(design.design, beta)
    found = model.value(definition, fixed, covariances)
    if not (math.isfinite(found.lower) and math.isfinite(found.upper)):
        raise InputError("the criterion cannot be enclosed at these numbers")
    below, best = math.nan, ""
    if against_best:
        answer = model.optimum(definition)
        if answer.found and answer.claim != "none":
            best = answer.digits["loglik"]
            below = float(answer.quantities["loglik"].values) - found.middle
    return Value(definition, found.digits, found.lower, found.upper, below, best)


def lmm_value(
    design: Design,
    sigma: float,
    sds: Mapping[str, Sequence[float]],
    correlations: Mapping[str, Sequence[float]] | None = None,
    beta: Sequence[float] | None = None,
) -> Value:
    """The REML or ML log-likelihood of a linear model at given variances.

    Parameters
    ----------
    sigma : float
        Residual standard deviation.
    beta : sequence of float, optional
        Under ML; those that are best for the variances by default. REML has none.

    Raises
    ------
    InputError
        As `glmm_value`; for fixed effects under REML.
    """
    covariances = covariances_of(design, sds, correlations or {})
    fixed = None if beta is None else _beta(design, beta)
    digits, lower, upper = lmm_loglik(design, sigma, covariances, fixed)
    definition = "reml" if design.spec.method == "REML" else "ml"
    return Value(definition, digits, lower, upper, math.nan, "")


def _beta(design: Design, beta: Sequence[float]) -> np.ndarray:
    if len(beta) != len(design.labels):
        raise InputError(
            f"{len(beta)} fixed effects for the {len(design.labels)} of the model, in this order: "
            f"{', '.join(design.labels)}"
        )
    found = np.array(beta, dtype=float)
    if not np.isfinite(found).all():
        raise InputError("a fixed effect is not finite")
    return found


def covariances_of(
    design: Design,
    sds: Mapping[str, Sequence[float]],
    correlations: Mapping[str, Sequence[float]],
) -> dict[str, np.ndarray]:
    """Covariances from standard deviations and correlations, by grouping factor.

    Raises
    ------
    InputError
        For a group that the model does not have, or lacks; too few or too many; a negative standard
        deviation; correlations of no covariance, or between independent effects.
    """
    for name in (*sds, *correlations):
        if name not in design.group_levels:
            known = ", ".join(design.group_levels)
            raise InputError(f"no grouping factor {quoted(name)}; the model has: {known}")
    return {
        group: _covariance(design, group, sds.get(group, ()), correlations.get(group, ()))
        for group in design.group_levels
    }


def _covariance(
    design: Design, group: str, sds: Sequence[float], correlations: Sequence[float]
) -> np.ndarray:
    labels = design.random_labels(group)
    q = len(labels)
    if len(sds) != q:
        raise InputError(
            f"'{group}' has {q} random effects ({', '.join(labels)}), and {len(sds)} standard "
            "deviations were given"
        )
    if not all(math.isfinite(s) and s >= 0 for s in sds):
        raise InputError(f"a standard deviation of '{group}' is negative or not finite")
    if len(correlations) not in (0, q * (q - 1) // 2):
        raise InputError(
            f"'{group}' has {q * (q - 1) // 2} correlations, row by row below the diagonal, and "
            f"{len(correlations)} were given"
        )
    R = np.eye(q)
    below = np.tril_indices(q, -1)  # row by row
    if correlations:
        R[below] = R.T[below] = correlations
    # A correlation matrix whose least eigenvalue is a rounding below 0 is singular, not wrong.
    if not np.isfinite(R).all() or np.linalg.eigvalsh(R)[0] < -1e-12:
        raise InputError(f"the correlations of '{group}' are those of no covariance matrix")
    cov = np.asarray(R * np.outer(sds, sds))
    kept = _within_terms(design, group)
    if (cov[~kept] != 0).any():
        raise InputError(f"effects of '{group}' in different terms are independent: correlation 0")
    return cov


def _within_terms(design: Design, group: str) -> np.ndarray:
    term = [k for k, b in enumerate(design.blocks) if b.group == group for _ in b.labels]
    return np.equal.outer(term, term)
