"""statsmodels' BinomialBayesMixedGLM and PoissonBayesMixedGLM: posteriors, not likelihoods.

Both put normal priors on the fixed effects (standard deviation 2) and on the logarithms of the
random standard deviations (1). ``vb`` is the mean of a normal approximation found by variational
Bayes, ``map`` the mode of the joint posterior of parameters and effects. Neither maximises the
likelihood, so nothing of it can be held against an optimum but the distance.
"""

from __future__ import annotations

import inspect
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from pp_compare.engines import engine_id
from pp_compare.errors import InputError, quoted
from pp_compare.model import Fit
from pp_compare.model.answer import labelled
from pp_compare.model.glmm import GlmmDesign

SETTINGS = ("vb", "map")
SEED = 0
"""Both start where a generator says: its own since statsmodels 0.15, before that numpy's global."""


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
        package = import_module("statsmodels.genmod.bayes_mixed_glm")
        kind = "BinomialBayesMixedGLM" if design.family == "binomial" else "PoissonBayesMixedGLM"
        columns, ident = _columns(design)
        began = time.perf_counter()
        state = np.random.get_state()  # noqa: NPY002  # what statsmodels draws from
        np.random.seed(SEED)  # noqa: NPY002
        try:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                model = getattr(package, kind)(
                    design.y.astype(float), design.design.X, columns, ident
                )
                fit = model.fit_vb if self.definition == "vb" else model.fit_map
                takes = inspect.signature(fit).parameters
                result = fit(rng=SEED) if "rng" in takes else fit()
        except Exception as error:  # statsmodels raises whatever numpy and scipy do
            return Fit.failed(self.name, f"raised {type(error).__name__}: {error}")
        finally:
            np.random.set_state(state)  # noqa: NPY002
        seconds = time.perf_counter() - began
        return Fit(
            self.name,
            "ok",
            labelled(design.design, _values(design, result)),
            messages=tuple(dict.fromkeys(str(one.message) for one in said)),
            settings=self.settings,
            versions={"statsmodels": version("statsmodels")},
            seconds=seconds,
            definition=self.definition,
            not_given={"loglik": "a posterior has no maximised likelihood"},
        )


def _columns(design: GlmmDesign) -> tuple[Any, np.ndarray]:
    """One indicator column a level of each term, times the term's own column; and their terms."""
    n = design.design.n_obs
    parts, ident = [], []
    for k, block in enumerate(design.design.blocks):
        values = block.Z[:, 0]
        parts.append(
            csr_matrix((values, (np.arange(n), block.codes)), shape=(n, len(block.levels)))
        )
        ident += [k] * len(block.levels)
    hstack = import_module("scipy.sparse").hstack
    return hstack(parts).tocsr(), np.array(ident)


def _values(design: GlmmDesign, result: Any) -> dict[str, np.ndarray]:
    inner = design.design
    sd = np.exp(np.asarray(result.vcp_mean))
    found = {"beta": np.asarray(result.fe_mean), "beta_se": np.asarray(result.fe_sd)}
    effects, at = np.asarray(result.vc_mean), 0
    of_group: dict[str, list[float]] = {group: [] for group in inner.group_levels}
    modes: dict[str, list[np.ndarray]] = {group: [] for group in inner.group_levels}
    for k, block in enumerate(inner.blocks):
        of_group[block.group].append(float(sd[k]))
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
