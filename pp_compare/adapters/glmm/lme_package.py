"""lme-python: ``lme_python.glmer("y ~ x + (1 | g)", data, "binomial", n_agq=1)``."""

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
    """``lme_python``, ``lme_python:agq:k``."""
    return make_package("lme_python", "lme-python", setting, _answer, _limits, MOST_NODES)


def _limits(design: GlmmDesign, nodes: int) -> str | None:
    if design.offset.any():
        return "its glmer takes no offset"
    return one_intercept(design, nodes)


def _answer(design: GlmmDesign, nodes: int) -> dict[str, Any]:
    import lme_python  # noqa: PLC0415  # an optional extra

    table = table_of(design)
    formula = f"{RESPONSE} ~ {' + '.join([table.fixed, *table.bars])}"
    start = time.perf_counter()
    if design.binary or design.family == "poisson":
        found = lme_python.glmer(formula, table.frame, design.family, nodes)
    else:
        weights = design.trials.astype(float)
        found = lme_python.glmer_weighted(formula, table.frame, design.family, nodes, weights)
    seconds = time.perf_counter() - start
    names, blocks = list(found.fixed_names), range(len(design.design.blocks))
    order = [names.index(name or "(Intercept)") for name in table.names]
    return {
        "seconds": seconds,
        "converged": bool(found.converged),
        "quantities": glmm_quantities(
            design,
            beta=np.array(found.coefficients)[order],
            beta_cov=np.array(found.v_beta_unscaled)[np.ix_(order, order)],
            beta_se=np.array(found.std_errors)[order],
            loglik=float(found.log_likelihood),
            covariances=[
                _covariance(design, at, found) for at, _ in enumerate(design.design.blocks)
            ],
            effects=[_effects(design, at, found) for at in blocks],
        ),
    }


def _covariance(design: GlmmDesign, at: int, found: Any) -> np.ndarray:
    names = [name or "(Intercept)" for name in effect_names(design, at)]
    matrix = np.zeros((len(names), len(names)))
    for group, one, other, value, _ in found.var_corr:
        if group == f"g{at}":
            i, j = names.index(one), names.index(other or one)
            matrix[i, j] = matrix[j, i] = value
    return matrix


def _effects(design: GlmmDesign, at: int, found: Any) -> np.ndarray:
    values = {(level, effect): v for group, level, effect, v in found.ranef if group == f"g{at}"}
    names = [name or "(Intercept)" for name in effect_names(design, at)]
    return np.array(
        [[values[level, name] for name in names] for level in level_names(design.design.blocks[at])]
    )
