"""Inference effect by effect: nothing cut in 80 columns, and what differs is named with numbers."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console
from typer.testing import CliRunner

from pp_compare.cli.app import app
from pp_compare.inferences.inference import own_inference
from pp_compare.inferences.r_inference import recorded_inference
from pp_compare.inferences.table import InferenceTable
from pp_compare.report.explain.effects import effects, print_effects
from tests.examples import corpus_design


def shown(tables, remarks=(), width=80) -> str:
    console = Console(width=width, highlight=False, record=True, file=StringIO())
    print_effects(console, "a model", tables, remarks)
    return console.export_text()


@pytest.fixture(scope="module")
def machines():
    design = corpus_design("Machines_by_worker")
    own, remarks = own_inference(design, "Machine")
    return [*own, *recorded_inference(design, "Machines_by_worker", "tight").tables], remarks


def test_every_number_stands_in_eighty_columns(machines):
    """The same numbers as in a terminal that is wide enough for anything."""
    narrow, wide = (shown(*machines, width=w) for w in (80, 400))
    assert max(map(len, narrow.splitlines())) <= 80
    assert "…" not in narrow
    assert narrow.split() == wide.split()


def test_all_sources_of_a_definition_stand_together(machines):
    tables, _ = machines
    effect = effects(tables)[1]
    assert effect.term == "Machine[T.B]"
    names = [row[0] for row in effect.table.rows]
    at = names.index("kenward-roger")
    assert names[at : at + 3] == ["kenward-roger", "  certified", "  lme4 + pbkrtest"]
    assert effect.table.rows[at + 1][1:5] == ("7.9667", "2.4209", "5", "0.0217")


def test_what_an_engine_has_otherwise_is_named(machines):
    """As of an nlme with 5 degrees of freedom for its 46."""
    tables, _ = machines
    theirs = next(t for t in tables if t.source == "nlme")
    changed = replace(theirs.lines[1], df=5.0)
    others = [t for t in tables if t.source != "nlme"]
    wrong = InferenceTable("containment", "nlme", (theirs.lines[0], changed, theirs.lines[2]))
    assert "nlme, containment of Machine[T.B]: df 5 for 46." in shown([*others, wrong])
    assert "nlme, containment" not in shown(tables)


def test_a_conclusion_that_depends_on_the_definition_is_said():
    tables, _ = own_inference(corpus_design("Pastes"))
    assert "conclusion depends" not in shown(tables)
    contrast = next(t for t in tables if t.definition == "wald")
    moved = replace(contrast, lines=(replace(contrast.lines[0], p=0.06),))
    text = shown([moved, *(t for t in tables if t.definition != "wald")], width=400)
    assert "0.06 (wald); at 0.05 the conclusion depends on the definition" in text


@pytest.mark.slow
def test_the_command_prints_and_writes_it(tmp_path):
    arguments = ["audit", "Pastes", "--method", "reml", "--engine", "certified", "--inference"]
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "Inference of Pastes REML" in result.output
    assert "kenward-roger" in result.output
    lines = (tmp_path / "inference.csv").read_text().splitlines()
    assert lines[0].startswith("definition,source,term,estimate,se,df")
    assert any(line.startswith("kenward-roger,certified,Intercept,60.05") for line in lines)
