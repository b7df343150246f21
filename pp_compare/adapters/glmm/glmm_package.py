"""The PyPI package glmm: ``glmm.fit(data, "cbind(s, f) ~ x + (1 | g)", family="binomial")``."""

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
    FAILURES,
    RESPONSE,
    Table,
    effect_names,
    level_names,
    table_of,
)
from pp_compare.model.glmm import GlmmDesign

MOST_NODES = 25


def make(setting: str = "") -> GlmmPackage:
    """``glmm``, ``glmm:agq:k`` with an odd number of nodes."""
    return make_package("glmm", "glmm", setting, _answer, _limits, MOST_NODES)


def _limits(design: GlmmDesign, nodes: int) -> str | None:
    if nodes > 1 and nodes % 2 == 0:
        return "it takes an odd number of nodes"
    blocks = range(len(design.design.blocks))
    if any(name[:1] == "z" for at in blocks for name in effect_names(design, at)):
        return "a random slope of it is of a numeric fixed effect"
    return one_intercept(design, nodes)


def _answer(design: GlmmDesign, nodes: int) -> dict[str, Any]:
    import glmm  # noqa: PLC0415  # an optional extra

    table = table_of(design, proportions=False)
    left = RESPONSE
    if design.family == "binomial" and not design.binary:
        left = f"cbind({RESPONSE}, {FAILURES})"
    formula = f"{left} ~ {' + '.join([table.fixed, *table.bars])}"
    offset = design.offset if design.offset.any() else None
    start = time.perf_counter()
    found = glmm.fit(table.frame, formula, family=design.family, nagq=nodes, offset=offset)
    seconds = time.perf_counter() - start
    order = [found.names.index(name or "(Intercept)") for name in table.names]
    places = _places(design, table, found)
    return {
        "seconds": seconds,
        "converged": bool(found.converged),
        "singular": bool(found.singular),
        "quantities": glmm_quantities(
            design,
            beta=np.asarray(found.beta)[order],
            beta_cov=np.asarray(found.vcov)[np.ix_(order, order)],
            beta_se=np.asarray(found.se)[order],
            loglik=float(found.loglik),
            covariances=[_covariance(found.varcorr[k]) for k in places],
            effects=[_effects(design, found, at, k) for at, k in enumerate(places)],
        ),
    }


def _places(design: GlmmDesign, table: Table, found: Any) -> list[int]:
    """Where it keeps each of our blocks: by group and effects."""
    kept = [(group, list(terms)) for group, terms in found.re_groups]
    return [
        kept.index((f"g{at}", [name or "(Intercept)" for name in effect_names(design, at)]))
        for at, block in enumerate(design.design.blocks)
    ]


def _covariance(packed: Any) -> np.ndarray:
    """From its lower triangle, row by row."""
    q = int((2 * len(packed)) ** 0.5)
    lower = np.zeros((q, q))
    lower[np.tril_indices(q)] = packed
    return np.asarray(lower + np.tril(lower, -1).T)


def _effects(design: GlmmDesign, found: Any, at: int, place: int) -> np.ndarray:
    block, kept = design.design.blocks[at], found.ranef_blocks[place]
    levels = list(kept["levels"])
    values = np.asarray(kept["values"], float).reshape(len(levels), -1)
    return values[[levels.index(name) for name in level_names(block)]]
