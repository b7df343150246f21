"""interlace-lme: ``interlace.fit("y ~ x", data, random=["(1 | g)"], method="REML")``.

Its random slopes are columns of the data, and it keeps one random term a grouping factor:
``(1 | g) + (0 + x | g)`` is asked for as ``(1 + x || g)``.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from pp_compare.adapters.answer import PackageEngine, require
from pp_compare.engines import Engine
from pp_compare.engines.alignment import design_error
from pp_compare.engines.formulas import fixed_formula, formulaic_label, group_alias, grouped_frame
from pp_compare.model.answer import quantities
from pp_compare.model.design import Block, Design


def make() -> Engine:
    """Engine factory (of its settings, ``bobyqa`` needs one more package)."""
    require("interlace", "interlace-lme")
    return PackageEngine("interlace", {"interlace": "interlace-lme"}, _answer, _unsupported)


def _unsupported(design: Design) -> str | None:
    """Random slopes in factors or products, and several wide terms of one grouping factor."""
    for block in design.blocks:
        if any(not _is_plain(design, term) for term in block.term.terms):
            return "random slopes are numeric columns of the data, not factors or products"
    for group in design.group_levels:
        own = _blocks(design, group)
        if len(own) > 1 and any(len(block.columns) > 1 for block in own):
            return f"it keeps one random term a grouping factor, and '{group}' has {len(own)}"
    return None


def _is_plain(design: Design, term: tuple[str, ...]) -> bool:
    return len(term) == 1 and design.variables[term[0]].levels is None


def _blocks(design: Design, group: str) -> list[Block]:
    return [block for block in design.blocks if block.group == group]


def _term(design: Design, group: str) -> str:
    """``(1 + x | g)``, or ``(1 + x || g)`` where the group's blocks are independent."""
    own = _blocks(design, group)
    effects = [design.alias(term[0]) for block in own for term in block.term.terms]
    first = "1" if any(block.term.intercept for block in own) else "0"
    pipe = "|" if len(own) == 1 else "||"
    return f"({' + '.join([first, *effects])} {pipe} {group_alias(design, own[0])})"


def _answer(design: Design) -> dict[str, Any]:
    import interlace  # noqa: PLC0415  # an optional extra

    formula, data = fixed_formula(design), grouped_frame(design)
    random = [_term(design, group) for group in design.group_levels]
    start = time.perf_counter()
    result = interlace.fit(formula, data, random=random, method=design.spec.method)
    seconds = time.perf_counter() - start
    names = list(result.fe_params.index)
    order = [names.index(formulaic_label(design, column)) for column in design.columns]
    ours = {formulaic_label(design, column): column.label for column in design.columns}
    labels = [ours.get(name, name) for name in names]
    return {
        "seconds": seconds,
        "converged": bool(result.converged),
        "singular": bool(result.is_singular),
        "design_error": design_error(design, labels, result.model.exog, result.model.endog),
        "quantities": quantities(
            design,
            beta=result.fe_params.to_numpy()[order],
            beta_cov=np.asarray(result.fe_cov)[np.ix_(order, order)],
            beta_se=result.fe_bse.to_numpy()[order],
            sigma=float(np.sqrt(result.scale)),
            loglik=float(result.llf),
            covariances=[_covariance(design, block, result) for block in design.blocks],
            effects=[_effects(design, block, result) for block in design.blocks],
            fitted=np.asarray(result.fittedvalues),
        ),
    }


def _effect_names(design: Design, block: Block) -> list[str]:
    names = [design.alias(term[0]) for term in block.term.terms]
    return ["(Intercept)", *names] if block.term.intercept else names


def _covariance(design: Design, block: Block, result: Any) -> np.ndarray:
    """A number where the group has one random effect, else a table."""
    found = result.variance_components[group_alias(design, block)]
    if np.ndim(found) == 0:
        return np.array([[found]])
    names = _effect_names(design, block)
    return np.asarray(found.loc[names, names])


def _effects(design: Design, block: Block, result: Any) -> np.ndarray:
    found = result.random_effects[group_alias(design, block)].loc[list(block.levels)]
    if found.ndim == 1:
        return np.asarray(found)[:, None]
    return np.asarray(found[_effect_names(design, block)])
