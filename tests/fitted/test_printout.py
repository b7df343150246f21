"""Printouts as R and statsmodels print them: every number that is right passes, one digit fails."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from pp_compare.certified.models import certified_model
from pp_compare.conformance import ConformanceError, assert_parity
from pp_compare.data.corpus import case
from pp_compare.errors import InputError
from pp_compare.fitted.numbers import Number, shown_number
from pp_compare.fitted.printed import Printout
from pp_compare.fitted.printout import from_printout
from pp_compare.model import Fit
from pp_compare.model.design import Design, build_design
from pp_compare.model.formula import parse_formula
from pp_compare.verdict.shown import ShownResult, compare_shown
from pp_compare.verdict.tolerance import derive_tolerances

FOLDER = Path(__file__).parent / "printouts"
CASES = {
    "dye": "Dyestuff",
    "dye2": "Dyestuff2",
    "gasoline": "Gasoline",
    "ortho": "Orthodont",
    "pastes": "Pastes",
    "penicillin": "Penicillin",
    "seed1": "seed_case1",
    "sleep": "sleepstudy",
}
FORMULAS = {
    "mixedlm_dye": "Yield ~ 1 + (1 | Batch)",
    "mixedlm_gasoline": "yield ~ endpoint + vapor + (1 | Sample)",
    "mixedlm_pastes": "strength ~ 1 + (1 | batch) + (1 | batch:cask)",
    "mixedlm_seed1": "dependent ~ predictor + (1 | cluster)",
    "mixedlm_sleep": "Reaction ~ Days + (Days | Subject)",
}
NAMES = sorted(path.stem for path in FOLDER.glob("*.txt"))
SHARP = ["lmer_dye"]
"""Of these every number is changed in turn; of the others in `SOME` places."""
SOME = 2


def read(name: str) -> tuple[Printout, Design]:
    printout = from_printout((FOLDER / f"{name}.txt").read_text())
    formula = printout.formula or FORMULAS[name]
    known = case(CASES[name.split("_")[1]])
    return printout, build_design(known.dataset, parse_formula(formula, printout.method))


def held(printout: Printout, design: Design) -> ShownResult:
    model = certified_model(design)
    truth = Fit("certified", "ok", model.optimum.quantities)
    tolerances = derive_tolerances(design, model)
    return compare_shown(design, model, tolerances, printout.numbers, truth, printout.program)


@pytest.mark.parametrize("name", NAMES)
def test_a_printout_of_a_sound_fit_passes_whole(name: str) -> None:
    printout, design = read(name)
    result = held(printout, design)
    assert [line.quantity for line in result.lines if line.verdict != "pass"] == []
    numbers = len(re.findall(r"\d", (FOLDER / f"{name}.txt").read_text()))
    assert len(result.lines) > 10 or numbers < 60


@pytest.mark.parametrize(
    ("name", "definition"),
    [
        ("lme_sleep", ""),
        ("lme_sleep_ml", "residual-df-under-ml"),
        ("mixedlm_gasoline", "joint-observed-information"),
    ],
)
def test_the_standard_errors_say_which_definition_they_are_of(name: str, definition: str) -> None:
    assert held(*read(name)).definition.id == definition


def changed(number: Number, at: int) -> Number:
    """The number with one of its digits changed, by 5, which is more than any rounding."""
    places = [k for k, character in enumerate(number.text) if character.isdigit()]
    k = places[at % len(places)]
    digit = str((int(number.text[k]) + 5) % 10)
    text = number.text[:k] + digit + number.text[k + 1 :]
    return shown_number(text) if number.half else replace(shown_number(text), half=0.0)


@pytest.mark.parametrize("name", NAMES)
def test_one_digit_changed_fails_and_is_named(name: str) -> None:
    printout, design = read(name)
    model = certified_model(design)
    truth = Fit("certified", "ok", model.optimum.quantities)
    tolerances = derive_tolerances(design, model)
    step = 1 if name in SHARP else max(1, len(printout.numbers) // SOME)
    for k, each in list(enumerate(printout.numbers))[::step]:
        numbers = list(printout.numbers)
        numbers[k] = replace(each, number=changed(each.number, k % 3))
        lines = compare_shown(design, model, tolerances, numbers, truth, "lme4").lines
        off = [line.quantity for line in lines if line.verdict == "fail"]
        assert each.place in off, (each, numbers[k].number)


def test_a_pasted_printout_keeps_its_meaning_behind_comment_signs() -> None:
    plain = (FOLDER / "lmer_sleep.txt").read_text()
    commented = "\n".join(f"## {line}" for line in plain.splitlines())
    assert from_printout(commented) == from_printout(plain)
    assert from_printout(plain.replace("-", "−").replace("\n", "\r\n")) == from_printout(plain)


def test_a_printout_is_held_by_assert_parity() -> None:
    text = (FOLDER / "lmer_seed1.txt").read_text()
    _, design = read("lmer_seed1")
    assert_parity(text, "certified", design)
    assert_parity(from_printout(text), "recorded:bookworm/nlme", design)
    wrong = text.replace("2.3472", "2.3572")
    with pytest.raises(ConformanceError, match=r"Estimate of predictorintervention: 2\.3572"):
        assert_parity(wrong, "certified", design, "the paper")


def test_what_is_no_printout_is_refused() -> None:
    with pytest.raises(InputError, match="no printout of summary"):
        from_printout("Call: lm(formula = y ~ x)")
    with pytest.raises(InputError, match="no table of fixed effects"):
        from_printout("Linear mixed model fit by REML ['lmerMod']\n")
    with pytest.raises(InputError, match="at most"):
        from_printout("Linear mixed model fit by REML\n" * 20_000)
    _, design = read("lmer_sleep")
    with pytest.raises(InputError, match="the printout is of ML, the model of REML"):
        assert_parity((FOLDER / "lmer_sleep_ml.txt").read_text(), "certified", design)


@pytest.mark.parametrize(
    ("name", "line", "instead"),
    [
        ("lmer_sleep", "Days          10.467      1.546   6.771", "Days  10.467  1.546"),
        ("lmer_sleep", "35.07    5.922   0.07", "35.07"),
        ("lme_sleep", "Days         10.46729  1.545783 161  6.77151       0", "Days  10.46729 ???"),
        ("mixedlm_sleep", "Days Var            35.072    0.610", "Days Variance       35.072"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_read_is_no_pass(name: str, line: str, instead: str) -> None:
    text = (FOLDER / f"{name}.txt").read_text()
    assert line in text
    with pytest.raises(InputError, match="row of"):
        from_printout(text.replace(line, instead))
