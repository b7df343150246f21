"""statsmodels' BinomialBayesMixedGLM and PoissonBayesMixedGLM: posteriors, not likelihoods.

Both put normal priors on the fixed effects (standard deviation 2) and on the logarithms of the
random standard deviations (1). ``vb`` is the mean of a normal approximation found by variational
Bayes, ``map`` the mode of the joint posterior of parameters and effects. Neither maximises the
likelihood, so nothing of it can be held against an optimum but the distance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

from pp_compare.engines import engine_id
from pp_compare.errors import InputError, quoted
from pp_compare.model import Fit
from pp_compare.model.answer import labelled
from pp_compare.model.glmm import GlmmDesign

SETTINGS = ("vb", "map")
SEED = 0
"""Both start where a generator says."""


@dataclass(frozen=True)
class StatsmodelsBayes:
    """One of the two posteriors, with statsmodels' own priors."""

    name: str
    definition: str
    settings: Mapping[str, str] = field(default_factory=dict)

    def unsupported(self, design: GlmmDesign) -> str | None:
        """Why statsmodels cannot express the model; None where it can."""
        if design.family == "binomial" and not design.binary:
            return "BinomialBayesMixedGLM takes 0 and 1; write a row for each trial"
        if design.design.offset is not None:
            return "its Bayesian mixed models take no offset"
        if any(len(block.columns) > 1 for block in design.design.blocks):
            return "its random effects are independent; correlated ones have no place"
        return None

    def fit(self, design: GlmmDesign) -> Fit:
        """Fit the model; what statsmodels raises becomes a Fit with status ``"error"``."""
        package = import_module("pp_compare.engines.glmm.bayes_mixed")
        return self.read(design, package.fit(self.request(design)), package.about())

    def request(self, design: GlmmDesign) -> dict[str, Any]:
        """What ``fit`` of `pp_compare.engines.glmm.bayes_mixed` is given."""
        return {
            "family": design.family,
            "fit": self.definition,
            "seed": SEED,
            "y": design.y.astype(float),
            "X": design.design.X,
            "blocks": [
                {"codes": block.codes, "levels": len(block.levels), "column": block.Z[:, 0]}
                for block in design.design.blocks
            ],
        }

    def read(self, design: GlmmDesign, answer: dict[str, Any], versions: Mapping[str, str]) -> Fit:
        """The Fit of what it answered."""
        if answer["status"] != "ok":
            messages = (f"raised {answer['problem']}", *answer["warnings"])
            return Fit(self.name, "error", messages=messages, versions=dict(versions))
        return Fit(
            self.name,
            "ok",
            labelled(design.design, _values(design, answer)),
            messages=tuple(answer["warnings"]),
            settings=self.settings,
            versions=dict(versions),
            seconds=float(answer["seconds"]),
            definition=self.definition,
            not_given={"loglik": "a posterior has no maximised likelihood"},
        )


def _values(design: GlmmDesign, answer: Mapping[str, Any]) -> dict[str, np.ndarray]:
    inner = design.design
    found = {"beta": np.asarray(answer["beta"]), "beta_se": np.asarray(answer["beta_se"])}
    effects, at = np.asarray(answer["modes"]), 0
    of_group: dict[str, list[float]] = {group: [] for group in inner.group_levels}
    modes: dict[str, list[np.ndarray]] = {group: [] for group in inner.group_levels}
    for block, sd in zip(inner.blocks, np.asarray(answer["sd"]).tolist(), strict=True):
        of_group[block.group].append(sd)
        modes[block.group].append(effects[at : at + len(block.levels)])
        at += len(block.levels)
    for group, deviations in of_group.items():
        found[f"random_cov[{group}]"] = np.diag(np.square(deviations))
        found[f"blup[{group}]"] = np.column_stack(modes[group])
    return found


def make(setting: str | None) -> StatsmodelsBayes:
    """``statsmodels:vb`` or ``statsmodels:map``.

    Raises
    ------
    InputError
        For another setting, and for none: there is no maximum likelihood among them.
    """
    if setting is None or setting not in SETTINGS:
        raise InputError(
            f"statsmodels has no maximum likelihood for generalised mixed models, and no setting "
            f"{quoted(setting or '')}; there are: statsmodels:vb, statsmodels:map"
        )
    return StatsmodelsBayes(engine_id("statsmodels", setting), setting)
