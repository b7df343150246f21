"""The plain functions: checks one by one, and an audit of one engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pp_compare.conformance import ConformanceError, parametrize_with_cases
from pp_compare.conformance.checks import Check, checks_of
from pp_compare.conformance.models import model_of_data, models_of
from pp_compare.conformance.trial import Trial
from pp_compare.data.corpus import all_cases
from pp_compare.engines import make_engine
from pp_compare.errors import InputError
from pp_compare.model import Fit
from pp_compare.verdict.deviations import load_deviations
from tests.broken_engines import Broken, altered
from tests.examples import clusters
from tests.faulty_engines import certified
from tests.plain_engine import Plain


def by_id(checks: list[Check], kind: str) -> dict[str, Check]:
    return {check.id: check for check in checks if check.kind == kind}


def test_every_check_of_a_sound_engine_passes_and_ids_are_unique() -> None:
    checks = parametrize_with_cases(Broken("candidate", Plain()), ["seed_case1", "seed_case3"])
    assert len({(check.kind, check.id) for check in checks}) == len(checks)
    verdicts = {check.run().verdict for check in checks if check.model.method == "REML"}
    assert verdicts == {"pass"}
    truth = by_id(checks, "truth")["seed_case1-REML-beta"]
    truth()
    assert truth.run().digits > 6


def test_ids_name_the_group_only_where_there_are_several() -> None:
    ids = {str(c) for c in parametrize_with_cases("statsmodels", ["sleepstudy", "Penicillin"])}
    assert {"sleepstudy-REML-blup", "Penicillin-ML-blup-plate-lme4"} < ids
    assert "Penicillin-REML-random_cov-sample" in ids


def test_a_wrong_number_raises_and_says_what_and_why() -> None:
    def off(design) -> Fit:
        return altered(certified(design), "beta_se", lambda se: se * 1.01)

    checks = parametrize_with_cases(Broken("candidate", off), ["seed_case1"], methods=["REML"])
    check = by_id(checks, "truth")["seed_case1-REML-beta_se"]
    with pytest.raises(ConformanceError) as error:
        check()
    text = str(error.value)
    right = make_engine("certified").fit(check.model.design)["beta_se"][0]
    assert text.startswith("beta_se ")
    assert "digits: candidate differs from the certified optimum" in text
    assert repr(float(right)) in text
    assert repr(float(right * 1.01)) in text
    assert "digits     2.0" in text
    assert "cause      post-processing" in text
    by_id(checks, "truth")["seed_case1-REML-beta"]()


def test_an_engine_that_raises_fails_once_and_the_rest_says_where() -> None:
    engine = Broken("candidate", lambda _: Fit.failed("candidate", "MemoryError: no room"))
    checks = parametrize_with_cases(engine, ["seed_case1"], methods=["ML"])
    outcomes = {(c.kind, c.id): c.run() for c in checks}
    failed = [key for key, outcome in outcomes.items() if outcome.verdict == "fail"]
    assert failed == [("answer", "seed_case1-ML-answer")]
    assert "MemoryError: no room" in outcomes[failed[0]].text
    assert "see seed_case1-ML-answer" in outcomes["truth", "seed_case1-ML-beta"].text


def test_an_engine_that_cannot_express_a_model_is_asked_once() -> None:
    class Narrow(Broken):
        def unsupported(self, design):
            return "no random slopes"

    engine = Narrow("candidate", certified)
    checks = parametrize_with_cases(engine, ["sleepstudy"], methods=["REML"])
    assert [c.run().text for c in checks] == [
        "candidate cannot express the model: no random slopes"
    ]


def test_known_deviations_are_known_and_those_that_no_longer_show_fail() -> None:
    case = "no_between_variance"
    known = parametrize_with_cases("statsmodels:lbfgs", [case], methods=["REML"])
    outcome = by_id(known, "truth")[f"{case}-REML-beta"].run()
    assert outcome.verdict == "known"
    assert outcome.text.startswith("statsmodels-10239: ")
    pinned = by_id(known, "deviation")[f"{case}-REML-statsmodels-10239"]
    assert pinned.run().verdict == "pass"

    class Repaired(Broken):
        pass

    def right(design) -> Fit:
        versions = {"statsmodels": "0.15.0"}
        return replace(certified(design), engine="statsmodels:lbfgs", versions=versions)

    repaired = parametrize_with_cases(Repaired("statsmodels:lbfgs", right), [case])
    with pytest.raises(ConformanceError, match="statsmodels-10239 no longer shows"):
        by_id(repaired, "deviation")[f"{case}-REML-statsmodels-10239"]()


def test_a_deviation_of_another_version_is_left_out_with_the_reason() -> None:
    entry = next(e for e in load_deviations() if e.id == "statsmodels-10239")
    old = replace(entry, versions=entry.versions.__class__("<0.1"))
    case = ["no_between_variance"]
    checks = parametrize_with_cases("statsmodels:lbfgs", case, methods=["REML"], registry=[old])
    (check,) = by_id(checks, "deviation").values()
    outcome = check.run()
    assert outcome.verdict == "skip"
    assert "is about statsmodels<0.1" in outcome.text


def test_levels_grow_and_unknown_words_are_refused() -> None:
    quick, full, search = (len(models_of(level)) for level in ("quick", "full", "search"))
    assert 0 < quick < full < search == sum(len(case.methods) for case in all_cases())
    with pytest.raises(InputError, match="the level is quick, full, search, not 'deep'"):
        models_of("deep")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no case 'nothing'"):
        models_of(names=["nothing"])


@pytest.mark.parametrize(
    ("engine", "references", "words"),
    [
        ("certified", ["certified"], "'certified' would be held against itself"),
        ("statsmodels", ["recorded:nowhere"], "no recorded stack 'nowhere'; there are: bookworm"),
        ("statsmodels", ["lme4"], "certified, recorded:STACK or live, not 'lme4'"),
        ("statsmodels", ["recorded:bookworm", "recorded:sid"], "come from one source"),
        ("no_such_engine", ["certified"], "no engine 'no_such_engine'"),
    ],
)
def test_bad_references_are_refused(engine: str, references: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Trial(engine, references)


def test_without_references_only_algebra_is_asked() -> None:
    trial = Trial("statsmodels", [], registry=[])
    kinds = {check.kind for check in checks_of(trial, models_of(names=["seed_case1"]))}
    assert kinds == {"answer", "identity"}


def test_data_of_ones_own_need_no_files() -> None:
    frame = clusters(7, [4, 9, 5, 12, 3, 8], between=2.0)
    model = model_of_data(frame, "y ~ x + (1|g)", "REML")
    good = Trial(Broken("candidate", Plain()), ["certified"]).judged(model)
    assert (good.title, good.failing) == ("data REML", False)
    wrong = Broken("candidate", lambda d: altered(certified(d), "sigma", np.square))
    assert Trial(wrong, ["certified"]).judged(model).failing


def test_a_failing_model_leaves_a_bundle_and_a_passing_one_none(tmp_path: Path) -> None:
    def only_ml_wrong(design) -> Fit:
        fit = certified(design)
        return altered(fit, "sigma", np.square) if design.spec.method == "ML" else fit

    trial = Trial(Broken("candidate", only_ml_wrong), bundle=tmp_path)
    for model in models_of(names=["seed_case1"]):
        trial.judged(model)
    assert [path.name for path in tmp_path.iterdir()] == ["seed_case1-ML"]
    issue = (tmp_path / "seed_case1-ML" / "ISSUE-candidate.md").read_text(encoding="utf-8")
    assert "candidate is wrong" in issue
