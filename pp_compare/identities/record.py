"""The records of identities: the claim, how far it is from holding, and the outcome on one Fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pp_compare.identities.workings import Workings
from pp_compare.model.design import Design


@dataclass(frozen=True)
class Residue:
    """How far an identity is from holding, and how far rounding alone may take it (same unit)."""

    error: float
    tolerance: float


def largest(values: np.ndarray) -> float:
    """The largest absolute value; 0 of none."""
    return float(np.abs(values).max(initial=0.0))


def every_model(design: Design) -> bool:
    """True."""
    del design
    return True


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
    residue : callable
        Error and tolerance on a Fit, from the Workings at its estimates.
    applies : callable
        Whether the identity is claimed for a model.
    unweighted : str
        Why it is not claimed for a model with prior weights; empty where it is.
    cause : str
        The cause (`pp_compare.verdict.agreement.Cause`) of a failure.
    """

    id: str
    statement: str
    source: str
    reason: str
    needs: tuple[str, ...]
    residue: Callable[[Workings], Residue]
    applies: Callable[[Design], bool] = every_model
    unweighted: str = ""
    cause: Literal["post-processing", "objective", "optimiser"] = "post-processing"


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
