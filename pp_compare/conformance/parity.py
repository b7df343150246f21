"""`assert_parity`: one's own numbers against a reference, with the tolerances of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pp_compare.audits.judging import case_facts
from pp_compare.audits.known import Known
from pp_compare.certified.models import CertifiedModel, certified_model
from pp_compare.conformance.checks import ConformanceError
from pp_compare.conformance.wording import MEANING
from pp_compare.engines import Engine, make_engine
from pp_compare.errors import InputError
from pp_compare.fitted.given import given_numbers, places
from pp_compare.fitted.numbers import typed_number
from pp_compare.fitted.printed import Printed, Printout
from pp_compare.fitted.printout import from_printout
from pp_compare.model import Fit, Quantity
from pp_compare.model.design import Design
from pp_compare.verdict.agreement import Comparison, compare
from pp_compare.verdict.attribution import attribute, stop_of
from pp_compare.verdict.deviations import load_deviations
from pp_compare.verdict.digits import digits_text
from pp_compare.verdict.shown import ShownResult, compare_shown
from pp_compare.verdict.tolerance import Tolerances, derive_tolerances

Numbers = Fit | Printout | Mapping[str, Any] | str
"""What can be held against a reference; text is a printout."""


def assert_parity(
    fit: Numbers,
    reference: Fit | Engine | str,
    design: Design,
    name: str = "candidate",
    *,
    digits: int | None = None,
) -> None:
    """Assert that numbers agree with a reference's, each within the tolerance of the model.

    Parameters
    ----------
    fit : Fit, mapping, Printout or str
        A Fit; values by quantity, ``{"beta": ..., "sigma": ...}``, or by the label of one number,
        ``{"(Intercept)": "0.9616", "REMLcrit": "197.6", "Group Var": "9.447"}``; or the printout of
        a ``summary()`` of lmer, lme or MixedLM. Values are in the order of the design's labels, or
        a mapping (a pandas Series) from those labels, R's or statsmodels'. Text keeps its digits:
        ``"0.02558"`` is right where the number rounds to it. Floats are exact.
    reference : Fit, Engine or str
        ``"certified"`` is the truth; another engine, or its id as in ``"recorded:bookworm/lme4"``,
        is parity, which allows both sides their tolerance.
    design : Design
        The model, as from the fixture ``pp_case.design`` or `pp_compare.model.design.build_design`.
    name : str
        What the numbers are called in a failure.
    digits : int, optional
        Significant digits to which the floats were rounded.

    Raises
    ------
    ConformanceError
        An AssertionError that says which numbers differ, by how much, and why.
    InputError
        For a quantity that the reference does not have, or labels that are not the design's.

    Examples
    --------
    >>> from pp_compare import assert_parity, build_design, case
    >>> model = case("Dyestuff")
    >>> design = build_design(model.dataset, model.spec("REML"))
    >>> assert_parity({"(Intercept)": "1527.5", "sigma": "49.51"}, "certified", design)
    >>> assert_parity({"sigma": 49.51}, "certified", design, digits=4)
    """
    __tracebackhide__ = True  # pytest then shows the caller's line and the message
    held = _held(reference, design, name)
    truth = held.reference
    numbers = as_numbers(fit, design, truth, digits)
    whole = fit if isinstance(fit, Fit) else _as_fit(fit, numbers, truth, name)
    failed = failed_fit(held, whole) if whole is not None else failed_numbers(held, numbers)
    if not failed:
        return
    rows = [_headline(design, failed), *map(_line, failed)]
    if whole is not None and not isinstance(fit, Fit):
        rows += _if_rounded(held, numbers)
    raise ConformanceError("\n".join(rows))


@dataclass(frozen=True, eq=False)
class _Held:
    """What numbers are held against, and what they are called."""

    design: Design
    model: CertifiedModel
    tolerances: Tolerances
    reference: Fit
    name: str


def _held(reference: Fit | Engine | str, design: Design, name: str) -> _Held:
    truth = _answer(reference, design)
    model = certified_model(design)
    return _Held(design, model, derive_tolerances(design, model), truth, name)


def held_numbers(
    numbers: Printout | Mapping[str, Any] | str,
    reference: Fit | Engine | str,
    design: Design,
    name: str = "candidate",
    *,
    digits: int | None = None,
) -> ShownResult:
    """Every number of a printout or a mapping with its verdict; parameters of `assert_parity`.

    Raises
    ------
    InputError
        As `assert_parity`, and where there is no number.
    """
    held = _held(reference, design, name)
    printed = as_numbers(numbers, design, held.reference, digits)
    if not printed:
        raise InputError("there are no numbers to compare")
    return _shown(held, printed)


def as_numbers(
    fit: Numbers, design: Design, reference: Fit, digits: int | None = None
) -> list[Printed]:
    """The numbers of a printout or a mapping; none of a Fit, which has all its digits.

    Raises
    ------
    InputError
        For a printout of another criterion than the design's, and as `given_numbers`.
    """
    if isinstance(fit, Fit):
        return []
    if isinstance(fit, str):
        fit = from_printout(fit)
    if isinstance(fit, Printout):
        if fit.method != design.spec.method:
            raise InputError(f"the printout is of {fit.method}, the model of {design.spec.method}")
        return list(fit.numbers)
    return list(given_numbers(fit, design, reference.quantities, digits))


def failed_numbers(held: _Held, numbers: Sequence[Printed]) -> list[Comparison]:
    """Numbers as they are shown that no sound fit can have shown together; without a cause.

    Half a unit of a last place says nothing of where an engine stopped.
    """
    return [line for line in _shown(held, numbers).lines if line.verdict == "fail"]


def _shown(held: _Held, numbers: Sequence[Printed]) -> ShownResult:
    return compare_shown(
        held.design, held.model, held.tolerances, numbers, held.reference, held.name
    )


def _answer(reference: Fit | Engine | str, design: Design) -> Fit:
    if isinstance(reference, Fit):
        return reference
    engine = make_engine(reference) if isinstance(reference, str) else reference
    fit = engine.fit(design)
    if fit.status != "ok":
        raise InputError(f"the reference {engine.name} has no answer: {'; '.join(fit.messages)}")
    return fit


def _as_fit(values: Numbers, numbers: Sequence[Printed], reference: Fit, name: str) -> Fit | None:
    """A mapping of exact numbers, each quantity whole, as a Fit; None of any other."""
    if not isinstance(values, Mapping) or any(each.number.half for each in numbers):
        return None
    if not set(values) <= set(reference.quantities):
        return None
    found = {}
    for key in values:
        like = reference.quantities[key]
        own = {_label(each): each.number.value for each in numbers if _quantity(each) == key}
        if set(own) != {label for label, _ in like.entries()}:
            return None
        found[key] = _filled(like, own)
    return Fit(name, "ok", found)


def _quantity(each: Printed) -> str:
    return each.labels[0] if each.kind == "quantity" else each.kind


def _label(each: Printed) -> str:
    return each.labels[-1] if each.labels else ""


def _filled(like: Quantity, own: Mapping[str, float]) -> Quantity:
    """A quantity from its entries; of a covariance the triangle that was not given follows."""
    values = np.full(like.values.shape, np.nan)
    for label, at in places(like):
        values[at] = own[label]
        if like.is_symmetric_matrix:
            values[at[::-1]] = own[label]
    return Quantity(like.name, values, like.rows, like.columns)


def failed_fit(held: _Held, fit: Fit) -> list[Comparison]:
    """Numbers with all their digits that are off, with their cause, and the entry that knows it.

    What is another documented quantity, and known as such, is no failure.
    """
    if fit.status != "ok":
        raise ConformanceError(f"{held.name} gave no answer: {'; '.join(fit.messages)}")
    known = held.reference.quantities
    asked = {n: q for n, q in known.items() if n in fit.quantities}
    if not asked:
        raise InputError(f"{held.reference.engine} has none of {', '.join(fit.quantities)}")
    lines = compare(fit, replace(held.reference, quantities=asked), held.tolerances)
    if _tells_its_stop(held.design, fit):
        stop = stop_of(held.design, fit, held.model)
        lines = attribute(held.design, fit, stop, held.model, held.tolerances, lines)
        facts = case_facts(held.design, held.model)
        registry = Known(
            load_deviations(), held.design, {fit.engine: fit}, facts, {fit.engine: stop}
        )
        lines = [registry.comparison(line) for line in lines]
    return [line for line in lines if _off(line)]


def _tells_its_stop(design: Design, fit: Fit) -> bool:
    """Whether a fit has its variances, and with so many digits that they were not typed."""
    needed = {"sigma", "beta", *(f"random_cov[{g}]" for g in design.group_levels)}
    if not needed <= set(fit.quantities):
        return False
    variances = [fit["sigma"], *fit.covariances.values()]
    return all(typed_number(x).half == 0 for each in variances for x in each.ravel().tolist())


def _off(line: Comparison) -> bool:
    return line.verdict == "fail" or (line.verdict == "known" and line.cause != "definition")


def _if_rounded(held: _Held, numbers: Sequence[Printed]) -> list[str]:
    """What to do where the floats are right to every digit that was typed."""
    typed = [replace(each, number=typed_number(each.number.value)) for each in numbers]
    if not any(each.number.half for each in typed) or failed_numbers(held, typed):
        return []
    return [
        "every number is right to the digits that it shows: if they were rounded, pass them as "
        f'text, as in "{typed[0].number.text}", or say digits=; nothing is concluded from the rest'
    ]


def _headline(design: Design, failed: list[Comparison]) -> str:
    names = ", ".join(dict.fromkeys(line.quantity for line in failed))
    spec, first = design.spec, failed[0]
    sides = f"{first.candidate} differs from {first.reference}"
    return f"{sides} in {names} ({spec.formula}, {spec.method})"


def _line(line: Comparison) -> str:
    cause = f"; {line.cause}: {MEANING[line.cause]}" if line.cause else ""
    cause += f" (known: {line.deviation})" if line.deviation else ""
    return (
        f"  {f'{line.quantity} {line.label}'.strip()}: {line.candidate_value!r}, "
        f"{line.reference} {line.reference_value!r} ({digits_text(line.digits)} digits; error "
        f"{line.error:.3g}, allowed {line.tolerance:.3g}: {line.reason}){cause}"
    )
