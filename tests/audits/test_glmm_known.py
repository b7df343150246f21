"""The registry of generalised models: what it knows, and what is news."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pp_compare.audits.glmm import audit_glmm
from pp_compare.audits.glmm_asked import selection_of
from pp_compare.audits.glmm_judging import Verdicts, verdicts
from pp_compare.audits.glmm_known import fit_facts
from pp_compare.data.files import read_dataset
from pp_compare.data.glmm_corpus import glmm_case
from pp_compare.engines.glmm.recorded import glmm_stacks
from pp_compare.engines.glmm.registry import fit_glmm
from pp_compare.errors import UnavailableError
from pp_compare.identities.glmm_modes import criterion_at_modes
from pp_compare.model import Fit, Quantity
from pp_compare.model.glmm import GlmmDesign, build_glmm_design, parse_family
from pp_compare.verdict.deviations import Deviation, Example, load_glmm_deviations
from pp_compare.verdict.versions import package_version, played

REGISTRY = load_glmm_deviations()


def played_back(case: str, engine: str = "lme4", stack: str = "bookworm") -> Fit:
    fit = fit_glmm(f"recorded:{stack}/{engine}", glmm_case(case).design())
    return replace(fit, engine=engine)


def found(case: str, fit: Fit, registry: tuple[Deviation, ...] = REGISTRY) -> Verdicts:
    return verdicts(glmm_case(case).design(), {fit.engine: fit}, registry, case)


def ids(of: Verdicts) -> set[str | None]:
    return {line.deviation for line in (*of.comparisons, *of.identities)} - {None}


def verdicts_of(of: Verdicts) -> set[str]:
    return {line.verdict for line in (*of.comparisons, *of.identities)}


def test_an_entry_has_a_model_in_which_it_must_show() -> None:
    assert len({entry.id for entry in REGISTRY}) == len(REGISTRY) >= 5
    for entry in REGISTRY:
        assert entry.examples, entry.id
        for example in entry.examples:
            if example.data is None:
                design = glmm_case(example.case).design()
                assert example.method == f"{design.family}({design.link})"
            else:
                assert len(read_dataset(example.data).frame) <= 400, "not a small example"


def design_of(example: Example) -> GlmmDesign:
    if example.data is None:
        return glmm_case(example.case).design()
    dataset = read_dataset(example.data)
    return build_glmm_design(dataset, example.formula, parse_family(example.method))


def an_answer(entry: Deviation, example: Example) -> Fit:
    """Of an engine and a version that the entry is about: this machine's, or a recorded one."""
    name = entry.example_engine.replace("*", "10")
    design = design_of(example)
    roads = [*(f"recorded:{stack}/{name}" for stack in glmm_stacks() if name[:4] == "lme4"), name]
    for road in roads:
        try:
            fit = replace(fit_glmm(road, design), engine=name)
        except UnavailableError as missing:
            pytest.skip(str(missing))
        if fit.status != "unsupported" and entry.must_show(name, package_version(fit)):
            return fit
    pytest.skip(f"no version here that {entry.id} is about")


SLOW = {"grouseticks", "toenail", "respiratory"}


@pytest.mark.parametrize(
    ("entry", "example"),
    [
        pytest.param(
            entry,
            example,
            id=f"{entry.id}-{example.case}",
            marks=[pytest.mark.slow] * (example.case in SLOW)
            + [pytest.mark.needs_r] * (example.data is not None),
        )
        for entry in REGISTRY
        for example in entry.examples
    ],
)
def test_every_deviation_still_shows_where_it_is_pinned(entry: Deviation, example: Example) -> None:
    """A failure here is good news: the deviation is repaired, and the entry can be retired."""
    fit = an_answer(entry, example)
    judged = verdicts(design_of(example), {fit.engine: fit}, [entry], example.case)
    assert judged.stale == (), f"retire {entry.id}"
    assert entry.id in ids(judged)


def test_what_is_known_is_no_news_but_as_wrong_as_before() -> None:
    judged = found("cbpp", played_back("cbpp"))
    (judgement,) = judged.judgements
    assert (judgement.standing, judgement.news) == ("wrong", False)
    assert judgement.deviations == ("glmer-stale-determinant",)
    assert ids(judged) == {"glmer-stale-determinant"}
    assert verdicts_of(judged) == {"pass", "known"}
    assert found("cbpp", played_back("cbpp"), ()).judgements[0].news


def test_lme4_2_1_has_no_part_in_it() -> None:
    judged = found("cbpp", played_back("cbpp", stack="sid"))
    assert (judged.judgements[0].standing, ids(judged), judged.stale) == ("right", set(), ())


def test_a_version_that_no_longer_shows_it_is_told_where_it_is_pinned() -> None:
    """The numbers of 2.1-0 with the version of 1.1-31: as if that were repaired."""
    new = played_back("cbpp", stack="sid")
    repaired = replace(new, versions={**new.versions, "lme4": "1.1-31"})
    assert found("cbpp", repaired).stale == ("glmer-stale-determinant",)
    design = glmm_case("cbpp").design()
    assert verdicts(design, {"lme4": repaired}, REGISTRY, "another").stale == ()


def moved(fit: Fit, name: str, by: float | np.ndarray) -> Fit:
    old = fit.quantities[name]
    other = Quantity(name, old.values + by, old.rows, old.columns)
    return replace(fit, quantities={**fit.quantities, name: other})


def test_another_reason_for_the_same_symptom_is_news() -> None:
    """A log-likelihood that is off because the modes are: no stale determinant explains that."""
    design, sound = glmm_case("cbpp").design(), played_back("cbpp", stack="sid")
    worse = moved(replace(sound, versions={"lme4": "1.1-31"}), "blup[herd]", 0.02)
    off = moved(worse, "loglik", -0.0005)
    judged = found("cbpp", off)
    facts = fit_facts(design, off, judged.comparisons)
    assert float(facts["modes_share"]) > 0.05
    assert judged.judgements[0].cause == "objective"
    assert (ids(judged), judged.judgements[0].news) == (set(), True)


def test_the_facts_of_a_fit_are_those_of_its_numbers() -> None:
    design, fit = glmm_case("cbpp").design(), played_back("cbpp")
    facts = fit_facts(design, fit, found("cbpp", fit).comparisons)
    assert facts["definition"] == "laplace"
    assert facts["misevaluated"] == pytest.approx(2.802e-4, rel=1e-3)
    assert facts["above"] == pytest.approx(8.7e-6, rel=0.05)
    assert 0 < float(facts["modes_share"]) < 1e-4
    assert facts["zero_se"] is False
    zero = moved(fit, "beta_se", -fit["beta_se"])
    assert fit_facts(design, zero, ())["zero_se"] is True
    assert not {"above", "misevaluated"} & set(fit_facts(design, zero, ()))


def test_the_named_cases_end_by_news_as_those_of_linear_models_do() -> None:
    selection = selection_of(glmm_case("cbpp"))
    engines = ["recorded:bookworm/lme4"]
    known = audit_glmm([selection], engines, fail_on="news", remedies=False)
    assert (known.exit_status, known.counts()["fail"]) == (0, 0)
    assert known.counts()["known"] > 0
    news = audit_glmm([selection], engines, registry=(), fail_on="news", remedies=False)
    assert news.exit_status == 1
    wrong = audit_glmm([selection], engines, fail_on="wrong", remedies=False)
    assert wrong.exit_status == 1


def test_where_there_is_no_maximum_the_log_likelihood_alone_is_held_against_something() -> None:
    fit = played_back("glmm_separated")
    judged = found("glmm_separated", fit)
    assert [(line.quantity, line.verdict) for line in judged.comparisons] == [("loglik", "pass")]
    assert judged.judgements[0].standing == "not judged"
    other = found("glmm_separated", moved(fit, "loglik", -0.1))
    assert [(line.verdict, line.cause) for line in other.comparisons] == [("fail", "objective")]


@pytest.mark.parametrize(
    ("engine", "name"),
    [("lme4:tight", "lme4:tight"), ("recorded:sid/lme4:agq:10", "lme4:agq:10")],
)
def test_whose_numbers_a_recorded_engine_has(engine: str, name: str) -> None:
    assert played(engine) == name


def test_the_version_is_that_of_the_package_by_any_road() -> None:
    fit = fit_glmm("recorded:sid/glmmpql", glmm_case("cbpp").design())
    assert package_version(fit) == fit.versions["MASS"]
    assert package_version(replace(fit, engine="glmmpql")) == fit.versions["MASS"]


def test_a_sentence_says_which_half_of_a_misevaluation_is_to_blame() -> None:
    """The modes are good; they are not, and the likelihood is what follows; neither alone."""
    design, old = glmm_case("cbpp").design(), played_back("cbpp")
    early = moved(played_back("cbpp", stack="sid"), "blup[herd]", 0.02)
    shift = criterion_at_modes(design, early) - float(early["loglik"])
    told = [
        found("cbpp", fit, ()).judgements[0]
        for fit in (old, moved(early, "loglik", shift), moved(early, "loglik", shift / 2))
    ]
    assert {judgement.cause for judgement in told} == {"objective"}
    good, bad, neither = (judgement.sentence for judgement in told)
    assert "about its own conditional modes is -92.0262862, so that they are good and" in good
    assert "is -92.1160886, so that they are not the modes, and it evaluates where" in bad
    assert "conditional modes" not in neither
