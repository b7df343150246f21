"""Many fits of MixedLM: what its formula fixes is made once.

MixedLM is given its matrices in the place of a formula, where that proves to give the same bits.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from pp_compare.engines import mixedlm
from pp_compare.engines.mixedlm import Answer, Request
from pp_compare.engines.statsmodels import Layout, layout, read_fit, request
from pp_compare.model import Fit
from pp_compare.model.design import Block, Design
from pp_compare.model.variables import Variable

_NAMES = ("exog_names", "exog_re_names")


def fit_in_statsmodels(engine: Any, designs: list[Design]) -> list[Fit]:
    """Fit designs of one kind: the model is asked for once, and each gives its data."""
    plan = layout(designs[0])
    if isinstance(plan, str) or len(designs[0].group_levels) > 1:
        # How several grouping factors lie within each other may differ from data set to data set.
        return [engine.fit(design) for design in designs]
    asked = {**request(designs[0], plan, engine.steps), "predictions": False}
    fits = []
    with _no_collection():
        for design in designs:
            own = _same_layout(plan, designs[0], design)
            answer = _answer(asked, own, design)
            fits.append(read_fit(engine.name, engine.steps, design, own, answer, mixedlm.about()))
    return fits


_trusted: dict[str, dict[str, list[str]] | None] = {}
"""Names of the columns, by the model that was asked for, where the matrices gave the same bits as
the formula for the first fit of this process; None where they did not."""


def _answer(asked: Request, plan: Layout, design: Design) -> Answer:
    """By the matrices where they are trusted, else by the formula.

    A model with variance components has no plain matrices, and goes by its formula.
    """
    model = repr({**asked, "columns": None})
    names = _trusted.get(model)
    if names is not None:
        return _by_matrices(asked, design) | names
    answer = mixedlm.fit({**asked, "columns": _columns(design, plan.group)})
    if model not in _trusted and not plan.independent and answer["status"] == "ok":
        names = {name: answer[name] for name in _NAMES}
        same = _same_bits(_by_matrices(asked, design) | names, answer)
        _trusted[model] = names if same else None
    return answer


def _by_matrices(asked: Request, design: Design) -> Answer:
    return mixedlm.fit({**asked, "matrices": _matrices(design)})


def _matrices(design: Design) -> dict[str, Any]:
    """Arguments of ``MixedLM``; a formula's matrices stand in memory column by column."""
    block = design.blocks[0]
    return {
        "endog": design.y,
        "exog": np.asfortranarray(design.X),
        "groups": _labels(block),
        "exog_re": np.asfortranarray(block.Z),
    }


def _labels(block: Block) -> np.ndarray:
    """The level of each row, as text: MixedLM sums over groups in the order of their labels."""
    return np.asarray(np.array(block.levels, dtype=object)[block.codes])


def _same_bits(one: Answer, other: Answer) -> bool:
    """Whether two answers differ in nothing but the time they took."""
    return one.keys() == other.keys() and all(
        np.array_equal(value, other[name], equal_nan=isinstance(value, np.ndarray))
        for name, value in one.items()
        if name != "seconds"
    )


@contextmanager
def _no_collection() -> Iterator[None]:
    """Leave the cycles of some fits to the next collection: looking for them takes 5 % of a fit."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


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
