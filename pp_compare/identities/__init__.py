"""What one Fit must satisfy by algebra, at the engine's own estimates.

No optimiser enters: an identity holds wherever the engine stopped. What remains is rounding, and
each tolerance is a bound on it. An identity that fails says that the engine's numbers do not belong
together; it says nothing about another engine (parity) or about the optimum (truth).
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from pp_compare.identities.criterion import CRITERION
from pp_compare.identities.fixed_effects import (
    FIXED_EFFECTS,
    OLS_ON_PREDICTED_MEANS,
    cluster_level_design,
    has_cluster_level_design,
)
from pp_compare.identities.parts import TooLargeError
from pp_compare.identities.random_effects import RANDOM_EFFECTS
from pp_compare.identities.record import Identity, IdentityCheck, Residue
from pp_compare.identities.workings import Workings
from pp_compare.model import Fit
from pp_compare.model.design import Design

IDENTITIES: tuple[Identity, ...] = (*FIXED_EFFECTS, *RANDOM_EFFECTS, *CRITERION)
"""All identities; ids are unique."""


def check_identities(design: Design, fit: Fit) -> list[IdentityCheck]:
    """Check every identity that applies to the model on one Fit with status ``"ok"``."""
    at = Workings(design, fit)
    return [_check(identity, at) for identity in IDENTITIES if identity.applies(design)]


def check_identity(identity: Identity, design: Design, fit: Fit) -> IdentityCheck:
    """Check one identity that applies to the model on one Fit with status ``"ok"``."""
    return _check(identity, Workings(design, fit))


def _check(identity: Identity, at: Workings) -> IdentityCheck:
    engine = at.fit.engine
    kinds = {name.partition("[")[0] for name in at.fit.quantities}
    missing = [need for need in identity.needs if need not in kinds]
    if missing:
        return _skipped(engine, identity, f"{engine} did not give {', '.join(missing)}")
    if identity.unweighted and at.design.weights is not None:
        return _skipped(engine, identity, identity.unweighted)
    try:
        with np.errstate(all="ignore"):
            residue = identity.residue(at)
    except TooLargeError:
        return _skipped(engine, identity, "the model is too large for dense matrices")
    except (np.linalg.LinAlgError, ArithmeticError):
        # Estimates that are not finite, a residual variance of 0, or variances of no covariance
        # matrix: nothing holds there.
        residue = Residue(np.nan, np.nan)
    # Written so that a NaN fails, and an engine whose variances leave no bound on rounding.
    holds = residue.error <= residue.tolerance < np.inf
    verdict: Literal["pass", "fail"] = "pass" if holds else "fail"
    return IdentityCheck(
        engine, identity.id, residue.error, residue.tolerance, verdict, identity.reason
    )


def _skipped(engine: str, identity: Identity, reason: str) -> IdentityCheck:
    return IdentityCheck(engine, identity.id, np.nan, np.nan, "skip", reason)


__all__ = [
    "IDENTITIES",
    "OLS_ON_PREDICTED_MEANS",
    "Identity",
    "IdentityCheck",
    "Residue",
    "check_identities",
    "check_identity",
    "cluster_level_design",
    "has_cluster_level_design",
]
