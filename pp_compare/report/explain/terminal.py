"""An explanation in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from pp_compare.inferences.explain import Explanation, ModelExplanation
from pp_compare.inferences.explain_glmm import GlmmExplanation
from pp_compare.inferences.table import InferenceTable
from pp_compare.report.explain.answer import answer
from pp_compare.report.explain.glmm_story import glmm_story
from pp_compare.report.explain.inference_tables import defined_tables
from pp_compare.report.explain.step import Story
from pp_compare.report.explain.story import steps, why
from pp_compare.report.rich_table import SHOWN, rich_table
from pp_compare.report.verbatim import verbatim


def print_explanation(
    console: Console, e: Explanation | ModelExplanation | GlmmExplanation
) -> None:
    """Print the answer in one sentence, the steps, and the closing paragraph."""
    story = glmm_story(e) if isinstance(e, GlmmExplanation) else _story(e)
    console.print(verbatim(story.title, "bold"), verbatim(story.model))
    console.print("", verbatim(story.answer), sep="\n")
    for number, step in enumerate(story.steps, 1):
        console.print(
            "", verbatim(f"{number}. {step.title}", "bold"), verbatim(step.text), sep="\n"
        )
        if step.table:
            console.print(Padding(rich_table(step.table), (1, 0, 0, 2)))
            hidden = len(step.table.rows) - SHOWN
            if hidden > 0:
                console.print(Text(f"  ... and {hidden} more; --out DIR writes the page", "dim"))
    paragraphs = Text("\n\n").join(map(verbatim, story.why))
    console.print("", Text("Why", style="bold"), paragraphs, sep="\n")


def _story(e: Explanation | ModelExplanation) -> Story:
    spec = e.design.spec
    return Story(e.title, f"{spec.formula}, {spec.method}", answer(e), steps(e), why(e))


def print_inference(
    console: Console, tables: Sequence[InferenceTable], remarks: Sequence[str]
) -> None:
    """Print tests and intervals, a table a definition."""
    console.print("", Text("Tests and intervals, definition by definition", style="bold"), sep="\n")
    for remark in remarks:
        console.print(verbatim(remark, "dim"))
    for part in defined_tables(tables):
        heading = Text.assemble(verbatim(part.title, "bold"), verbatim(f": {part.definition}"))
        console.print("", heading, sep="\n")
        console.print(Padding(rich_table(part.table), (0, 0, 0, 2)))
