"""An explanation as a page, with a slider over tau2 / sigma2 that computes in the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pp_compare.inferences.explain import Explanation
from pp_compare.inferences.partial_pooling import cluster_design, cluster_means
from pp_compare.inferences.profile import criterion_profile
from pp_compare.inferences.table import InferenceTable
from pp_compare.report.explain.answer import answer, told
from pp_compare.report.explain.figures import (
    level_names,
    lines_figure,
    most_moved,
    place_of,
    points_figure,
    weights_figure,
)
from pp_compare.report.explain.inference_tables import defined_tables
from pp_compare.report.explain.story import steps, why
from pp_compare.report.page import render, trusted
from pp_compare.report.profile_figure import profile_figure


def explanation_html(
    e: Explanation, inference: Sequence[InferenceTable] = (), remarks: Sequence[str] = ()
) -> str:
    """The page: the answer, the slider, the figures, the steps, and inference where it is given."""
    design = e.design
    profile = criterion_profile(design, {e.fit.engine: e.fit})
    figures = {
        "lines": lines_figure(e, "lines"),
        "refit": lines_figure(e, "refit", refit=True),
        "points": points_figure(e, "points"),
        "weights": weights_figure(e, "weights"),
        "profile": profile_figure(profile, "profile", design.spec.method),
    }
    return render(
        "explain.html",
        script="explain_parts.js explain.js",
        data=slider_data(e),
        title=f"{e.title}: partial pooling",
        heading=e.title,
        formula=design.spec.formula,
        method=design.spec.method,
        engine=e.fit.engine,
        claim=e.fit.extra.get("claim"),
        group=e.group,
        shown=[design.labels[k] for k in most_moved(e.weights)],
        answer=answer(e),
        why=why(e),
        steps=steps(e),
        inference=defined_tables(inference),
        remarks=remarks,
        figures={name: trusted(svg) for name, svg in figures.items()},
    )


def slider_data(e: Explanation) -> dict[str, Any]:
    """What the page needs to fit the model at any ratio: sizes, means, and products within."""
    design, block, place = e.design, e.design.blocks[0], place_of(e)
    W = cluster_design(design)
    within = design.X - W[block.codes]
    response = design.y - cluster_means(block, design.y)[block.codes]
    return {
        "response": design.spec.response,
        "group": e.group,
        "labels": design.labels,
        "clusters": e.pooling.clusters,
        "sizes": e.pooling.sizes.tolist(),
        "observed": e.pooling.observed.tolist(),
        "means": W.tolist(),
        "within": (within.T @ within).tolist(),
        "withinResponse": (within.T @ response).tolist(),
        "lm": e.lines["complete pooling"].tolist(),
        "ratio": e.tau2 / e.sigma2,
        "place": place.cluster.tolist(),
        "width": place.width,
        "ends": place.ends,
        "levels": level_names(e) if place.ends else None,
        "shown": most_moved(e.weights),
        "told": told(e),
        "lmWeights": e.weights.lm.tolist(),
        "second": (W[:, -1] == W[:, -1].max()).tolist() if place.ends else np.zeros(0).tolist(),
    }
