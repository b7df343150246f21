"""What ``explain --out DIR`` holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pp_compare.inferences.explain import Explanation, ModelExplanation
from pp_compare.inferences.explain_glmm import GlmmExplanation
from pp_compare.inferences.table import InferenceTable
from pp_compare.report.explain.figures import lines_figure, points_figure, weights_figure
from pp_compare.report.explain.glmm_figures import glmm_figures
from pp_compare.report.explain.glmm_html import glmm_html
from pp_compare.report.explain.html import explanation_html
from pp_compare.report.explain.model_html import model_figures, model_html
from pp_compare.report.svg import standalone_svg
from pp_compare.resources import write_text


def write_explanation(
    folder: Path,
    e: Explanation | ModelExplanation | GlmmExplanation,
    inference: Sequence[InferenceTable] = (),
    remarks: Sequence[str] = (),
) -> None:
    """Write explain.html and its figures as files of their own."""
    if isinstance(e, GlmmExplanation):
        figures = glmm_figures(e)
        write_text(folder / "explain.html", glmm_html(e, figures))
    elif isinstance(e, ModelExplanation):
        figures = model_figures(e)
        write_text(folder / "explain.html", model_html(e, inference, remarks, figures))
    else:
        write_text(folder / "explain.html", explanation_html(e, inference, remarks))
        figures = {
            "lines": lines_figure(e),
            "refit": lines_figure(e, refit=True),
            "points": points_figure(e),
            "weights": weights_figure(e),
        }
    for name, svg in figures.items():
        write_text(folder / f"{name}.svg", standalone_svg(svg))
