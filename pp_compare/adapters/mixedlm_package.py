"""The PyPI package mixedlm: ``mixedlm.lmer("y ~ x + (1 | g)", data, REML=True)``.

Not statsmodels' MixedLM. Its grammar is lme4's, so it takes every model that we do.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from pp_compare.adapters.answer import PackageEngine, require
from pp_compare.engines import Engine, engine_id, setting_of
from pp_compare.engines.alignment import design_error
from pp_compare.engines.formulas import bar, fixed_formula, grouped_frame
from pp_compare.model.answer import quantities
from pp_compare.model.design import Design
from pp_compare.model.matrices import Column

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "bobyqa": {"method": "bobyqa"},
    "nelder-mead": {"method": "Nelder-Mead"},
}
"""Keyword arguments of ``lmer``; the default optimiser is L-BFGS-B."""


def make(setting: str | None) -> Engine:
    """Engine factory: the default, or one of `SETTINGS`."""
    asked = setting_of("mixedlm", SETTINGS, setting, {})
    require("mixedlm", "mixedlm")
    return PackageEngine(
        engine_id("mixedlm", setting),
        {"mixedlm": "mixedlm"},
        partial(_answer, asked),
        settings=asked,
    )


def _answer(asked: Mapping[str, Any], design: Design) -> dict[str, Any]:
    import mixedlm  # noqa: PLC0415  # an optional extra

    formula = " + ".join([fixed_formula(design), *(bar(design, b) for b in design.blocks)])
    data = grouped_frame(design)
    start = time.perf_counter()
    result = mixedlm.lmer(formula, data, REML=design.spec.method == "REML", **asked)
    beta, cov, predicted = np.array(list(result.fixef().values())), result.vcov(), result.ranef()
    covariances = [group.cov for group in result.VarCorr().groups.values()]
    loglik, fitted = float(result.logLik()), result.fitted()
    seconds = time.perf_counter() - start
    names = list(result.matrices.fixed_names)
    order = [names.index(_their_label(design, column)) for column in design.columns]
    return {
        "seconds": seconds,
        "converged": bool(result.converged),
        "singular": bool(result.isSingular()),
        "design_error": _design_error(design, result.matrices),
        "quantities": quantities(
            design,
            beta=beta[order],
            beta_cov=cov[np.ix_(order, order)],
            beta_se=np.sqrt(np.diag(cov))[order],
            sigma=float(result.sigma),
            loglik=loglik,
            covariances=covariances,
            effects=_effects(design, result.matrices.random_structures, predicted),
            fitted=fitted,
        ),
    }


def _effects(design: Design, structures: Any, predicted: Any) -> list[np.ndarray]:
    """Predicted effects of each block: the package keeps blocks and effects in formula order."""
    found = []
    for block, structure in zip(design.blocks, structures, strict=True):
        effects = predicted[structure.grouping_factor]
        rows = [structure.level_map[level] for level in block.levels]
        found.append(np.column_stack([effects[term][rows] for term in structure.term_names]))
    return found


def _their_label(design: Design, column: Column) -> str:
    """``(Intercept)``, ``x``, and for a level its number: ``predictor.1`` is the first contrast."""
    parts = []
    for factor in column.factors:
        name = design.alias(factor.variable)
        levels = design.variables[factor.variable].levels
        if factor.level is not None and levels is not None:
            name += f".{levels.index(factor.level) + (0 if factor.reduced else 1)}"
        parts.append(name)
    return ":".join(parts) or "(Intercept)"


def _design_error(design: Design, matrices: Any) -> float:
    ours = {_their_label(design, column): column.label for column in design.columns}
    labels = [ours.get(name, name) for name in matrices.fixed_names]
    return design_error(design, labels, matrices.X, matrices.y)
