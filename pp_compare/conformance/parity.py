"""`assert_parity`: one's own numbers against a reference, with the tolerances of the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from pp_compare.certified.models import CertifiedModel, certified_model
from pp_compare.conformance.checks import ConformanceError
from pp_compare.conformance.wording import MEANING
from pp_compare.engines import Engine, make_engine
from pp_compare.errors import InputError
from pp_compare.model import Fit, Quantity
from pp_compare.model.design import Design
from pp_compare.verdict.agreement import Comparison, compare
from pp_compare.verdict.attribution import attribute, stop_of
from pp_compare.verdict.digits import digits_text
from pp_compare.verdict.tolerance import Tolerances, derive_tolerances


def assert_parity(
    fit: Fit | Mapping[str, Any],
    reference: Fit | Engine | str,
    design: Design,
    name: str = "candidate",
) -> None:
    """Assert that numbers agree with a reference's, each within the tolerance of the model.

    Parameters
    ----------
    fit : Fit or mapping
        A Fit, or values by quantity: ``{"beta": ..., "sigma": ...}``. Values are in the order of
        the design's labels, or a mapping (a pandas Series) from those labels.
    reference : Fit, Engine or str
        ``"certified"`` is the truth; another engine, or its id as in ``"recorded:bookworm/lme4"``,
        is parity, which allows both sides their tolerance.
    design : Design
        The model, as from the fixture ``pp_case.design`` or `pp_compare.model.design.build_design`.
    name : str
        What the numbers are called in a failure.

    Raises
    ------
    ConformanceError
        An AssertionError that says which numbers differ, by how much, and why.
    InputError
        For a quantity that the reference does not have, or labels that are not the design's.
    """
    __tracebackhide__ = True  # pytest then shows the caller's line and the message
    truth = _answer(reference, design)
    candidate = fit if isinstance(fit, Fit) else _as_fit(fit, truth, name)
    if candidate.status != "ok":
        raise ConformanceError(f"{name} gave no answer: {'; '.join(candidate.messages)}")
    model = certified_model(design)
    tolerances = derive_tolerances(design, model)
    asked = {n: q for n, q in truth.quantities.items() if n in candidate.quantities}
    if not asked:
        raise InputError(f"{truth.engine} has none of {', '.join(candidate.quantities)}")
    lines = compare(candidate, replace(truth, quantities=asked), tolerances)
    failed = [x for x in _caused(design, candidate, model, tolerances, lines) if _off(x)]
    if failed:
        raise ConformanceError("\n".join([_headline(design, failed), *map(_line, failed)]))


def _answer(reference: Fit | Engine | str, design: Design) -> Fit:
    if isinstance(reference, Fit):
        return reference
    engine = make_engine(reference) if isinstance(reference, str) else reference
    fit = engine.fit(design)
    if fit.status != "ok":
        raise InputError(f"the reference {engine.name} has no answer: {'; '.join(fit.messages)}")
    return fit


def _as_fit(values: Mapping[str, Any], reference: Fit, name: str) -> Fit:
    unknown = [key for key in values if key not in reference.quantities]
    if unknown:
        known = ", ".join(reference.quantities)
        raise InputError(f"no quantity '{unknown[0]}' in {reference.engine}; there are: {known}")
    found = {key: _labelled(reference.quantities[key], value) for key, value in values.items()}
    return Fit(name, "ok", found)


def _labelled(like: Quantity, values: Any) -> Quantity:
    if hasattr(values, "items"):
        by_label = {str(label): value for label, value in values.items()}
        if sorted(by_label) != sorted(like.rows):
            raise InputError(f"{like.name} is labelled {[*by_label]}, not {[*like.rows]}")
        values = [by_label[row] for row in like.rows]
    array = np.asarray(values, dtype=float)
    if array.size != like.values.size:
        raise InputError(f"{like.name} has shape {array.shape}, not {like.values.shape}")
    return Quantity(like.name, array.reshape(like.values.shape), like.rows, like.columns)


def _caused(
    design: Design,
    candidate: Fit,
    model: CertifiedModel,
    tolerances: Tolerances,
    lines: list[Comparison],
) -> list[Comparison]:
    """Lines with their cause, where the candidate gave the variances that tell it."""
    needed = {"sigma", "beta", *(f"random_cov[{group}]" for group in design.group_levels)}
    if not needed <= set(candidate.quantities):
        return lines
    return attribute(design, candidate, stop_of(design, candidate, model), model, tolerances, lines)


def _off(line: Comparison) -> bool:
    return line.verdict == "fail"


def _headline(design: Design, failed: list[Comparison]) -> str:
    names = ", ".join(dict.fromkeys(line.quantity for line in failed))
    spec, first = design.spec, failed[0]
    sides = f"{first.candidate} differs from {first.reference}"
    return f"{sides} in {names} ({spec.formula}, {spec.method})"


def _line(line: Comparison) -> str:
    cause = f"; {line.cause}: {MEANING[line.cause]}" if line.cause else ""
    return (
        f"  {f'{line.quantity} {line.label}'.strip()}: {line.candidate_value!r}, "
        f"{line.reference} {line.reference_value!r} ({digits_text(line.digits)} digits; error "
        f"{line.error:.3g}, allowed {line.tolerance:.3g}: {line.reason}){cause}"
    )
