"""The suite on engines of generalised models: a sound one passes, a faulty one fails and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import statsmodels.formula.api  # noqa: F401  # an inner run would load it again and again

from pp_compare.certified.glmm.model import GlmmModel
from pp_compare.conformance.checks import ConformanceError
from pp_compare.conformance.contract import CONTRACT
from pp_compare.conformance.glmm.checks import GlmmCheck, glmm_checks_of
from pp_compare.conformance.glmm.contract import GlmmAdapter
from pp_compare.conformance.glmm.models import LONG, glmm_models_of
from pp_compare.conformance.glmm.relations import RELATIONS
from pp_compare.conformance.glmm.trial import GlmmTrial
from pp_compare.conformance.wording import MEANING
from pp_compare.data.glmm_corpus import glmm_case, glmm_cases
from pp_compare.errors import InputError
from pp_compare.identities.glmm import GLMM_IDENTITIES
from pp_compare.model import Fit
from pp_compare.model.glmm import GlmmDesign
from tests.conformance import glmm_engines
from tests.conformance.glmm_engines import Candidate
from tests.verdict.faulty_glmm_engines import FAULTS, Fault

pytest_plugins = ["pytester"]
SUITE = ("--pyargs", "pp_compare.conformance")


LONGER = ("glmm_one_large", "glmm_overdispersed", "glmm_boundary")


def failures(engine: Candidate, case: str = "cbpp") -> dict[str, GlmmCheck]:
    """Checks that fail by themselves, not because another one does, as ``truth beta``."""
    checks = list(glmm_checks_of(GlmmTrial(engine), glmm_models_of(names=[case])))
    assert len(checks) > 8
    return {
        f"{check.kind} {check.subject}": check
        for check in checks
        if (outcome := check.run()).verdict == "fail" and not outcome.follows
    }


@pytest.mark.parametrize(
    "case",
    [
        "cbpp",
        "glmm_exposure",
        *(pytest.param(name, marks=pytest.mark.slow) for name in LONGER),
    ],
)
def test_a_sound_engine_fails_nothing(case: str) -> None:
    assert failures(Candidate(), case) == {}


@pytest.mark.slow
@pytest.mark.parametrize("definition", ["exact", "agq:10"])
def test_a_sound_engine_of_another_criterion_fails_nothing(definition: str) -> None:
    assert failures(Candidate(definition=definition)) == {}


def test_where_there_is_no_maximum_nothing_is_asked() -> None:
    engine = Candidate()
    for check in glmm_checks_of(GlmmTrial(engine), glmm_models_of(names=["glmm_separated"])):
        assert check.run().verdict == "skip"


@pytest.mark.parametrize(
    ("change", "check", "words"),
    [
        (glmm_engines.stops_early, "truth criterion", MEANING["optimiser"]),
        (glmm_engines.drops_the_constant, "truth loglik", MEANING["objective"]),
        (glmm_engines.exact_called_laplace, "truth loglik", MEANING["objective"]),
        (glmm_engines.variances_for_errors, "truth beta_se", MEANING["post-processing"]),
        (
            glmm_engines.modes_of_the_next_group,
            "identity modes-solve-their-equations",
            "conditional modes solve Z'(y - mu) = Sigma^-1 b",
        ),
        (
            glmm_engines.modes_without_their_mean,
            "identity modes-sum",
            "the modes of a random intercept sum to",
        ),
        (
            glmm_engines.stops_early_where_failures_prevail,
            "identity outcome-swapped",
            "successes called failures",
        ),
        (glmm_engines.no_numbers, "answer answer", MEANING["failure"]),
        (glmm_engines.raises, "answer answer", "raised ZeroDivisionError: a variance of 0"),
        (glmm_engines.names_nothing, "answer answer", "does not name its criterion"),
    ],
)
def test_a_faulty_engine_fails_by_its_own_test(
    change: Callable[[GlmmDesign, Fit], Fit], check: str, words: str
) -> None:
    found = failures(Candidate(change))
    assert check in found, list(found)
    with pytest.raises(ConformanceError) as failure:
        found[check]()
    assert words in str(failure.value)


@dataclass(frozen=True)
class Broken:
    """A faulty engine of the verdict's tests."""

    fault: Fault
    name: str = "candidate"
    definition: str = "laplace"

    def unsupported(self, design: GlmmDesign) -> None:
        del design

    def fit(self, design: GlmmDesign) -> Fit:
        return self.fault.fit(GlmmModel(design))


@pytest.mark.parametrize(
    "fault", [f for f in FAULTS if f.cause != "definition"], ids=lambda fault: fault.name
)
def test_every_fault_of_the_verdicts_fails_with_its_cause(fault: Fault) -> None:
    trial = GlmmTrial(Broken(fault))
    checks = glmm_checks_of(trial, glmm_models_of(names=["cbpp"]), ("answer", "truth"))
    outcomes = [check.run() for check in checks]
    texts = [o.text for o in outcomes if o.verdict == "fail" and not o.follows]
    assert texts
    assert all(MEANING[fault.cause] in text for text in texts)


def test_what_follows_names_the_test_that_it_follows_from() -> None:
    trial = GlmmTrial(Candidate(glmm_engines.stops_early))
    checks = list(glmm_checks_of(trial, glmm_models_of(names=["cbpp"])))
    follows = {c.subject: o.follows for c in checks if (o := c.run()).verdict == "fail"}
    assert follows["criterion"] == ""
    assert follows["beta"] == follows["score-is-zero"] == "test_truth[cbpp-binomial-criterion]"


@pytest.mark.parametrize("relation", RELATIONS, ids=lambda relation: relation.id)
def test_a_relation_holds_for_certified_numbers_and_not_for_shifted_ones(relation) -> None:
    name = next(
        case.name
        for case in glmm_cases()
        if case.name not in LONG and relation.change(case.design()) is not None
    )
    (model,) = glmm_models_of(names=[name])
    lines = GlmmTrial(Candidate()).relation(model, relation)
    assert lines
    assert {line.verdict for line in lines} == {"pass"}

    def once(design: GlmmDesign, fit: Fit) -> Fit:
        """Another answer the second time: for a model that is not the first one."""
        if design is model.design:
            return fit
        loglik = np.array(float(fit["loglik"]) + 1e-5)
        return glmm_engines.changed(design, fit, loglik=loglik)

    lines = GlmmTrial(Candidate(once)).relation(model, relation)
    assert {line.quantity for line in lines if line.verdict == "fail"} == {"loglik"}


def test_an_engine_that_fails_on_the_changed_data_alone_contradicts_itself() -> None:
    (model,) = glmm_models_of(names=["cbpp"])

    def once(design: GlmmDesign, fit: Fit) -> Fit:
        return fit if design is model.design else Fit.failed("candidate", "no such outcome")

    found = list(glmm_checks_of(GlmmTrial(Candidate(once)), [model], ["identity"]))
    failed = [c for c in found if c.run().verdict == "fail"]
    assert {c.subject for c in failed} >= {"outcome-swapped", "clusters-twice", "rows-permuted"}
    assert "no such outcome" in failed[0].run().text


def test_one_row_a_trial_is_asked_of_trials_alone() -> None:
    subjects = {
        name: {
            c.subject for c in glmm_checks_of(GlmmTrial(Candidate()), glmm_models_of(names=[name]))
        }
        for name in ("cbpp", "glmm_exposure")
    }
    assert {"trials-apart", "outcome-swapped"} <= subjects["cbpp"]
    assert not {"trials-apart", "outcome-swapped"} & subjects["glmm_exposure"]


# ---- the contract -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def adapter() -> GlmmAdapter:
    return GlmmAdapter(Candidate())


@pytest.mark.parametrize("clause", CONTRACT, ids=lambda clause: clause.id)
def test_a_sound_adapter_keeps_the_contract(clause, adapter: GlmmAdapter) -> None:
    clause(adapter)


def _bare(design: GlmmDesign, fit: Fit) -> Fit:
    return replace(fit, quantities={n: q for n, q in fit.quantities.items() if n != "loglik"})


def _with_sigma(design: GlmmDesign, fit: Fit) -> Fit:
    return glmm_engines.changed(design, fit, sigma=np.array(1.0))


def _writes(design: GlmmDesign, fit: Fit) -> Fit:
    design.y[0] = 1 - design.y[0]
    return fit


def _by_first_row(design: GlmmDesign, fit: Fit) -> Fit:
    shift = 0.01 * fit["beta_se"] * (design.y[0] % 3)
    return glmm_engines.changed(design, fit, beta=fit["beta"] + shift)


@pytest.mark.parametrize(
    ("clause", "change", "says"),
    [
        ("all-quantities", _bare, "no loglik, and not_given does not say why"),
        ("all-quantities", _with_sigma, "no model has a quantity 'sigma'"),
        ("leaves-data-alone", _writes, "fit changed the design's y"),
        ("versions", lambda _d, fit: replace(fit, versions={}), "not of 'candidate'"),
        ("names-do-not-matter", _by_first_row, "the order of the rows changes nothing: beta"),
    ],
)
def test_a_broken_adapter_breaks_its_clause(clause: str, change, says: str) -> None:
    (asked,) = (c for c in CONTRACT if c.id == clause)
    with pytest.raises(ConformanceError, match="breaks the contract") as failure:
        asked(GlmmAdapter(Candidate(change)))
    assert says in str(failure.value)


# ---- by pytest ----------------------------------------------------------------------------------


@pytest.fixture
def run(pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    return lambda *options: pytester.runpytest_inprocess(
        "-p", "no:hypothesispytest", "-ra", *SUITE, *map(str, options)
    )


def test_an_engine_that_names_its_criterion_is_asked_for_generalised_models(run) -> None:
    sound = run(
        "--pp-engine", "tests.conformance.glmm_engines:engine", "--pp-case", "cbpp",
        "-k", "cbpp-binomial",
    )  # fmt: skip
    sound.assert_outcomes(passed=14, deselected=21)
    sound.stdout.fnmatch_lines(
        "pp-compare: engine candidate, against the certified maximum of its own criterion"
    )
    sound.stdout.fnmatch_lines("beta_se        *15.0*")


def test_a_faulty_engine_is_told_why_and_only_once(run) -> None:
    found = run(
        "--pp-engine", "tests.conformance.glmm_engines:early", "--pp-case", "cbpp",
        "-k", "cbpp-binomial and truth",
    )  # fmt: skip
    found.assert_outcomes(failed=1, passed=3, skipped=1, deselected=30)
    found.stdout.fnmatch_lines("*criterion * digits: candidate differs from certified:laplace")
    found.stdout.fnmatch_lines("*cause      optimiser: it stopped short of the optimum*")
    found.stdout.fnmatch_lines("SKIPPED*follows from the failure of test_truth[[]cbpp*")


def test_bad_options_are_refused() -> None:
    with pytest.raises(InputError, match="no generalised case"):
        glmm_models_of(names=["sleepstudy"])
    with pytest.raises(InputError, match="the level is"):
        glmm_models_of("deep")  # type: ignore[arg-type]


def test_what_is_of_linear_models_is_refused(run) -> None:
    found = run("--pp-engine", "tests.conformance.glmm_engines:engine", "--pp-reference", "live")
    found.stderr.fnmatch_lines("*--pp-reference is of linear models*")


@pytest.mark.needs_r
def test_glmer_is_known_to_be_off_and_its_tight_settings_pass(run) -> None:
    asked = ("--pp-generalised", "--pp-case", "cbpp", "-k", "cbpp-binomial and not permuted")
    bad = run("--pp-engine", "lme4", *asked)
    bad.stdout.fnmatch_lines("XFAIL*cbpp-binomial-beta_se*glmer-stale-determinant: *")
    assert bad.parseoutcomes()["xfailed"] >= 2
    assert "failed" not in bad.parseoutcomes()
    assert not {"failed", "xfailed"} & set(run("--pp-engine", "lme4:tight", *asked).parseoutcomes())


@pytest.mark.needs_r
def test_without_its_registry_glmer_fails_with_the_cause() -> None:
    checks = glmm_checks_of(GlmmTrial("lme4", registry=()), glmm_models_of(names=["cbpp"]))
    texts = [o.text for c in checks if (o := c.run()).verdict == "fail" and not o.follows]
    assert any(MEANING["objective"] in text for text in texts)


def test_every_identity_and_relation_is_in_the_documentation() -> None:
    from tests.docs.test_pages import page

    text = page("explanation/glmm.md")
    for each in (*GLMM_IDENTITIES, *RELATIONS):
        assert f"`{each.id}`" in text
    assert glmm_case("cbpp")
