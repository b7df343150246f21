"""A model as the call that a user of lme4 or nlme would write, to paste into R."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pp_compare.engines.nlme import chain
from pp_compare.engines.source.names import Names, R, factor_levels, same_in_r, used_columns
from pp_compare.model.design import Block, Design
from pp_compare.model.rescaling import Rescaling

_R = R()
LONGEST = 45
"""Characters of control arguments that stand on the line of their function: 80 with it."""


def lmer_call(
    design: Design,
    steps: Sequence[Mapping[str, Any]] = ({},),
    scaling: Rescaling | None = None,
    start: Sequence[float] = (),
) -> str:
    """``lmer()`` once for each step, each from where the last one stopped.

    Parameters
    ----------
    design : Design
        In the user's units.
    steps : sequence of mapping
        Arguments of ``lmerControl()``.
    scaling : Rescaling, optional
    start : sequence of float
        Theta to start at.
    """
    names = Names(design, _R, scaling)
    bars = [f"({_effects(names, b)} | {_factor_of(b)})" for b in design.blocks]
    formula = " + ".join([names.fixed(), *bars])
    reml = _R.value(design.spec.method == "REML")
    lines = ["library(lme4)", *_preparation(design, names)]
    begin = f"start = {_R.value(list(start))}" if start else ""
    weights = f"weights = {_R.word(design.spec.weights)}" if design.spec.weights else ""
    for step in steps:
        control = f"control = lmerControl({_options(step)})" if step else ""
        extra = "".join(f",\n            {text}" for text in (weights, begin, control) if text)
        lines.append(f"fit <- lmer({formula},\n            data = data, REML = {reml}{extra})")
        begin = 'start = getME(fit, "theta")'
    return "\n".join([*lines, "summary(fit)"])


def _options(step: Mapping[str, Any]) -> str:
    """Arguments of a control function, on lines of their own where they are many."""
    flat = _R.arguments(step)
    if len(flat) <= LONGEST:
        return flat
    parts = [_R.arguments({name: value}) for name, value in step.items()]
    return f"\n{' ' * 14}" + f",\n{' ' * 14}".join(parts)


def _effects(names: Names, block: Block) -> str:
    return names.sum(block.term.intercept, block.term.terms)


def _factor_of(block: Block) -> str:
    return ":".join(_R.word(name) for name in block.term.group)


def lme_call(
    design: Design, control: Mapping[str, Any] = {}, scaling: Rescaling | None = None
) -> str:
    """``lme()`` with arguments of ``lmeControl()``."""
    names = Names(design, _R, scaling)
    groups = chain(design)
    own, made = _group_columns(design)
    lines = ["library(nlme)", *_preparation(design, names), *made]
    if groups is None:
        lines.append("data$all_rows <- 1")
        parts = [f"pdIdent(~ {_identity(names, own, b)})" for b in design.blocks]
        random = f"list(all_rows = pdBlocked(list({', '.join(parts)})))"
    else:
        random = f"list({', '.join(f'{own[g]} = {_level(names, g)}' for g in groups)})"
    method, options = design.spec.method, f"lmeControl({_options(control)})"
    extra = f",\n           control = {options}" if control else ""
    if design.spec.weights:
        extra = f",\n           weights = varFixed(~ I(1 / {_R.word(design.spec.weights)})){extra}"
    lines.append(
        f"fit <- lme({names.fixed()},\n           random = {random},\n"
        f"           data = data, method = {_R.value(method)}{extra})"
    )
    return "\n".join([*lines, "summary(fit)"])


def _group_columns(design: Design) -> tuple[dict[str, str], list[str]]:
    """A plain word for each grouping factor, and the lines that make those that are not columns.

    lme() pastes the names of grouping factors into a formula, so they have to be plain.
    """
    own, made = {}, []
    for i, block in enumerate({b.group: b for b in design.blocks}.values()):
        columns = block.term.group
        if len(columns) == 1 and _R.word(columns[0]) == columns[0]:
            own[block.group] = columns[0]
            continue
        own[block.group] = f"group_{i + 1}"
        parts = ", ".join(_R.column(name) for name in columns)
        made.append(f"data$group_{i + 1} <- interaction({parts}, drop = TRUE)")
    return own, made


def _level(names: Names, group: str) -> str:
    """The random effects of one grouping factor, as `pp_compare.engines.nlme` asks for them."""
    blocks = [block for block in names.design.blocks if block.group == group]
    if len(blocks) == 1:
        return f"~ {_effects(names, blocks[0])}"
    if all(len(block.columns) == 1 for block in blocks):
        terms = [term for block in blocks for term in block.term.terms]
        return f"pdDiag(~ {names.sum(any(b.term.intercept for b in blocks), terms)})"
    parts = [f"pdLogChol(~ {_effects(names, block)})" for block in blocks]
    return f"pdBlocked(list({', '.join(parts)}))"


def _identity(names: Names, own: Mapping[str, str], block: Block) -> str:
    slope = [names.variable(name) for term in block.term.terms for name in term]
    factor = f"factor({own[block.group]})"
    return "0 + " + ":".join([factor, *slope])


def _preparation(design: Design, names: Names) -> list[str]:
    """What the data need: complete rows, levels in the order that is judged, scaled predictors."""
    columns = used_columns(design)
    lines = []
    if any(_R.word(name) != name for name in columns):
        lines.append("# data as by read.csv(..., check.names = FALSE)")
    if design.rows_dropped:
        lines.append(f"data <- data[complete.cases(data[, {_R.value(columns)}]), ]")
    for name, levels in factor_levels(design).items():
        if not same_in_r(levels):
            column = _R.column(name)
            lines.append(f"{column} <- factor({column}, levels = {_R.value(list(levels))})")
    factors = names.scaling.factors if names.scaling else {}
    for name, own in names.scaled.items():
        lines.append(f"{_R.column(own)} <- {_R.column(name)} / {_R.value(factors[name])}")
    return lines
