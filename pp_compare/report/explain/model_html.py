"""An explanation of slopes, nested and crossed factors as a page, with a slider.

The slider multiplies the covariances of all random effects: 0 is lm, 1 the estimate, far to the
right every level stands for itself. The page holds the model fitted at each of its places.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pp_compare.inferences.explain import ModelExplanation, at_multiple
from pp_compare.inferences.table import InferenceTable
from pp_compare.report.explain.answer import answer, told
from pp_compare.report.explain.figures import effects_figure, level_weights_figure
from pp_compare.report.explain.inference_tables import defined_tables
from pp_compare.report.explain.story import steps, why
from pp_compare.report.page import render, trusted

PLACES = 49
"""Of the slider but for 0: from 1e-4 to 1e4, with 1 in the middle."""
MOST_LEVELS = 300
"""Of all factors together, up to which the page holds every place: some 400 kB of numbers."""


def model_html(
    e: ModelExplanation,
    inference: Sequence[InferenceTable] = (),
    remarks: Sequence[str] = (),
    figures: Mapping[str, str] | None = None,
) -> str:
    """The page: the answer, the slider, the figures, the steps, and inference where it is given.

    `figures` are those of `model_figures`, where they are drawn already.
    """
    drawn = model_figures(e) if figures is None else figures
    moving = sum(len(effects.levels) for effects in e.effects) <= MOST_LEVELS
    more = {"data": model_slider_data(e)} if moving else {}
    return render(
        "explain_model.html",
        script="explain_parts.js explain_model.js" if moving else "",
        title=f"{e.title}: partial pooling",
        heading=e.title,
        formula=e.design.spec.formula,
        method=e.design.spec.method,
        engine=e.fit.engine,
        claim=e.fit.extra.get("claim"),
        answer=answer(e),
        why=why(e),
        steps=steps(e),
        moving=moving,
        data_effects=e.effects,
        inference=defined_tables(inference),
        remarks=remarks,
        figures=[(trusted(svg), _CAPTIONS[name.split("_")[0]]) for name, svg in drawn.items()],
        **more,
    )


_CAPTIONS = {
    "effects": "What each level says by itself, and what it is predicted to be.",
    "weights": "What each level says in the fixed effects in which lm and the mixed model differ.",
}


def model_figures(e: ModelExplanation) -> dict[str, str]:
    """Figures by the name of their file."""
    found = {
        f"effects_{i}": effects_figure(effects, e.title, f"effects_{i}")
        for i, effects in enumerate(e.effects, 1)
    }
    for i, (group, weights) in enumerate(e.weights.items(), 1):
        sizes = np.bincount(e.design.group_codes[group])
        levels = e.design.group_levels[group]
        name = f"weights_{i}"
        found[name] = level_weights_figure(
            e.title, e.design.labels, group, levels, sizes, weights, name
        )
    return found


def model_slider_data(e: ModelExplanation) -> dict[str, Any]:
    """The model at every place of the slider; numbers to seven digits."""
    multiples = [0.0, *np.logspace(-4, 4, PLACES).tolist()]
    group = next(iter(e.weights))
    return {
        "labels": e.design.labels,
        "lm": _rounded(e.lines["complete pooling"]),
        "multiples": multiples,
        "estimate": multiples.index(1.0),
        "effects": [
            {
                "name": f"{x.label} by {x.group}",
                "levels": x.levels,
                "sizes": x.sizes.tolist(),
                "own": [None if np.isnan(v) else v for v in _rounded(x.own)],
            }
            for x in e.effects
        ],
        "group": group,
        "told": told(e),
        "levels": e.design.group_levels[group],
        "sizes": np.bincount(e.design.group_codes[group]).tolist(),
        "lmWeights": [_rounded(line) for line in e.weights[group].lm],
        "places": [_place(e, multiple, group) for multiple in multiples],
    }


def _place(e: ModelExplanation, multiple: float, group: str) -> dict[str, Any]:
    at = at_multiple(e, multiple)
    return {
        "beta": _rounded(at.lines["partial pooling"]),
        "weights": [_rounded(line) for line in at.weights[group].mixed],
        "pooling": [_rounded(effects.weight) for effects in at.effects],
        "predicted": [_rounded(effects.predicted) for effects in at.effects],
    }


def _rounded(values: np.ndarray) -> list[float]:
    return [float(f"{value:.7g}") for value in values.tolist()]
