"""What an engine answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from pp_compare.model.quantity import Quantity

Status = Literal["ok", "error", "unsupported"]
OUT_OF_TIME = "stopped after"
"""Begins the reason of a fit that was stopped at its time limit."""


@dataclass(frozen=True, eq=False)
class Fit:
    """What an engine answered to one model on one data set.

    Parameters
    ----------
    engine : str
        Engine id, with its setting: ``statsmodels:lbfgs``.
    status : {"ok", "error", "unsupported"}
    quantities : mapping of str to Quantity
        By name; empty unless `status` is ``"ok"``.
    converged : bool or None
        What the engine says of itself; None where it does not say.
    singular : bool or None
        Whether the random-effects covariance is on the boundary, by the engine's own word.
    messages : tuple of str
        Its warnings and messages, or the reason for an error, in its own words.
    settings : mapping of str to str
        What was asked of it beyond its defaults.
    versions : mapping of str to str
        Of the packages that did the work.
    seconds : float
        Wall time inside the engine's own public functions.
    design_error : float or None
        Largest difference between the engine's own response and model matrix, aligned by label,
        and ours; nan where their labels differ; None where the engine has none of its own.
    estimator : str
        What the engine solves where that is not the (restricted) maximum of the likelihood, as in
        "Swamy-Arora's moments"; its estimates are then another definition, not another optimum.
    definition : str
        Id of the criterion, where a model has several: ``exact``, ``laplace``, ``agq:k``, ``pql``,
        ``vb``, ``map``.
    not_given : mapping of str to str
        Kinds of quantities (``blup``) that the engine has no answer for, with the reason.
    extra : mapping
        What only this engine knows (certified: the local optima and what is proved).
    """

    engine: str
    status: Status
    quantities: Mapping[str, Quantity] = field(default_factory=dict)
    converged: bool | None = None
    singular: bool | None = None
    messages: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    design_error: float | None = None
    estimator: str = ""
    definition: str = ""
    not_given: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, object] = field(default_factory=dict)

    def __getitem__(self, name: str) -> np.ndarray:
        """Values of the quantity `name`; KeyError where the engine did not give it."""
        return self.quantities[name].values

    @property
    def covariances(self) -> dict[str, np.ndarray]:
        """Covariance of the random effects, shape (q, q), by grouping factor."""
        found = {n.partition("["): q.values for n, q in self.quantities.items()}
        return {group[:-1]: cov for (kind, _, group), cov in found.items() if kind == "random_cov"}

    @property
    def out_of_time(self) -> bool:
        """Whether it was stopped at the time limit of a fit, which is ours, not the engine's."""
        return self.status == "error" and self.messages[0].startswith(OUT_OF_TIME)

    @classmethod
    def failed(cls, engine: str, reason: str, **fields: object) -> Fit:
        """A Fit for an engine that raised, crashed or ran out of time."""
        return cls(engine, "error", messages=(reason,), **fields)  # type: ignore[arg-type]  # fields are Fit's own, by name

    @classmethod
    def unsupported(cls, engine: str, reason: str) -> Fit:
        """A Fit for an engine that cannot express the model, with the reason."""
        return cls(engine, "unsupported", messages=(reason,))
