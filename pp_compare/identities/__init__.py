"""What one Fit must satisfy by algebra, at the engine's own estimates.

No optimiser enters: an identity holds wherever the engine stopped. What remains is rounding, and
each tolerance is a bound on it. An identity that fails says that the engine's numbers do not belong
together; it says nothing about another engine (parity) or about the optimum (truth).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pp_compare.design import Design
from pp_compare.model import Fit
from pp_compare.rounding import Rounding, rounding_at


@dataclass(frozen=True)
class Residue:
    """How far an identity is from holding, and how far rounding alone may take it (same unit)."""

    error: float
    tolerance: float


@dataclass(frozen=True)
class Identity:
    """One identity.

    Parameters
    ----------
    id : str
    statement : str
        The identity, in one line.
    source : str
        Where it is proved.
    reason : str
        Why its tolerance is what it is, in one line.
    needs : tuple of str
        Kinds of quantities it is made of; it cannot be checked on a Fit without them.
    applies : callable
        Whether the identity is claimed for a model.
    residue : callable
        Error and tolerance on a Fit.
    """

    id: str
    statement: str
    source: str
    reason: str
    needs: tuple[str, ...]
    applies: Callable[[Design], bool]
    residue: Callable[[Design, Fit], Residue]


@dataclass(frozen=True)
class IdentityCheck:
    """Outcome of one identity on one Fit."""

    engine: str
    identity: str
    error: float
    tolerance: float
    verdict: Literal["pass", "fail", "known", "skip"]
    reason: str
    deviation: str | None = None


def check_identities(design: Design, fit: Fit) -> list[IdentityCheck]:
    """Check every identity that applies to the model on one Fit with status ``"ok"``."""
    return [_check(identity, design, fit) for identity in IDENTITIES if identity.applies(design)]


def _check(identity: Identity, design: Design, fit: Fit) -> IdentityCheck:
    kinds = {name.partition("[")[0] for name in fit.quantities}
    missing = [need for need in identity.needs if need not in kinds]
    if missing:
        reason = f"{fit.engine} did not give {', '.join(missing)}"
        return IdentityCheck(fit.engine, identity.id, np.nan, np.nan, "skip", reason)
    residue = identity.residue(design, fit)
    # Written so that a NaN fails, and an engine whose variances leave no bound on rounding.
    holds = residue.error <= residue.tolerance < np.inf
    verdict: Literal["pass", "fail"] = "pass" if holds else "fail"
    return IdentityCheck(
        fit.engine, identity.id, residue.error, residue.tolerance, verdict, identity.reason
    )


def has_cluster_level_design(design: Design) -> bool:
    """One random intercept, and every column of X constant within its clusters."""
    if not design.spec.is_random_intercept:
        return False
    block = design.blocks[0]
    first = np.unique(block.codes, return_index=True)[1]
    return bool((design.X[first][block.codes] == design.X).all())


def cluster_level_design(design: Design) -> np.ndarray:
    """One row of X for each cluster, (m, p), where X is constant within clusters."""
    return design.X[np.unique(design.blocks[0].codes, return_index=True)[1]]


def _ols_on_predicted_means(design: Design, fit: Fit) -> Residue:
    W = cluster_level_design(design)
    means = fit[f"cluster_mean[{design.blocks[0].group}]"]
    ols = np.linalg.lstsq(W, means, rcond=None)[0]
    with np.errstate(invalid="ignore"):
        error = float(np.abs(W @ (ols - fit["beta"])).max())
    # The least squares fit on the means has a condition of its own.
    condition = float(np.linalg.cond(W / np.linalg.norm(W, axis=0)))
    return Residue(error, _own_rounding(design, fit).line * condition)


def _own_rounding(design: Design, fit: Fit) -> Rounding:
    """Rounding bounds at the engine's own variances."""
    covariances = {g: fit[f"random_cov[{g}]"] for g in design.group_levels}
    return rounding_at(design, float(fit["sigma"]), covariances)


IDENTITIES: tuple[Identity, ...] = (
    Identity(
        id="ols-on-predicted-means",
        statement="fixed effects = ordinary least squares on the predicted cluster means",
        source="normal equations of beta and of u: sum_j w_j u_j = 0 for each cluster-level column",
        reason="rounding: (n + p) eps cond(X)^2 (1 + n_j rho) max|y| cond(W)",
        needs=("beta", "cluster_mean", "random_cov", "sigma"),
        applies=has_cluster_level_design,
        residue=_ols_on_predicted_means,
    ),
)
