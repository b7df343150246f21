"""The PyPI package mixedlm: ``mixedlm.glmer("p ~ x + (1 | g)", data, Binomial(), weights=n)``."""

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
    TRIALS,
    effect_names,
    level_names,
    table_of,
)
from pp_compare.model.glmm import GlmmDesign

MOST_NODES = 100


def make(setting: str = "") -> GlmmPackage:
    """``mixedlm``, ``mixedlm:agq:k``."""
    return make_package("mixedlm", "mixedlm", setting, _answer, one_intercept, MOST_NODES)


def _answer(design: GlmmDesign, nodes: int) -> dict[str, Any]:
    import mixedlm  # noqa: PLC0415  # an optional extra

    table = table_of(design)
    binomial = design.family == "binomial"
    family = mixedlm.families.Binomial() if binomial else mixedlm.families.Poisson()
    more: dict[str, Any] = {"weights": TRIALS} if binomial and not design.binary else {}
    if design.offset.any():
        more["offset"] = design.offset
    formula = f"{RESPONSE} ~ {' + '.join([table.fixed, *table.bars])}"
    start = time.perf_counter()
    found = mixedlm.glmer(formula, table.frame, family=family, nAGQ=nodes, **more)
    beta, cov, effects = found.fixef(), np.asarray(found.vcov()), found.ranef()
    loglik = float(found.logLik())
    seconds = time.perf_counter() - start
    names = list(beta)
    order = [names.index(name or "(Intercept)") for name in table.names]
    return {
        "seconds": seconds,
        "converged": bool(found.converged),
        "singular": bool(found.isSingular()),
        "quantities": glmm_quantities(
            design,
            beta=np.array(list(beta.values()))[order],
            beta_cov=cov[np.ix_(order, order)],
            loglik=loglik,
            covariances=[np.asarray(group.cov) for group in found.VarCorr().groups.values()],
            effects=_effects(design, found, effects),
        ),
    }


def _effects(design: GlmmDesign, found: Any, effects: Any) -> list[np.ndarray]:
    parts = []
    structures = zip(design.design.blocks, found.matrices.random_structures, strict=True)
    for at, (block, structure) in enumerate(structures):
        rows = [structure.level_map[name] for name in level_names(block)]
        names = [name or "(Intercept)" for name in effect_names(design, at)]
        parts.append(np.column_stack([effects[f"g{at}"][name][rows] for name in names]))
    return parts
