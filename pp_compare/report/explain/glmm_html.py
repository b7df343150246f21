"""A generalised explanation as a page."""

from __future__ import annotations

from collections.abc import Mapping

from pp_compare.inferences.explain_glmm import GlmmExplanation
from pp_compare.report.explain.glmm_story import glmm_story
from pp_compare.report.page import render, trusted

_CAPTIONS = {
    "modes": "What each level says by itself, and its conditional mode; an arrow where the level's "
    "own effect is infinite.",
    "average": "Curves of levels, and their average over the random effects: what glm sees.",
}


def glmm_html(e: GlmmExplanation, figures: Mapping[str, str]) -> str:
    """The page: the answer, why, the figures, the steps."""
    story = glmm_story(e)
    return render(
        "explain_glmm.html",
        title=f"{e.title}: partial pooling",
        heading=e.title,
        model=story.model,
        engine=e.fit.engine,
        claim=e.fit.extra.get("claim"),
        answer=story.answer,
        why=story.why,
        steps=story.steps,
        figures=[(trusted(svg), _CAPTIONS[name.split("_")[0]]) for name, svg in figures.items()],
    )
