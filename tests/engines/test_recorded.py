"""Playback gives back what was recorded, and only for the data and model it was recorded for."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pp_compare.certified.models import certified_model
from pp_compare.data.corpus import all_cases
from pp_compare.engines import make_engine
from pp_compare.engines.recorded import (
    RecordedEngine,
    References,
    decode_fit,
    design_sha256,
    encode_fit,
    model_key,
    playback,
    stacks,
)
from pp_compare.errors import InputError
from pp_compare.model import Dataset, Fit, Quantity
from pp_compare.model.design import Design, build_design
from pp_compare.model.formula import parse_formula
from pp_compare.resources import resource
from pp_compare.verdict.agreement import compare
from pp_compare.verdict.tolerance import derive_tolerances
from tests.examples import corpus_design

REFERENCES = resource("fixtures", "references")


def test_every_named_case_is_recorded_in_every_stack() -> None:
    assert stacks() == ("bookworm", "sid", "trixie")
    designs = [build_design(c.dataset, c.spec(m)) for c in all_cases() for m in c.methods]
    for stack in stacks():
        engine = playback(stack, "lme4")  # whether a case is recorded is the same for all four
        assert engine.references.engines == ("lme4", "lme4:tight", "nlme", "nlme:tight")
        for design in designs:
            assert engine.unsupported(design) is None
        assert len(engine.references.provenance["cases"]) == len(designs)


@pytest.mark.parametrize("stack", ["bookworm", "trixie", "sid"])
def test_recorded_fits_are_of_the_designs_they_are_played_back_for(stack: str) -> None:
    engine = make_engine(f"recorded:{stack}/lme4")
    fit = engine.fit(corpus_design("sleepstudy"))
    assert fit.engine == f"recorded:{stack}/lme4"
    assert fit.status == "ok"
    assert fit.design_error == 0.0
    assert fit.seconds == 0.0
    versions = References(REFERENCES / stack).provenance["versions"]
    assert {name: versions[name] for name in fit.versions} == dict(fit.versions)


@pytest.mark.parametrize("stack", ["bookworm", "trixie", "sid"])
def test_no_file_of_a_stack_was_changed_or_added(stack: str) -> None:
    references = References(REFERENCES / stack)
    listed = {entry["file"] for entry in references.provenance["cases"]}
    files = {path.name for path in references.folder.iterdir() if path.is_file()}
    assert files == listed | {"provenance.json"}
    for entry in references.provenance["cases"]:
        assert tuple(references._read(entry)["fits"]) == references.engines


@pytest.mark.needs_r
@pytest.mark.parametrize("engine_id", ["lme4", "nlme"])
@pytest.mark.parametrize(
    "case", ["seed_case1", "seed_case2", "seed_case3", "Rail", "sleepstudy", "Penicillin", "Oats"]
)
def test_live_r_agrees_with_the_recorded_stack_of_its_versions(engine_id: str, case: str) -> None:
    design = corpus_design(case)
    live = make_engine(engine_id).fit(design)
    same = [s for s in stacks() if playback(s, engine_id).fit(design).versions == live.versions]
    if not same:
        pytest.skip(f"no stack is recorded with {dict(live.versions)}")
    recorded = playback(same[0], engine_id).fit(design)
    for name, quantity in recorded.quantities.items():
        # The same code on another processor may round otherwise, and an optimiser that looks at
        # function values then stops anywhere within about sqrt(eps), here 1.5e-8 times 100.
        scale = np.abs(quantity.values).max()
        assert np.abs(live[name] - quantity.values).max() <= 1.5e-6 * scale, name


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(REFERENCES / "bookworm", tmp_path / "copy"))


def engine_of(folder: Path) -> RecordedEngine:
    return RecordedEngine("recorded:copy/lme4", "lme4", References(folder))


def test_a_changed_file_is_not_played_back(copy: Path) -> None:
    design = corpus_design("seed_case1")
    assert engine_of(copy).fit(design).status == "ok"
    path = copy / "seed_case1.reml.json"
    path.write_text(path.read_text().replace("0.961611", "0.961612", 1))
    fit = engine_of(copy).fit(design)
    assert fit.status == "error"
    assert "seed_case1.reml.json of copy was changed after it was recorded" in fit.messages[0]


def test_other_data_are_not_played_back(copy: Path) -> None:
    frame = corpus_design("seed_case1").dataset.frame.copy()
    frame.loc[0, "dependent"] = np.nextafter(frame.loc[0, "dependent"], 0)
    fit = engine_of(copy).fit(design_of(frame))
    assert fit.status == "unsupported"
    assert "on these data (mine) is not recorded in copy" in fit.messages[0]


def test_another_model_is_not_played_back(copy: Path) -> None:
    frame = corpus_design("seed_case1").dataset.frame
    reason = engine_of(copy).unsupported(design_of(frame, "dependent ~ 1 + (1|cluster)"))
    assert reason is not None
    assert "'dependent ~ 1 + (1|cluster)' under REML" in reason


def test_another_order_of_levels_is_not_played_back(copy: Path) -> None:
    frame = corpus_design("seed_case1").dataset.frame.copy()
    frame["predictor"] = frame["predictor"].cat.reorder_categories(["intervention", "control"])
    reason = engine_of(copy).unsupported(design_of(frame))
    assert reason is not None
    assert "factor levels in another order" in reason


def test_the_same_model_typed_otherwise_is_played_back(copy: Path) -> None:
    frame = corpus_design("seed_case1").dataset.frame
    typed = design_of(frame, "dependent~1+predictor+( 1 | cluster )")
    assert engine_of(copy).fit(typed).status == "ok"


def design_of(frame: pd.DataFrame, formula: str = "dependent ~ predictor + (1|cluster)") -> Design:
    return build_design(Dataset("mine", frame), parse_formula(formula))


def test_an_engine_that_was_not_recorded_for_a_case_says_so(copy: Path) -> None:
    engine = replace(engine_of(copy), engine_id="other")
    fit = engine.fit(corpus_design("seed_case1"))
    assert fit.status == "unsupported"
    assert "other was not recorded for this case" in fit.messages[0]


@pytest.mark.parametrize(
    ("engine_id", "words"),
    [
        ("recorded", "recorded:bookworm/lme4"),
        ("recorded:bookworm", "recorded:bookworm/lme4"),
        ("recorded:potato/lme4", "no recorded stack 'potato'; there are: bookworm, sid, trixie"),
        ("recorded:sid/statsmodels", "'statsmodels' is not recorded in sid; there are: lme4"),
    ],
)
def test_what_is_not_recorded_is_named(engine_id: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        make_engine(engine_id)


def test_a_fit_survives_the_file_to_the_bit() -> None:
    values = np.array([0.1, -0.0, 5e-324, np.nan, np.inf, -np.inf])
    rows = tuple("abcdef")
    quantities = {
        "beta": Quantity("beta", values, rows),
        "fitted": Quantity("fitted", values, ("1", "2", "3", "4", "5", "6")),
        "sigma": Quantity("sigma", np.array(1 / 3)),
        "beta_cov": Quantity("beta_cov", np.arange(4.0).reshape(2, 2), ("a", "b"), ("a", "b")),
    }
    fit = Fit(
        "e", "ok", quantities, True, None, ("said",), {"k": "v"}, {"R": "4"}, design_error=np.nan
    )
    back = decode_fit("e", json.loads(json.dumps(encode_fit(fit), allow_nan=False)))
    for name, quantity in quantities.items():
        assert back.quantities[name].rows == quantity.rows
        assert back.quantities[name].columns == quantity.columns
        assert back[name].tobytes() == quantity.values.tobytes()
    assert np.isnan(back.design_error or 0.0)
    for field in ("engine", "status", "converged", "singular", "messages", "settings", "versions"):
        assert getattr(back, field) == getattr(fit, field)


def test_keys_tell_models_and_designs_apart() -> None:
    formulas = ["y ~ x + (1|g)", "y ~ 0 + x + (1|g)", "y ~ x + (x|g)", "y ~ x + (x||g)"]
    keys = [model_key(parse_formula(f, m)) for f in formulas for m in ("REML", "ML")]
    assert len(set(keys)) == 8
    design = corpus_design("sleepstudy")
    changed = [
        replace(design, y=design.y * (1 + 1e-10)),
        replace(design, X=design.X + 1e-9),
        replace(design, blocks=(replace(design.blocks[0], codes=design.blocks[0].codes[::-1]),)),
    ]
    assert len({design_sha256(d) for d in [design, *changed]}) == 4
    rounding = replace(design, X=design.X * (1 + 2e-16))
    assert design_sha256(rounding) == design_sha256(design)


def test_what_a_record_of_large_data_leaves_out_is_said_and_skipped() -> None:
    """Records of bdf have no fitted values; that is no failure of the engine that was recorded."""
    design = corpus_design("bdf")
    fit = make_engine("recorded:bookworm/lme4").fit(design)
    reason = "not recorded: records of more than 2000 rows leave it out"
    assert fit.not_given == {"fitted": reason}
    model = certified_model(design)
    truth = Fit("certified", "ok", model.optimum.quantities)
    lines = compare(fit, truth, derive_tolerances(design, model))
    skipped = {(line.quantity, line.reason) for line in lines if line.verdict != "pass"}
    assert skipped == {("fitted", reason)}


def test_a_record_of_few_rows_without_fitted_values_is_a_fault() -> None:
    fit = make_engine("recorded:bookworm/lme4").fit(corpus_design("sleepstudy"))
    assert "fitted" in fit.quantities
    assert fit.not_given == {}
