"""Playback of generalised models: what was recorded, only for what it was recorded for."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pp_compare.data.glmm_corpus import glmm_case, glmm_cases
from pp_compare.engines.glmm.r import glmm_fits
from pp_compare.engines.glmm.recorded import RecordedGlmm, glmm_key, glmm_stacks, make
from pp_compare.engines.glmm.registry import fit_glmm, make_glmm_engine
from pp_compare.engines.recorded import References, decode_fit, encode_fit
from pp_compare.errors import InputError
from pp_compare.model import Dataset
from pp_compare.model.glmm import build_glmm_design
from pp_compare.resources import resource

REFERENCES = resource("fixtures", "references")
ENGINES = ("lme4", "lme4:tight", "lme4:agq:10", "lme4:tight:agq:10", "glmmpql", "glmmtmb")


@pytest.mark.parametrize("stack", ["bookworm", "sid", "trixie"])
def test_every_named_case_is_recorded_in_every_stack_and_no_file_was_changed(stack: str) -> None:
    assert stack in glmm_stacks()
    references = make(f"{stack}/lme4").references
    assert references.engines == ENGINES
    designs = [case.design() for case in glmm_cases()]
    assert [references.why_not(glmm_key(design)) for design in designs] == [None] * len(designs)
    listed = {entry["file"] for entry in references.provenance["cases"]}
    assert {p.name for p in references.folder.iterdir()} == listed | {"provenance.json"}
    assert len(listed) == len(designs)
    for entry in references.provenance["cases"]:
        assert tuple(references._read(entry)["fits"]) == ENGINES


def test_a_recorded_fit_says_which_criterion_it_is_of_and_in_which_versions() -> None:
    design = glmm_case("cbpp").design()
    engine = make_glmm_engine("recorded:sid/lme4:agq:10")
    fit = engine.fit(design)
    assert (fit.engine, engine.definition, fit.definition) == (engine.name, "agq:10", "agq:10")
    assert (fit.versions["lme4"], fit.seconds) == ("2.1-0", 0.0)
    pql = fit_glmm("recorded:sid/glmmpql", design)
    assert pql.not_given == {"loglik": "a quasi-likelihood has none"}
    assert make_glmm_engine("recorded:sid/glmmpql").definition == "pql"


def test_definition_and_what_is_not_given_survive_the_file() -> None:
    fit = fit_glmm("recorded:bookworm/glmmpql", glmm_case("cbpp").design())
    back = decode_fit(fit.engine, encode_fit(fit))
    assert (back.definition, back.not_given) == (fit.definition, fit.not_given)
    plain = encode_fit(replace(fit, definition="", not_given={}))
    assert not {"definition", "not_given"} & set(plain)  # files of linear models stay as they are


def test_a_changed_file_is_not_played_back(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(REFERENCES / "bookworm" / "glmm", tmp_path / "glmm"))
    engine = RecordedGlmm("recorded:copy/lme4", "lme4", References(folder, "copy"))
    design = glmm_case("cbpp").design()
    assert engine.fit(design).status == "ok"
    path = folder / "cbpp.json"
    path.write_text(path.read_text().replace("-92.02", "-92.03", 1))
    fit = engine.fit(design)
    assert fit.status == "error"
    assert "cbpp.json of copy was changed after it was recorded" in fit.messages[0]


def test_other_responses_families_and_levels_are_not_played_back() -> None:
    case = glmm_case("cbpp")
    frame = case.dataset.frame.copy()
    same = build_glmm_design(Dataset("mine", frame), case.formula, "binomial")
    assert fit_glmm("recorded:bookworm/lme4", same).status == "ok"
    swapped = build_glmm_design(
        Dataset("mine", frame), "cbind(size - incidence, incidence) ~ period + (1|herd)", "binomial"
    )
    counts = build_glmm_design(
        Dataset("mine", frame), "incidence ~ period + (1|herd)", "poisson"
    )  # fmt: skip
    for design, words in ((swapped, "with another design"), (counts, "is not recorded in bookwo")):
        fit = fit_glmm("recorded:bookworm/lme4", design)
        assert fit.status == "unsupported"
        assert words in fit.messages[0]


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        ("recorded", "recorded:bookworm/lme4"),
        ("recorded:bookworm", "recorded:bookworm/lme4"),
        ("recorded:potato/lme4", "no stack 'potato' has generalised models recorded; there are: b"),
        ("recorded:sid/lme4:agq:7", "'lme4:agq:7' is not recorded in sid; there are: lme4, lme4:t"),
    ],
)
def test_what_is_not_recorded_is_named(engine: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        make_glmm_engine(engine)


@pytest.mark.needs_r
@pytest.mark.parametrize("engine", ["lme4", "lme4:agq:10"])
def test_live_r_agrees_with_the_recorded_stack_of_its_versions(engine: str) -> None:
    design = glmm_case("cbpp").design()
    (live,) = glmm_fits(["Rscript"], [(engine, design)])
    played = [fit_glmm(f"recorded:{stack}/{engine}", design) for stack in glmm_stacks()]
    same = [fit for fit in played if fit.versions == live.versions]
    if not same:
        pytest.skip(f"no stack is recorded with {dict(live.versions)}")
    for name, quantity in same[0].quantities.items():
        # As of linear models: an optimiser stops anywhere within about sqrt(eps), times 100.
        scale = np.abs(quantity.values).max()
        assert np.abs(live[name] - quantity.values).max() <= 1.5e-6 * scale, name
