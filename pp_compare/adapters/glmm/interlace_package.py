"""interlace-lme: ``interlace.glmer("y ~ x", data, "binomial", random=["(1 | g)"])``."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from pp_compare.adapters.glmm.engine import (
    GlmmPackage,
    glmm_quantities,
    make_package,
    one_intercept,
)
from pp_compare.adapters.glmm.table import (
    RESPONSE,
    effect_names,
    level_names,
    table_of,
)
from pp_compare.model.glmm import GlmmDesign

MOST_NODES = 100


def make(setting: str = "") -> GlmmPackage:
    """``interlace``, ``interlace:agq:k``."""
    return make_package("interlace", "interlace-lme", setting, _answer, _limits, MOST_NODES)


def _limits(design: GlmmDesign, nodes: int) -> str | None:
    groups = [block.group for block in design.design.blocks]
    if len(set(groups)) < len(groups):
        return "it keeps one random term a grouping factor"
    return one_intercept(design, nodes)


def _answer(design: GlmmDesign, nodes: int) -> dict[str, Any]:
    import interlace  # noqa: PLC0415  # an optional extra

    table = table_of(design)
    trials = design.trials.astype(float)
    start = time.perf_counter()
    found = interlace.glmer(
        f"{RESPONSE} ~ {table.fixed}",
        table.frame,
        family=design.family,
        random=list(table.bars),
        weights=trials if design.family == "binomial" and not design.binary else None,
        nAGQ=nodes,
        offset=design.offset if design.offset.any() else None,
    )
    seconds = time.perf_counter() - start
    names = [name or "Intercept" for name in table.names]
    return {
        "seconds": seconds,
        "converged": bool(found.converged),
        "not_given": {"beta_cov": "interlace's glmer gives standard errors, and no covariances"},
        "quantities": glmm_quantities(
            design,
            beta=found.fe_params[names].to_numpy(),
            beta_se=found.fe_bse[names].to_numpy(),
            loglik=float(found.llf),
            covariances=_covariances(design, found),
            effects=[_effects(design, at, found) for at in range(len(design.design.blocks))],
        ),
    }


def _covariances(design: GlmmDesign, found: Any) -> list[np.ndarray]:
    """From its factors, block after block: of correlated effects it tells one variance alone."""
    parts, at = [], 0
    for block in design.design.blocks:
        q = block.Z.shape[1]
        factor = np.zeros((q, q))
        # Column by column, as in lme4's theta.
        places = [(i, j) for j in range(q) for i in range(j, q)]
        for k, (i, j) in enumerate(places):
            factor[i, j] = found.theta[at + k]
        at += len(places)
        parts.append(factor @ factor.T)
    return parts


def _effects(design: GlmmDesign, at: int, found: Any) -> np.ndarray:
    kept = found.random_effects[f"g{at}"].loc[level_names(design.design.blocks[at])]
    if kept.ndim == 1:
        return np.asarray(kept)[:, None]
    names = [name or "(Intercept)" for name in effect_names(design, at)]
    return np.asarray(kept[names])
