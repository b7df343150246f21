"""What counts as a change, of which kind, and to the better or the worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from pp_compare.identities import IdentityCheck
from pp_compare.model import Fit, Quantity
from pp_compare.releases.difference import difference
from pp_compare.releases.noise import Noise, noise_of, noise_row, warnings_of
from pp_compare.report.record import CaseReport
from pp_compare.report.release.record import CandidateReport, Change
from pp_compare.verdict.agreement import Comparison, Verdict
from pp_compare.verdict.outcome import Outcome

TRUE = {"beta": 2.0, "sigma": 1.0}


def fit(values: Mapping[str, float], **fields: object) -> Fit:
    made = Fit(
        "statsmodels",
        "ok",
        {name: Quantity(name, np.float64(value)) for name, value in values.items()},
        converged=True,
        versions={"statsmodels": "1"},
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def line(name: str, value: float, verdict: Verdict, **fields: object) -> Comparison:
    error = abs(value - TRUE.get(name, 0.0))
    made = Comparison(
        "statsmodels", "certified", name, "", value, TRUE.get(name, 0.0), error,
        15.0 if error == 0 else -float(np.log10(error)), 1e-4, "", verdict,
    )  # fmt: skip
    return replace(made, **fields)  # type: ignore[arg-type]


def case(found: Fit, extra: Sequence[Comparison] = (), **fields: object) -> CaseReport:
    lines = [
        line(name, float(q.values), "pass" if abs(q.values - TRUE[name]) < 1e-4 else "fail")
        for name, q in found.quantities.items()
    ]
    made = CaseReport(
        "toy", "", "y ~ 1 + (1|g)", "REML", 10, 0, {"g": 3}, "", {"statsmodels": found},
        comparisons=(*lines, *extra),
    )  # fmt: skip
    return replace(made, **fields)  # type: ignore[arg-type]


def candidate(*cases: CaseReport, **fields: object) -> CandidateReport:
    made = CandidateReport("1", "statsmodels", {}, {}, cases=cases, probes={})
    return replace(made, **fields)  # type: ignore[arg-type]


QUIET = Noise()


def changes(
    before: CaseReport, after: CaseReport, noise: Noise = QUIET
) -> list[tuple[str, str, str]]:
    found = difference(candidate(before), candidate(after), {"toy REML": noise})
    return [(c.kind, c.direction, c.subject) for c in found.changes]


GOOD = fit(TRUE)
OFF = fit({**TRUE, "beta": 2.1})


def test_the_same_is_no_change() -> None:
    found = difference(candidate(case(GOOD)), candidate(case(GOOD)), {})
    assert (found.changes, found.models, found.identical, found.noise) == ((), 1, 1, 1)


def test_what_else_is_another_version_is_told_beside_it() -> None:
    one = candidate(case(GOOD), versions={"statsmodels": "1", "numpy": "1.26", "scipy": "1.11"})
    two = replace(one, versions={"statsmodels": "2", "numpy": "2.3", "scipy": "1.11"})
    assert difference(one, two, {}).beside == ("numpy 1.26 to 2.3",)
    assert difference(one, one, {}).beside == ()


def test_out_of_agreement_is_worse_and_into_it_is_better() -> None:
    assert changes(case(GOOD), case(OFF)) == [("value", "worse", "beta")]
    assert changes(case(OFF), case(GOOD)) == [("value", "better", "beta")]


def test_what_disagrees_anyhow_is_worse_by_a_digit_or_not_at_all() -> None:
    further = fit({**TRUE, "beta": 5.0})
    beside = fit({**TRUE, "beta": 2.11})
    assert changes(case(OFF), case(further)) == [("value", "worse", "beta")]
    assert changes(case(further), case(OFF)) == [("value", "better", "beta")]
    assert changes(case(OFF), case(beside)) == [("moved", "changed", "beta")]


def test_nothing_changes_within_the_noise() -> None:
    noise = Noise(spread={"beta": 0.02})
    assert changes(case(GOOD), case(OFF), noise) == []
    assert changes(case(GOOD), case(OFF), Noise(spread={"beta": 0.001})) != []


def test_the_last_bit_is_no_change() -> None:
    beside = fit({**TRUE, "beta": np.nextafter(2.0, 3.0)})
    found = difference(candidate(case(GOOD)), candidate(case(beside)), {})
    assert (found.changes, found.identical, found.noise) == ((), 0, 1)


def test_a_small_move_is_told_last() -> None:
    moved = fit({**TRUE, "beta": 2.0 + 1e-9})
    assert changes(case(GOOD), case(moved)) == [("moved", "changed", "beta")]


def test_an_exception_is_worse_than_an_answer_and_another_one_is_a_change() -> None:
    singular = Fit.failed("statsmodels", "LinAlgError: Singular matrix")
    crash = Fit.failed("statsmodels", "its process died: signal 11 (SIGSEGV)")
    assert changes(case(GOOD), case(singular)) == [
        ("exception", "worse", "an answer became LinAlgError")
    ]
    assert changes(case(singular), case(GOOD))[0][:2] == ("exception", "better")
    assert changes(case(singular), case(crash)) == [
        ("exception", "changed", "LinAlgError became its process died")
    ]
    assert changes(case(singular), case(singular)) == []
    assert changes(case(GOOD), case(singular), Noise(status=True)) == []


def test_another_optimum_is_named() -> None:
    lost = case(OFF, [line("criterion", 3.0, "fail", cause="wrong optimum")])
    assert changes(case(GOOD), lost)[0] == ("wrong optimum", "worse", "wrong optimum")
    assert changes(lost, case(GOOD))[0] == ("wrong optimum", "better", "wrong optimum")


@pytest.mark.parametrize(
    ("made", "before", "after", "direction"),
    [
        (GOOD, True, False, "worse"),
        (GOOD, False, True, "better"),
        (OFF, True, False, "better"),
        (OFF, False, True, "worse"),
    ],
)
def test_a_flag_is_better_where_it_tells_the_truth(
    made: Fit, before: bool, after: bool, direction: str
) -> None:
    one, two = (case(replace(made, converged=flag)) for flag in (before, after))
    ((kind, way, _),) = changes(one, two)
    assert (kind, way) == ("flag", direction)
    assert changes(one, two, Noise(flag=True)) == []


def test_a_flag_and_the_warnings_that_say_the_same_are_one_change() -> None:
    told = ("ConvergenceWarning: Retrying", "ConvergenceWarning: failed", "UserWarning: slow")
    one, two = case(GOOD), case(replace(GOOD, converged=False, messages=told))
    found = difference(candidate(one), candidate(two), {"toy REML": QUIET})
    flag, warning = found.changes
    assert (flag.kind, flag.before) == ("flag", "converged=True")
    assert flag.after == "converged=False, 2 ConvergenceWarnings"
    assert (warning.kind, warning.subject) == ("warning", "slow")


def test_a_convergence_warning_without_its_flag_is_a_change_of_its_own() -> None:
    one, two = case(GOOD), case(replace(GOOD, messages=("ConvergenceWarning: Retrying",)))
    assert changes(one, two) == [("warning", "changed", "Retrying")]


def test_a_flag_at_other_numbers_is_a_change_and_no_more() -> None:
    beside = fit({**TRUE, "beta": np.nextafter(2.0, 3.0)}, converged=False)
    ((kind, way, _),) = changes(case(GOOD), case(beside))
    assert (kind, way) == ("flag", "changed")


def test_a_move_that_ten_digits_do_not_show_is_told_by_its_size() -> None:
    beside = fit({**TRUE, "beta": 2.0 * (1 + 1e-12)})
    found = difference(candidate(case(GOOD)), candidate(case(beside)), {})
    (change,) = found.changes
    assert (change.kind, change.before.partition(",")[0]) == ("moved", "2")
    assert change.after == "the same but for 1e-12 of it"


def test_warnings_are_told_by_their_text_without_its_numbers() -> None:
    one = replace(GOOD, messages=("UserWarning: singular at 1.5e-3",))
    two = replace(GOOD, messages=("SingularMatrixWarning: singular at 2",))
    (found,) = difference(candidate(case(one)), candidate(case(two)), {}).changes
    assert found == Change(
        "warning", "changed", "singular at #", "UserWarning", "SingularMatrixWarning", ("toy REML",)
    )
    assert changes(case(one), case(two), Noise(warnings=frozenset({"singular at #"}))) == []


def test_a_warning_that_falls_silent_at_wrong_numbers_is_worse() -> None:
    told = replace(OFF, messages=("ConvergenceWarning: failed",))
    assert changes(case(told), case(OFF)) == [("warning", "worse", "failed")]


def test_a_quantity_that_is_no_longer_given_is_worse() -> None:
    silent = case(fit({"beta": 2.0}), [line("sigma", float("nan"), "fail", cause="failure")])
    assert changes(case(GOOD), silent) == [("value", "worse", "sigma")]
    assert changes(silent, case(GOOD)) == [("value", "better", "sigma")]


def test_an_identity_that_breaks_is_worse() -> None:
    checks = [
        IdentityCheck("statsmodels", "henderson", e, 1e-12, v, "")
        for e, v in ((0.0, "pass"), (1.0, "fail"))
    ]
    one, two = case(GOOD), case(OFF)
    found = changes(replace(one, identities=(checks[0],)), replace(two, identities=(checks[1],)))
    assert ("identity", "worse", "henderson") in found


def test_known_deviations_appear_and_vanish() -> None:
    known = case(OFF, [line("sigma", 1.0, "known", deviation="entry")])
    assert ("deviation", "worse", "entry") in changes(case(GOOD), known)
    assert ("deviation", "better", "entry") in changes(known, case(GOOD))


def test_probes_and_the_start() -> None:
    yes, no = Outcome(True, "honoured"), Outcome(False, "no effect")
    one = candidate(probes={"keyword m of lbfgs": yes, "score": no})
    two = candidate(probes={"keyword m of lbfgs": no, "score": yes})
    told = [(c.kind, c.direction) for c in difference(one, two, {}).changes]
    assert told == [("keyword", "worse"), ("probe", "better")]
    dead = candidate(problem="does not load")
    assert [c.kind for c in difference(one, dead, {}).changes] == ["start"]
    assert difference(one, dead, {}).worse
    assert not difference(dead, one, {}).worse


def test_one_thing_in_many_models_is_told_once_worst_first() -> None:
    befores = [replace(case(GOOD), case=name) for name in "ab"]
    afters = [replace(case(fit({**TRUE, "beta": b})), case=n) for n, b in (("a", 2.1), ("b", 3.0))]
    (found,) = difference(candidate(*befores), candidate(*afters), {}).changes
    assert found.titles == ("b REML", "a REML")
    assert found.after.startswith("3, true 2")


def test_noise_is_the_largest_of_what_the_platforms_do() -> None:
    others = [
        fit({**TRUE, "beta": 2.0 + 1e-9}),
        replace(fit({**TRUE, "beta": 2.0 - 3e-9}), converged=False, messages=("W: a",)),
    ]
    found = noise_of(GOOD, others)
    assert found.spread["beta"] == pytest.approx(3e-9, rel=1e-6)
    assert found.spread["sigma"] == 0.0
    assert found.flag
    assert not found.status
    assert found.warnings == {"a"}
    assert noise_of(GOOD, [Fit.failed("statsmodels", "x")]).status
    row = noise_row("statsmodels", "other", [GOOD, GOOD], others)
    assert (row.models, row.changed, row.flags) == (2, 2, 1)
    assert row.largest["beta"] == pytest.approx(1.5e-9, rel=1e-6)


def test_numbers_in_warnings_do_not_count() -> None:
    made = replace(GOOD, messages=("W: |grad| = 0.123456", "W: |grad| = 7e-05", "no text"))
    assert warnings_of(made) == {"|grad| = #": "W"}
