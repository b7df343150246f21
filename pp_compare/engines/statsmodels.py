"""statsmodels' MixedLM, called as its users call it: ``MixedLM.from_formula(...).fit(reml=...)``.

MixedLM has one grouping factor with one correlated block of random effects (``re_formula``) and any
number of independent ones (``vc_formula``). Nested factors become variance components within the
outermost factor; crossed factors become variance components within one group that holds all rows.

The package itself, which takes a second to load, is loaded by what fits, and not by what only asks
or reads: another release's answers, a script for somebody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pp_compare.engines import engine_id, setting_of
from pp_compare.engines.alignment import design_error
from pp_compare.engines.formulas import (
    fixed_formula,
    formulaic_label,
    group_alias,
    grouped_frame,
    sum_of_terms,
)
from pp_compare.model import Fit, Quantity
from pp_compare.model.answer import quantities
from pp_compare.model.design import Block, Design

if TYPE_CHECKING:
    from pp_compare.engines.mixedlm import Answer

METHODS = ("bfgs", "lbfgs", "cg", "powell", "nm")
Step = Mapping[str, Any]
TIGHT: tuple[Step, ...] = (
    {"method": "powell", "maxiter": 300},
    {"method": "powell", "maxiter": 300},
    {"method": "bfgs", "gtol": 1e-12},
    {"method": "nm", "maxiter": 300},
)
"""Arguments of ``fit``, one call after the other, each from where the last one stopped: the closest
that MixedLM was found to get to its optimum. Powell needs no gradient, so the score's wrong sign
does not stop it; docs/settings.md has the digits."""

MIXEDLM = "pp_compare.engines.mixedlm"
"""The module that fits."""

ALL_ROWS = "all_rows"


def make(setting: str | None) -> StatsmodelsEngine:
    """Engine factory: the default, ``tight``, or one optimiser of `METHODS`."""
    import_module(MIXEDLM)  # who makes an engine is to hear of it where statsmodels does not load
    return with_setting(setting)


def with_setting(setting: str | None) -> StatsmodelsEngine:
    """The engine, of which nothing is known but how it is asked and read.

    Raises
    ------
    InputError
        For a setting that there is not.
    """
    settings = {"tight": TIGHT, **{method: ({"method": method},) for method in METHODS}}
    steps = setting_of("statsmodels", settings, setting, ({},))
    return StatsmodelsEngine(engine_id("statsmodels", setting), steps)


@dataclass(frozen=True)
class Layout:
    """How MixedLM is asked for a model.

    Parameters
    ----------
    group : str
        Alias of the grouping column, or `ALL_ROWS` for one group that holds all rows.
    correlated : Block or None
        The block that ``re_formula`` describes.
    independent : tuple of Block
        Blocks with one random effect each, in the order of their names in ``vc_formula``.
    """

    group: str
    correlated: Block | None
    independent: tuple[Block, ...]


@dataclass(frozen=True)
class StatsmodelsEngine:
    """MixedLM, with the arguments of one or more calls of its ``fit``, and where it starts."""

    name: str
    steps: tuple[Step, ...]
    start: Mapping[str, Any] | None = None
    weighted = True  # that is, it answers for itself: `layout` says that it has none

    def unsupported(self, design: Design) -> str | None:
        """Why MixedLM cannot express the model; None where it can."""
        plan = layout(design)
        return plan if isinstance(plan, str) else None

    def fit(self, design: Design) -> Fit:
        """Fit by ``MixedLM.from_formula`` and ``fit``; warnings become messages of the Fit."""
        plan = layout(design)
        if isinstance(plan, str):
            return Fit.unsupported(self.name, plan)
        mixedlm = import_module(MIXEDLM)
        asked = request(design, plan, self.steps)
        asked |= {"start": self.start} if self.start else {}
        return read_fit(self.name, self.steps, design, plan, mixedlm.fit(asked), mixedlm.about())


def request(design: Design, plan: Layout, steps: tuple[Step, ...] = ({},)) -> dict[str, Any]:
    """A model as `pp_compare.engines.mixedlm` is asked for it."""
    asked = arguments(design, plan)
    columns = {str(name): _plain(column) for name, column in asked.pop("data").items()}
    reml = design.spec.method == "REML"
    return {**asked, "columns": columns, "reml": reml, "steps": [dict(step) for step in steps]}


def _plain(column: pd.Series) -> dict[str, Any]:
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes = column.cat.codes.to_numpy().astype(np.int64)
        return {"codes": codes, "levels": list(column.cat.categories)}
    if pd.api.types.is_numeric_dtype(column):
        return {"values": column.to_numpy(float)}
    codes, levels = pd.factorize(column)
    return {"codes": codes.astype(np.int64), "levels": list(levels), "plain": True}


def read_fit(
    name: str,
    steps: tuple[Step, ...],
    design: Design,
    plan: Layout,
    answer: Answer,
    versions: Mapping[str, str],
) -> Fit:
    """The Fit from what `pp_compare.engines.mixedlm` answered, here or in another environment."""
    said = tuple(answer["warnings"])
    problem = (answer["problem"],) if answer["problem"] else ()
    fields: dict[str, Any] = {
        "messages": (*problem, *said),
        "singular": any("boundary" in text or "singular" in text for text in said),
        "settings": _settings(steps),
        "versions": dict(versions),
    }
    if answer["status"] != "ok":
        return Fit(name, "error", **fields)
    labels = _our_labels(design, answer)
    return Fit(
        name,
        "ok",
        _quantities(design, plan, answer),
        converged=answer["converged"],
        seconds=answer["seconds"],
        design_error=design_error(design, labels, answer["exog"], answer["endog"]),
        **fields,
    )


def arguments(design: Design, plan: Layout) -> dict[str, Any]:
    """Arguments of ``MixedLM.from_formula``: data and formulas in aliases that are plain words."""
    return {
        "formula": fixed_formula(design),
        "data": _frame(design, plan),
        "groups": plan.group,
        "re_formula": _random_formula(design, plan.correlated),
        "vc_formula": _component_formulas(design, plan),
    }


def _settings(steps: tuple[Step, ...]) -> dict[str, str]:
    """Arguments that are not defaults; of several calls, numbered."""
    if len(steps) == 1:
        return {key: str(value) for key, value in steps[0].items()}
    return {f"fit {i + 1}": str(dict(step)) for i, step in enumerate(steps)}


def layout(design: Design) -> Layout | str:
    """Choose ``groups``, ``re_formula`` and ``vc_formula``, or say why there is no such choice."""
    if design.weights is not None:
        return "MixedLM has no prior weights"
    if design.offset is not None:
        return "MixedLM has no offset; take it from the response in the data, which is the same"
    names = list(design.group_levels)
    outer = [name for name in names if all(_nested(design, other, name) for other in names)]
    wide = [block for block in design.blocks if len(block.columns) > 1]
    if not outer:
        if wide:
            return f"correlated random effects of '{wide[0].group}' beside a crossed factor"
        return Layout(ALL_ROWS, None, design.blocks)
    inner = [block for block in wide if block.group != outer[0]]
    if inner:
        return f"correlated random effects of '{inner[0].group}' within '{outer[0]}'"
    if len(wide) > 1:
        return f"two blocks of correlated random effects of '{outer[0]}'"
    of_outer = [block for block in design.blocks if block.group == outer[0]]
    correlated = (wide or of_outer)[0]
    independent = tuple(block for block in design.blocks if block is not correlated)
    return Layout(group_alias(design, correlated), correlated, independent)


def _nested(design: Design, inner: str, outer: str) -> bool:
    """Whether each level of `inner` lies within one level of `outer`."""
    pairs = np.unique(
        np.column_stack([design.group_codes[inner], design.group_codes[outer]]), axis=0
    )
    return len(pairs) == len(design.group_levels[inner])


def _frame(design: Design, plan: Layout) -> pd.DataFrame:
    """The design's frame with one column for every grouping factor, interactions included.

    Levels go in as strings, not as categories: within a group only those that occur there count.
    """
    whole = {ALL_ROWS: np.ones(design.n_obs)} if plan.group == ALL_ROWS else {}
    return grouped_frame(design).assign(**whole)


def _random_formula(design: Design, block: Block | None) -> str | None:
    return None if block is None else sum_of_terms(design, block.term.intercept, block.term.terms)


def _component_formulas(design: Design, plan: Layout) -> dict[str, str] | None:
    """One formula a component; names sort in our order, which is how MixedLM keeps them."""
    formulas = {}
    for i, block in enumerate(plan.independent):
        effect = [design.alias(name) for term in block.term.terms for name in term]
        group = group_alias(design, block)
        parts = effect if group == plan.group else [group, *effect]
        formulas[f"vc{i:03d}"] = "0 + " + ":".join(parts) if parts else "1"
    return formulas or None


def _our_labels(design: Design, answer: Answer) -> list[str]:
    ours = {formulaic_label(design, column): column.label for column in design.columns}
    return [ours.get(label, label) for label in answer["exog_names"]]


def _quantities(design: Design, plan: Layout, answer: Answer) -> dict[str, Quantity]:
    """Everything MixedLM answered, in our order; without predictions where it refused them."""
    labels = _our_labels(design, answer)
    order = [labels.index(label) for label in design.labels]
    return quantities(
        design,
        beta=answer["fe_params"][order],
        beta_cov=answer["cov_params"][np.ix_(order, order)],
        beta_se=answer["bse_fe"][order],
        sigma=np.sqrt(answer["scale"]),
        loglik=answer["llf"],
        covariances=[_block_cov(design, plan, answer, block) for block in design.blocks],
        effects=_effects(design, plan, answer) if "fitted" in answer else None,
        fitted=answer.get("fitted"),
    )


def _block_cov(design: Design, plan: Layout, answer: Answer, block: Block) -> np.ndarray:
    if block is plan.correlated:
        order = _random_order(design, block, answer)
        return np.asarray(answer["cov_re"][np.ix_(order, order)])
    return np.asarray(answer["vcomp"][plan.independent.index(block)]).reshape(1, 1)


def _random_order(design: Design, block: Block, answer: Answer) -> list[int]:
    """Where MixedLM keeps our random effects; it calls the intercept by the group's name."""
    group = group_alias(design, block)
    wanted = [formulaic_label(design, c).replace("Intercept", group) for c in block.columns]
    return [answer["exog_re_names"].index(label) for label in wanted]


def _effects(design: Design, plan: Layout, answer: Answer) -> list[np.ndarray]:
    """BLUPs of each block, (m, q); levels are found by a row that has them."""
    found = {id(b): np.zeros((len(b.levels), len(b.columns))) for b in design.blocks}
    if plan.correlated:
        levels = plan.correlated.codes[answer["effect_rows"]]
        order = _random_order(design, plan.correlated, answer)
        found[id(plan.correlated)][levels] = answer["effects"][:, order]
    components = zip(answer["component_rows"], answer["components"], strict=True)
    for block, (rows, values) in zip(plan.independent, components, strict=True):
        found[id(block)][block.codes[rows], 0] = values
    return [found[id(block)] for block in design.blocks]
