"""Releases on generalised models: stacks of R side by side, statsmodels' posteriors."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from pp_compare.audits.glmm_asked import selection_of
from pp_compare.cli.app import app
from pp_compare.cli.entry import explained
from pp_compare.data.glmm_corpus import glmm_case
from pp_compare.engines.glmm import bayes_mixed
from pp_compare.engines.glmm.registry import fit_glmm
from pp_compare.engines.glmm.statsmodels import make
from pp_compare.errors import EngineError, InputError
from pp_compare.releases.candidate import Effort, RCandidate, RecordedCandidate
from pp_compare.releases.check import Plan, check
from pp_compare.releases.dialect import BayesDialect
from pp_compare.releases.difference import difference
from pp_compare.releases.named import (
    choose_dialects,
    glmm_r_candidates,
    glmm_r_engines,
    recorded_candidates,
)
from pp_compare.releases.noise import Noise
from pp_compare.releases.pair import Pair
from pp_compare.releases.platform import Platform, variants
from pp_compare.releases.store import Store
from pp_compare.releases.subject import GlmmSubject
from pp_compare.report.release.record import Change, ReleaseReport
from pp_compare.report.release.tables import judged
from pp_compare.verdict.deviations import load_glmm_deviations

PLATFORM = Platform()


def subject(name: str) -> GlmmSubject:
    selection = selection_of(glmm_case(name))
    return GlmmSubject(selection, selection.design())


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> ReleaseReport:
    """lme4 1.1-31 and 2.1-0 on cbpp, by Laplace and by quadrature."""
    store = Store(tmp_path_factory.mktemp("store"))
    effort = Effort(60.0, 1)
    plan = Plan(
        PLATFORM, variants(PLATFORM), effort, {}, load_glmm_deviations(), store, probes=False
    )
    named = [
        candidate
        for stack in ("bookworm", "sid")
        for candidate in recorded_candidates(stack, True, ["default", "agq:10"])
    ]
    return check(named, [subject("cbpp")], plan, {})


def standing(report: ReleaseReport) -> list[str]:
    return [c.cases[0].judgements[0].standing for c in report.candidates]


def changes(report: ReleaseReport, engine: str) -> list[Change]:
    (found,) = [d for d in report.differences if d.before.startswith(f"{engine} ")]
    return list(found.changes)


def test_each_is_judged_by_its_own_criterion(report: ReleaseReport) -> None:
    assert standing(report) == ["wrong", "right, other definition", "right", "right"]
    assert [c.label for c in report.candidates][::2] == [
        "1.1-31 (R 4.2.2, recorded)", "2.1-0 (R 4.6.2, recorded)",
    ]  # fmt: skip
    told = judged(report)
    assert len(told) == 4
    assert "1.1-31 (R 4.2.2, recorded) on cbpp binomial(logit): lme4 is wrong by Lap" in told[0]


def test_what_2_1_mended_is_better(report: ReleaseReport) -> None:
    laplace, quadrature = changes(report, "lme4"), changes(report, "lme4:agq:10")
    assert "worse" not in {c.direction for c in (*laplace, *quadrature)}
    better = [(c.kind, c.subject) for c in laplace if c.direction == "better"]
    assert ("standing", "wrong became right") in better
    assert ("deviation", "glmer-stale-determinant") in better
    assert ("value", "loglik") in better
    (constant,) = [c for c in quadrature if c.kind == "standing"]
    assert constant.subject == "right, other definition became right"
    assert "it counts its log-likelihood, -50.005015, from the saturated" in constant.before
    assert constant.after == "lme4:agq:10 is right by 10-node quadrature, at the optimum"


def test_what_is_played_back_has_no_noise_to_measure(report: ReleaseReport) -> None:
    assert report.noise == ()
    assert report.exit_status("worse") == 0
    assert report.exit_status("any") == 1


def test_the_other_way_round_it_is_worse(report: ReleaseReport) -> None:
    old, new = report.candidates[0], report.candidates[2]
    back = difference(new, old, {})
    assert ("standing", "worse") in {(c.kind, c.direction) for c in back.changes}


def test_a_model_that_is_not_judged_has_no_standing_to_change(report: ReleaseReport) -> None:
    one, two = report.candidates[0].cases[0], report.candidates[2].cases[0]
    unjudged = replace(one, judgements=(replace(one.judgements[0], standing="not judged"),))
    for before, kinds in ((one, {"standing"}), (unjudged, set()), (two, set())):
        seen = {s.change.kind for s in Pair(before, two, Noise()).changes()}
        assert seen & {"standing"} == kinds


def test_a_recorded_candidate_plays_back_and_runs_nothing() -> None:
    (candidate,) = recorded_candidates("sid", True, ["default"])
    assert isinstance(candidate, RecordedCandidate)
    design = subject("cbpp").design
    (fit,) = candidate.fits([design], PLATFORM, Effort())
    assert fit.engine == "lme4"
    assert np.array_equal(fit["beta"], fit_glmm("recorded:sid/lme4", design)["beta"])
    assert candidate.versions(PLATFORM, Effort())["lme4"] == "2.1-0"
    assert candidate.identity() != next(iter(recorded_candidates("trixie", True, None))).identity()
    (answer,) = candidate.calls([("score", ())], PLATFORM, Effort())
    assert isinstance(answer, EngineError)


def test_linear_models_of_a_stack_are_candidates_too() -> None:
    found = list(recorded_candidates("trixie", False, None))
    assert [(c.engine, c.label) for c in found] == [
        ("lme4", "1.1-37 (R 4.5.0, recorded)"), ("nlme", "3.1-168 (R 4.5.0, recorded)"),
    ]  # fmt: skip


def test_settings_are_those_of_glmer() -> None:
    assert glmm_r_engines(None) == ["lme4", "lme4:tight", "lme4:agq:10"]
    assert glmm_r_engines(["default", "agq:5"]) == ["lme4", "lme4:agq:5"]
    with pytest.raises(InputError, match="lme4 has no setting 'lbfgs' for generalised models"):
        glmm_r_engines(["lbfgs"])


@pytest.mark.needs_r
def test_the_r_of_a_command_is_a_candidate() -> None:
    (candidate,) = glmm_r_candidates("Rscript", ["default"])
    assert isinstance(candidate, RCandidate)
    design = subject("cbpp").design
    (fit,) = candidate.fits([design], PLATFORM, Effort(60.0))
    assert (fit.status, fit.definition) == ("ok", "laplace")
    assert candidate.label.startswith(fit.versions["lme4"])


def test_a_command_that_is_no_r_costs_a_row() -> None:
    found = list(glmm_r_candidates("no-such-program", None))
    assert [c.engine for c in found] == ["lme4", "lme4:tight", "lme4:agq:10"]
    assert all("no-such-program" in getattr(c, "problem", "") for c in found)


# ---- statsmodels --------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", ["vb", "map"])
def test_a_release_of_statsmodels_is_asked_by_the_code_of_this_process(setting: str) -> None:
    design = subject("glmm_one_large").design
    (dialect,) = choose_dialects("statsmodels", None, [setting], of_glmm=True)
    assert isinstance(dialect, BayesDialect)
    assert dialect.adapter.name == "bayes_mixed.py"
    request = dialect.request(design)
    assert isinstance(request, dict)
    there = dialect.read(design, bayes_mixed.fit(request), bayes_mixed.about())
    here = fit_glmm(f"statsmodels:{setting}", design)
    assert (there.definition, there.versions["statsmodels"]) == (
        setting, here.versions["statsmodels"],
    )  # fmt: skip
    for name in here.quantities:
        assert np.array_equal(there[name], here[name])


def test_what_statsmodels_cannot_express_and_what_it_raises_are_answers() -> None:
    dialect = BayesDialect(make("vb"))
    assert "a row for each trial" in str(dialect.request(subject("cbpp").design))
    design = subject("glmm_one_large").design
    request = dialect.request(design)
    assert isinstance(request, dict)
    failed = dialect.read(design, bayes_mixed.fit({**request, "X": request["X"][:3]}), {})
    assert failed.status == "error"
    assert failed.messages[0].startswith("raised ")


def test_the_start_is_the_same_whatever_was_drawn_before() -> None:
    request = BayesDialect(make("vb")).request(subject("glmm_one_large").design)
    assert isinstance(request, dict)
    # Releases before 0.15 draw from numpy's global generator.
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = (bayes_mixed.fit(request) for _ in range(2))
    assert np.array_equal(first["beta"], second["beta"])
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_other_packages_have_no_generalised_models() -> None:
    with pytest.raises(InputError, match="of generalised models statsmodels is checked"):
        choose_dialects("mypackage", Path("adapter.py"), None, of_glmm=True)


# ---- the command --------------------------------------------------------------------------------


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["releases", *words])
    if isinstance(done.exception, SystemExit) or done.exception is None:
        return done.exit_code, done.output
    sentence, status = explained(done.exception)
    return status, sentence


def test_two_stacks_side_by_side_in_one_command(tmp_path: Path) -> None:
    status, said = run(
        "--recorded", "bookworm", "--recorded", "sid", "--case", "cbpp", "--setting", "default",
        "--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "out"),
    )  # fmt: skip
    assert status == 0, said
    assert "wrong became right" in said
    assert "lme4 is right by Laplace's approximation" in " ".join(said.split())
    document = json.loads((tmp_path / "out" / "releases.json").read_text())
    assert [c["versions"]["lme4"] for c in document["candidates"]] == ["1.1-31", "2.1-0"]
    assert "wrong became right" in (tmp_path / "out" / "releases.md").read_text()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "or give --rscript or --recorded"),
        (("--recorded", "potato"), "no recorded stack 'potato'"),
        (("--recorded", "potato", "--case", "cbpp"), "no stack 'potato' has generalised models"),
        (("--recorded", "sid", "--case", "cbpp", "--setting", "agq:7"), "'lme4:agq:7' is not rec"),
        (("--recorded", "sid", "--case", "cbpp", "--generated", "5"), "--generated models are lin"),
        (("--recorded", "sid", "--family", "gaussian"), "--family is binomial or poisson"),
        (("0.15.0", "--case", "cbpp", "--setting", "bfgs"), "statsmodels has no maximum likelihoo"),
    ],
)  # fmt: skip
def test_bad_input_ends_with_a_sentence(words: tuple[str, ...], says: str) -> None:
    status, said = run(*words)
    assert (status, says in said) == (2, True), said
