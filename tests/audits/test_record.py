"""Recording writes whole files, the same bytes every time, and never mixes two R stacks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from pp_compare.audits import record as module
from pp_compare.audits.record import record, record_glmm
from pp_compare.cli.app import app
from pp_compare.cli.commands.record import _chosen
from pp_compare.data.corpus import case
from pp_compare.data.glmm_corpus import glmm_case
from pp_compare.engines import make_engine
from pp_compare.engines.glmm.r import glmm_fits
from pp_compare.engines.glmm.recorded import RecordedGlmm
from pp_compare.engines.recorded import RecordedEngine, References
from pp_compare.errors import InputError, UnavailableError
from tests.examples import corpus_design

pytestmark = pytest.mark.needs_r

RSCRIPT = ("Rscript",)
CASES = [case("seed_case1"), case("two_optima_ml")]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("references") / "here"
    record(RSCRIPT, CASES, folder, engines=("lme4", "nlme"))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_it_writes_a_file_a_case_and_method_and_the_provenance(stack: Path) -> None:
    assert set(contents(stack)) == {
        "seed_case1.reml.json",
        "seed_case1.ml.json",
        "two_optima_ml.ml.json",
        "provenance.json",
    }


def test_recording_again_changes_no_byte(stack: Path) -> None:
    before = contents(stack)
    told: list[str] = []
    written = record(RSCRIPT, CASES, stack, engines=("lme4", "nlme"), progress=told.append)
    assert contents(stack) == before
    assert [path.name for path in written] == [*told, "provenance.json"]


def test_one_case_more_leaves_the_others(stack: Path) -> None:
    before = contents(stack)
    record(RSCRIPT, [case("Rail")], stack, engines=("lme4", "nlme"))
    after = contents(stack)
    assert set(after) - set(before) == {"Rail.reml.json", "Rail.ml.json"}
    assert all(after[name] == text for name, text in before.items() if name != "provenance.json")
    assert RecordedEngine("r", "nlme", References(stack)).fit(corpus_design("Rail")).status == "ok"


def test_what_is_played_back_has_the_bits_of_the_live_fit(stack: Path) -> None:
    design = corpus_design("seed_case1", "ML")
    for engine_id in ("lme4", "nlme"):
        live = make_engine(engine_id).fit(design)
        back = RecordedEngine(engine_id, engine_id, References(stack)).fit(design)
        assert list(back.quantities) == list(live.quantities)
        for name, quantity in live.quantities.items():
            assert np.array_equal(back[name], quantity.values)
            assert back.quantities[name].rows == quantity.rows
        assert back.messages == live.messages
        assert back.versions == live.versions


def test_files_hold_no_time_and_no_path(stack: Path) -> None:
    for text in contents(stack).values():
        assert b"seconds" not in text
        assert str(stack.parent).encode() not in text
        assert str(Path.home()).encode() + b"/" not in text


def test_many_rows_are_recorded_without_fitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ROWS_FITTED", 63)
    record(RSCRIPT, CASES, tmp_path / "short", engines=("lme4",))
    engine = RecordedEngine("r", "lme4", References(tmp_path / "short"))
    assert "fitted" not in engine.fit(corpus_design("seed_case1")).quantities
    assert "fitted" in engine.fit(corpus_design("two_optima_ml", "ML")).quantities


def test_two_stacks_are_not_mixed(stack: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    provenance = json.loads((stack / "provenance.json").read_text())
    provenance["versions"]["lme4"] = "9.9-9"
    (other / "provenance.json").write_text(json.dumps(provenance))
    with pytest.raises(InputError, match=r"versions .*9\.9-9.*record into another folder"):
        record(RSCRIPT, CASES, other, engines=("lme4", "nlme"))
    with pytest.raises(InputError, match="engines"):
        record(RSCRIPT, CASES, stack, engines=("lme4",))


def test_without_an_r_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="no-such-program"):
        record(["no-such-program"], CASES, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_write_that_fails_leaves_the_old_file(
    stack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(stack)

    def full(self: Path, target: Path) -> None:
        self.unlink()
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space"):
        record(RSCRIPT, CASES, stack, engines=("lme4", "nlme"))
    assert contents(stack) == before


def test_generalised_models_have_a_folder_of_their_own_in_the_stack(tmp_path: Path) -> None:
    stack, engines = tmp_path / "here", ("lme4", "lme4:agq:10", "glmmpql")
    cases = [glmm_case("glmm_rare"), glmm_case("glmm_overdispersed")]
    told: list[str] = []
    written = record_glmm(RSCRIPT, cases, stack, engines, progress=told.append)
    assert [path.name for path in written] == [*told, "provenance.json"]
    assert set(contents(stack / "glmm")) == {
        "glmm_rare.json", "glmm_overdispersed.json", "provenance.json",
    }  # fmt: skip
    before = contents(stack / "glmm")
    record_glmm(RSCRIPT, cases, stack, engines)
    assert contents(stack / "glmm") == before
    provenance = json.loads(before["provenance.json"])
    assert provenance["stack"] == "here"
    assert provenance["definitions"] == {
        "lme4": "laplace", "lme4:agq:10": "agq:10", "glmmpql": "pql",
    }  # fmt: skip
    design = cases[0].design()
    references = References(stack / "glmm", "here")
    for engine in engines:
        (live,) = glmm_fits(RSCRIPT, [(engine, design)])
        back = RecordedGlmm(engine, engine, references).fit(design)
        assert (back.definition, back.versions) == (live.definition, live.versions)
        for name, quantity in live.quantities.items():
            assert np.array_equal(back[name], quantity.values)
    several = RecordedGlmm("r", "lme4:agq:10", references).fit(cases[1].design())
    assert several.status == "unsupported"


def test_the_command_records_linear_and_generalised_cases_each_in_their_place(
    tmp_path: Path,
) -> None:
    done = CliRunner().invoke(
        app, ["record", str(tmp_path / "s"), "glmm_rare", "smallest", "--engine", "lme4"]
    )
    assert done.exit_code == 0, done.output
    assert "5 files in" in done.output
    assert set(contents_of_files(tmp_path / "s")) == {
        "smallest.reml.json", "smallest.ml.json", "provenance.json",
    }  # fmt: skip
    assert set(contents(tmp_path / "s" / "glmm")) == {"glmm_rare.json", "provenance.json"}


def contents_of_files(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.is_file()]


@pytest.mark.parametrize(
    ("engines", "linear", "generalised"),
    [
        (None, True, True),
        (["lme4"], True, True),
        (["nlme"], True, False),
        (["lme4:agq:10", "glmmpql"], False, True),
    ],
)
def test_without_names_all_cases_are_recorded_that_the_engines_are_for(
    engines: list[str] | None, linear: bool, generalised: bool
) -> None:
    found = _chosen(None, engines)
    assert (bool(found[0]), bool(found[1])) == (linear, generalised)
