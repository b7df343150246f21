"""The text of a failure: what differs, by how much, why, and the line that shows it again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from pp_compare.conformance.models import Model
from pp_compare.conformance.trial import Trial
from pp_compare.identities import IDENTITIES, IdentityCheck
from pp_compare.model import Fit
from pp_compare.verdict.agreement import Cause, Comparison
from pp_compare.verdict.deviations import Deviation
from pp_compare.verdict.digits import digits_text, worst_first

SHOWN = 5
"""Numbers of one quantity that are shown; the rest are counted."""

SHOWN_ROWS = 40
"""Data sets up to this length are printed whole."""

MEANING: dict[Cause, str] = {
    "specification": "another design matrix or other rows than the ones it was given",
    "definition": "another documented quantity under the same name",
    "objective": "its log-likelihood is not the log-likelihood at its own estimates",
    "optimiser": "it stopped short of the optimum of the criterion",
    "wrong optimum": "it stopped at a local optimum that is not the best",
    "post-processing": "not what its own variance estimates imply: computed wrongly after the fit",
    "failure": "no usable number",
}


def differs(trial: Trial, model: Model, check_id: str, lines: Sequence[Comparison]) -> str:
    """Numbers of one quantity that differ from a reference."""
    line = lines[0]
    where = "the certified optimum" if line.kind == "truth" else line.reference
    ordered = sorted(lines, key=lambda x: worst_first(x.digits))
    worst = f"{line.quantity} {digits_text(ordered[0].digits)} digits"
    rows = [f"{worst}: {trial.name} differs from {where}", "", *_model(model)]
    for each in ordered[:SHOWN]:
        rows += number_rows(each)
    if len(lines) > SHOWN:
        rows += [f"  and {len(lines) - SHOWN} more of {line.quantity}"]
    rows += [
        "",
        *cause_rows(line),
        *_said(trial, model),
        *_again(trial, model, check_id, line.kind),
    ]
    return "\n".join(rows)


def broken(trial: Trial, model: Model, check_id: str, check: IdentityCheck) -> str:
    """An identity that does not hold at the engine's own estimates."""
    identity = next(known for known in IDENTITIES if known.id == check.identity)
    return "\n".join(
        [
            f"{check.identity} off by {check.error:.2g}: the numbers of {trial.name} contradict "
            "each other",
            "",
            *_model(model),
            f"  identity   {identity.statement}",
            f"  proved in  {identity.source}",
            f"  error      {check.error:.3g}, allowed {check.tolerance:.3g}",
            f"             ({check.reason})",
            f"  cause      {identity.cause}: {MEANING[identity.cause]}",
            *_said(trial, model),
            *_again(trial, model, check_id, "identity"),
        ]
    )


def no_answer(trial: Trial, model: Model, fit: Fit) -> str:
    """An engine that raised, crashed or gave nothing."""
    said = [f"             {text}" for text in fit.messages]
    return "\n".join(
        [
            f"{trial.name} gave no answer to a model that it says it can fit",
            "",
            *_model(model),
            "  cause      failure: it raised, in its own words:",
            *said,
            *_again(trial, model, f"{model.id}-answer", "answer"),
        ]
    )


def stale(trial: Trial, model: Model, entry: Deviation) -> str:
    """A known deviation that no longer shows where it must."""
    return "\n".join(
        [
            f"the known deviation {entry.id} no longer shows",
            "",
            *_model(model),
            f"  known as   {entry.summary}",
            f"  seen       {entry.seen}",
            f"  upstream   {entry.upstream} (checked {entry.checked})",
            "  what now   if it was repaired, end the entry's versions before this one",
            *_again(trial, model, f"{model.id}-{entry.id}", "deviation"),
        ]
    )


def _data(model: Model) -> list[str]:
    """Data that nobody else has, where they are few enough to be read."""
    rows = model.case.dataset.exact_csv().splitlines()
    if len(rows) > SHOWN_ROWS:
        return ["", f"  data       {len(rows) - 1} rows; --pp-bundle DIR writes them"]
    return ["", *(f"  {'data' if k == 0 else '':10} {row}" for k, row in enumerate(rows))]


def _model(model: Model) -> list[str]:
    rows = [f"  model      {model.case.name}, {model.method}: {model.formula}"]
    return [*rows, f"             {model.case.why}"] if model.case.why else rows


def number_rows(line: Comparison) -> list[str]:
    """A number, what it is held against, and by how much they differ."""
    worst = f" (the worst of {line.count})" if line.count > 1 else ""
    width = max(len(line.candidate), len(line.reference), 9)
    return [
        f"  quantity   {line.quantity} {line.label}".rstrip() + worst,
        f"  {line.candidate:<{width}}  {line.candidate_value!r}",
        f"  {line.reference:<{width}}  {line.reference_value!r}",
        f"  digits     {digits_text(line.digits)}",
        f"  error      {line.error:.3g}, allowed {line.tolerance:.3g}",
        f"             ({line.reason})",
    ]


def cause_rows(line: Comparison) -> list[str]:
    """Why, in a line."""
    if line.cause is None:
        return ["  cause      none found: neither side is off the certified optimum by itself"]
    follows = f"; it follows from {line.follows}" if line.follows else ""
    return [f"  cause      {line.cause}: {MEANING[line.cause]}{follows}"]


def _said(trial: Trial, model: Model) -> list[str]:
    """What the engine says of itself, which is part of the picture."""
    fit = trial.judged(model).fits[trial.name]
    words = {True: "converged", False: "not converged", None: "nothing about convergence"}
    return [f"  it says    {'; '.join((words[fit.converged], *fit.messages))}"]


def _again(trial: Trial, model: Model, check_id: str, kind: str) -> list[str]:
    """The command that runs this one check again, and the one that writes it down."""
    if not model.is_named:
        return _data(model)
    if trial.engine_id is None:
        return []
    engine, name = shlex.quote(trial.engine_id), shlex.quote(model.case.name)
    module = {"identity": "identities", "deviation": "deviations"}.get(kind, kind)
    node = shlex.quote(f"pp_compare.conformance.test_{module}::test_{kind}[{check_id}]")
    references = " ".join(f"--pp-reference {shlex.quote(r)}" for r in trial.references.names)
    return [
        "",
        f"  again      pytest --pyargs {node} --pp-engine {engine} --pp-case {name} {references}",
        f"  evidence   pp-compare reproduce {name} --engine {engine} "
        f"--method {model.method.lower()}",
    ]
