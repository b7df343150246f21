"""Many fits of MixedLM: what its formula fixes is made once."""

from __future__ import annotations

from typing import Any

from pp_compare.design import Design
from pp_compare.engines import mixedlm
from pp_compare.engines.statsmodels import Layout, layout, read_fit, request
from pp_compare.model import Fit
from pp_compare.variables import Variable


def fit_in_statsmodels(engine: Any, designs: list[Design]) -> list[Fit]:
    """One request, written once; the data go in without a detour by a table."""
    plan = layout(designs[0])
    if isinstance(plan, str) or len(designs[0].group_levels) > 1:
        # How several grouping factors lie within each other may differ from data set to data set.
        return [engine.fit(design) for design in designs]
    asked = {**request(designs[0], plan, engine.steps), "predictions": False}
    fits = []
    for design in designs:
        answer = mixedlm.fit({**asked, "columns": _columns(design, plan.group)})
        own = _same_layout(plan, designs[0], design)
        fits.append(read_fit(engine.name, engine.steps, design, own, answer, mixedlm.about()))
    return fits


def _same_layout(plan: Layout, first: Design, design: Design) -> Layout:
    """The layout of the first design, with the blocks of another of its kind."""
    own = dict(zip(map(id, first.blocks), design.blocks, strict=True))
    correlated = None if plan.correlated is None else own[id(plan.correlated)]
    return Layout(plan.group, correlated, tuple(own[id(block)] for block in plan.independent))


def _columns(design: Design, group: str) -> dict[str, Any]:
    """The columns that MixedLM reads, in the form of `pp_compare.engines.mixedlm.frame`."""
    found: dict[str, Any] = {v.alias: _column(v) for v in design.variables.values()}
    block = design.blocks[0]
    found[group] = {"codes": block.codes, "levels": list(block.levels), "plain": True}
    return found


def _column(variable: Variable) -> dict[str, Any]:
    if variable.levels is None:
        return {"values": variable.values}
    return {"codes": variable.values, "levels": list(variable.levels)}
