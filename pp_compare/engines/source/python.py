"""A model as the call that a user of statsmodels would write, to paste into Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from pp_compare.engines.formulas import group_alias
from pp_compare.engines.source.names import Names, Python, column_of, used_columns
from pp_compare.engines.statsmodels import Layout, layout
from pp_compare.model.design import Block, Design
from pp_compare.model.rescaling import Rescaling

_PY = Python()
_AGAIN = (
    "MixedLMParams.from_components(\n"
    "    fe_params=fit.fe_params, cov_re=fit.cov_re_unscaled, vcomp=fit.vcomp / fit.scale)"
)


def mixedlm_call(
    design: Design,
    steps: Sequence[Mapping[str, Any]] = ({},),
    scaling: Rescaling | None = None,
    start: Mapping[str, Any] | None = None,
) -> str:
    """``mixedlm()`` and its ``fit`` once for each step, each from where the last one stopped.

    Parameters
    ----------
    design : Design
        In the user's units; a model that MixedLM can express (`layout`).
    steps : sequence of mapping
        Arguments of ``fit``.
    scaling : Rescaling, optional
    start : mapping, optional
        ``fe_params``, ``cov_re_sqrt``, ``vcomp``: where the first call starts.
    """
    plan = layout(design)
    if isinstance(plan, str):
        raise TypeError(plan)
    names = Names(design, _PY, scaling)
    body = [*_preparation(design, names, plan), *_model(design, names, plan)]
    reml = f"reml={design.spec.method == 'REML'}"
    if start:
        body.append(f"start = MixedLMParams.from_components(\n    {_components(start)})")
    begin = "start_params=start" if start else ""
    for i, step in enumerate(steps):
        if i:
            body.append(f"start = {_AGAIN}")
        given = ", ".join(text for text in (reml, begin, _PY.arguments(step)) if text)
        body.append(f"fit = model.fit({given})")
        begin = "start_params=start"
    return "\n".join([*_imports(body), *body, "print(fit.summary())"])


def _components(start: Mapping[str, Any]) -> str:
    arrays = {k: v for k, v in start.items() if len(v)}
    return ", ".join(f"{name}=np.array({_PY.value(values)})" for name, values in arrays.items())


def _imports(body: Sequence[str]) -> list[str]:
    """Those that the code needs."""
    text = "\n".join(body)
    lines = ["import numpy as np"] if "np." in text else []
    lines += ["import pandas as pd"] if "pd." in text else []
    lines.append("import statsmodels.formula.api as smf")
    if "MixedLMParams" in text:
        lines.append("from statsmodels.regression.mixed_linear_model import MixedLMParams")
    return lines


def _model(design: Design, names: Names, plan: Layout) -> list[str]:
    group = _group_name(design, plan)
    options = {"groups": group}
    if plan.correlated is not None:
        term = plan.correlated.term
        options["re_formula"] = names.sum(term.intercept, term.terms)
    lines = [f"    {_PY.value(names.fixed())},", f"    data, {_PY.arguments(options)}"]
    if plan.independent:
        formulas = {
            f"vc{i:03d}": _component(design, names, plan, block)
            for i, block in enumerate(plan.independent)
        }
        lines[-1] += ","
        lines.append(f"    vc_formula={_PY.value(formulas)}")
    return ["model = smf.mixedlm(", *lines, ")"]


def _component(design: Design, names: Names, plan: Layout, block: Block) -> str:
    effect = [names.variable(name) for term in block.term.terms for name in term]
    own = group_alias(design, block)
    parts = effect if own == plan.group else [own, *effect]
    return "0 + " + ":".join(parts) if parts else "1"


def _group_name(design: Design, plan: Layout) -> str:
    """The grouping column by the user's own name where it is one."""
    found = [b for b in design.blocks if group_alias(design, b) == plan.group]
    columns = found[0].term.group if found else ()
    return columns[0] if len(columns) == 1 else plan.group


def _preparation(design: Design, names: Names, plan: Layout) -> list[str]:
    """What the data need: complete rows, levels, scaled predictors, grouping columns as text."""
    lines = []
    if design.rows_dropped:
        lines.append(f"data = data.dropna(subset={_PY.value(used_columns(design))})")
    made = {**_categories(design), **_scaled(names), **_groups(design, plan)}
    if made:
        inside = "".join(f"    {name}: {text},\n" for name, text in made.items())
        lines.append(f"data = data.assign(**{{\n{inside}}})")
    return lines


def _categories(design: Design) -> dict[str, str]:
    """Categorical columns, whose order of levels a file would lose."""
    found = {}
    for name, variable in design.variables.items():
        column = column_of(design, name)
        if column is None:
            continue
        dtype = design.dataset.frame[column].dtype
        if variable.levels is None or not isinstance(dtype, pd.CategoricalDtype):
            continue
        values = [v for v in dtype.categories if _label(v) in variable.levels]
        text = all(isinstance(value, str) for value in values)
        source = _PY.column(column) + (".astype(str)" if text else "")
        listed = _PY.value([v if isinstance(v, str) else float(v) for v in values])
        found[_PY.value(column)] = f"pd.Categorical({source}, categories={listed})"
    return found


def _label(value: Any) -> str:
    number = isinstance(value, float) and value.is_integer()
    return str(int(value)) if number else str(value)


def _scaled(names: Names) -> dict[str, str]:
    factors = names.scaling.factors if names.scaling else {}
    return {
        _PY.value(own): f"{_PY.column(name)} / {_PY.value(factors[name])}"
        for name, own in names.scaled.items()
    }


def _groups(design: Design, plan: Layout) -> dict[str, str]:
    """Grouping factors that are no column yet, or that a component needs as text."""
    found = {}
    if not any(group_alias(design, block) == plan.group for block in design.blocks):
        found[_PY.value(plan.group)] = "1"
    for block in design.blocks:
        own = group_alias(design, block)
        if own == plan.group and len(block.term.group) == 1:
            continue
        parts = [f"{_PY.column(name)}.astype(str)" for name in block.term.group]
        found[_PY.value(own)] = ' + ":" + '.join(parts)
    return found
