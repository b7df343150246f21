"""What is said of each engine on small inputs where something else was said before."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from pp_compare.audits.judging import judge
from pp_compare.audits.selection import Selection
from pp_compare.data.corpus import case
from pp_compare.data.files import read_dataset
from pp_compare.engines import make_engine
from pp_compare.model import Method
from pp_compare.model.design import build_design
from pp_compare.model.formula import parse_formula
from pp_compare.report.audit.estimates import optima_lines
from pp_compare.report.record import CaseReport
from pp_compare.resources import resource
from pp_compare.verdict.deviations import load_deviations
from pp_compare.verdict.judgement import Judgement

CASES = Path(__file__).parents[1] / "cases"
FIXTURES = resource("fixtures", "data")
SCALED = "dQTcF ~ C + trt + TP - 1 + (1 + C|id)"
pytestmark = pytest.mark.needs_r


@cache
def judged(file: str, formula: str, method: Method = "REML", folder: Path = CASES) -> CaseReport:
    dataset = read_dataset(folder / f"{file}.csv")
    design = build_design(dataset, parse_formula(formula, method))
    fits = {name: make_engine(name).fit(design) for name in ("lme4", "nlme", "statsmodels")}
    return judge(Selection(file, dataset, formula, method), design, fits, load_deviations())


def standings(report: CaseReport) -> dict[str, str]:
    return {judgement.engine: judgement.standing for judgement in report.judgements}


def of(report: CaseReport, engine: str) -> Judgement:
    return next(judgement for judgement in report.judgements if judgement.engine == engine)


@pytest.mark.parametrize(
    ("file", "formula", "method", "wanted"),
    [
        ("blame_two_optima", "y ~ x + (1|g)", "REML", ("wrong optimum", "right", "short")),
        ("lme4_584_two_clusters", "outcome ~ 1 + (1|group)", "REML", ("short", "right", "right")),
        ("small_variance", "y ~ x + z + (1|g)", "REML", ("right", "right", "wrong")),
        ("unscaled_slope", SCALED, "REML", ("wrong", "wrong", "wrong")),
        ("zero_covariance_digits", "y ~ arm + x + (1|g)", "REML", ("right", "right", "right")),
        (
            "containment_intercept",
            "y ~ x + (1|g)",
            "REML",
            ("right", "right", "right, other definition"),
        ),
        (
            "nlme_false_convergence_other_reason",
            "y ~ x + (x|g)",
            "REML",
            ("right", "no answer", "wrong"),
        ),
        (
            "nlme_singular_convergence_equal_clusters",
            "y ~ x + (x|g)",
            "ML",
            ("right", "no answer", "wrong"),
        ),
    ],
)
def test_the_standing_of_each_engine(
    file: str, formula: str, method: Method, wanted: tuple[str, ...]
) -> None:
    found = standings(judged(file, formula, method))
    short = {"short": "short of the optimum, harmless"}
    assert tuple(found.values()) == tuple(short.get(word, word) for word in wanted)


def test_an_engine_that_is_right_is_blamed_for_nothing() -> None:
    """Where nlme is right and lme4 at another optimum, every parity line says lme4."""
    report = judged("blame_two_optima", "y ~ x + (1|g)")
    parity = [line for line in report.comparisons if line.kind == "parity" and line.blamed]
    between = [x for x in parity if {x.candidate, x.reference} == {"lme4", "nlme"}]
    assert between
    assert {line.blamed for line in between} == {"lme4"}
    assert {line.deviation for line in between} == {"lme4-wrong-optimum"}
    against_lme4 = [x for x in parity if (x.candidate, x.reference) == ("statsmodels", "lme4")]
    assert "lme4" in {line.blamed for line in against_lme4}


def test_correct_standard_errors_are_under_no_entry_of_theirs() -> None:
    """Dyestuff, ML: nlme's are another quantity, statsmodels' are right."""
    report = judged("Dyestuff", "Yield ~ 1 + (1|Batch)", "ML", FIXTURES)
    assert standings(report)["statsmodels"] == "right"
    assert standings(report)["nlme"] == "right, other definition"
    lines = [x for x in report.comparisons if x.candidate == "statsmodels" and x.deviation]
    assert {line.deviation for line in lines} <= {"nlme-ml-summary-se"}


def test_a_wrong_number_is_told_in_the_units_of_a_reader() -> None:
    wrong = of(
        judged("BodyWeight", "weight ~ Time * Diet + (Time|Rat)", folder=FIXTURES), "statsmodels"
    )
    assert wrong.standing == "wrong"
    assert "standard error of Time 3.6 for 0.189 (19 times that)" in wrong.sentence
    assert "73 in deviance above the optimum" in wrong.sentence
    assert wrong.bad
    assert not wrong.news  # known, and wrong all the same


def test_a_small_error_of_a_variance_is_not_harmless() -> None:
    wrong = of(judged("small_variance", "y ~ x + z + (1|g)"), "statsmodels")
    assert "variance of Intercept | g 0.0833 for 0.0771 (7.9 %)" in wrong.sentence
    assert "says that it converged" in wrong.engine_says


def test_what_an_engine_says_is_set_beside_what_is_true() -> None:
    early = of(judged("lme4_584_two_clusters", "outcome ~ 1 + (1|group)"), "lme4")
    assert (
        "says that it did not converge; is within 0.0002 in deviance of the optimum"
        in early.engine_says
    )
    lost = of(judged("blame_two_optima", "y ~ x + (1|g)"), "lme4")
    assert "says that its fit is not singular; the optimum is" in lost.engine_says


def test_a_reason_of_the_registry_is_true_of_the_data() -> None:
    """The same message of nlme has entries that differ in what the data must be like."""
    entries = {
        ("nlme_false_convergence_other_reason", "REML"): "nlme-false-convergence-small-residual",
        ("nlme_singular_convergence_equal_clusters", "ML"): "nlme-singular-convergence-slopes",
    }
    for (file, method), entry in entries.items():
        found = of(judged(file, "y ~ x + (x|g)", method), "nlme")  # type: ignore[arg-type]
        assert found.deviations == (entry,)


def test_an_interval_that_changes_sides_of_0_is_told() -> None:
    lost = of(judged("blame_two_optima", "y ~ x + (1|g)"), "lme4")
    assert [conclusion.label for conclusion in lost.harm.conclusions] == ["x"]
    assert (
        "95 % interval of x, -0.0714 to 0.287, holds 0; in truth -0.23 to -0.166" in lost.sentence
    )


def test_a_singular_optimum_has_its_reason_from_the_data() -> None:
    known = case("Dyestuff2")
    design = build_design(known.dataset, known.spec("REML"))
    fits = {"certified": make_engine("certified").fit(design)}
    report = judge(
        Selection("Dyestuff2", known.dataset, design.spec.formula, "REML"), design, fits, ()
    )
    why = "mean square between 8.336 below 14.95 within, so REML gives 0"
    assert f"singular: {why}" in "\n".join(optima_lines(report))
    other = judged("small_variance", "y ~ x + z + (1|g)")
    assert "singular" not in "\n".join(optima_lines(other))
