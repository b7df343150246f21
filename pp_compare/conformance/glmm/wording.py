"""The text of a failure of a generalised model: what differs, by how much, why, how to see it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from pp_compare.conformance.glmm.models import GlmmModelCase
from pp_compare.conformance.glmm.relations import GlmmRelation
from pp_compare.conformance.glmm.trial import GlmmTrial
from pp_compare.conformance.wording import MEANING, SHOWN, cause_rows, number_rows
from pp_compare.identities.glmm import GlmmIdentity
from pp_compare.identities.record import IdentityCheck
from pp_compare.verdict.agreement import Comparison
from pp_compare.verdict.digits import digits_text, worst_first


def differs(
    trial: GlmmTrial, model: GlmmModelCase, check_id: str, lines: Sequence[Comparison]
) -> str:
    """Numbers of one quantity that differ from the optimum of the engine's own criterion."""
    ordered = sorted(lines, key=lambda x: worst_first(x.digits))
    line = ordered[0]
    first = f"{line.quantity} {digits_text(line.digits)} digits: {trial.name} differs from"
    rows = [f"{first} {line.reference}", "", *_model(model)]
    for each in ordered[:SHOWN]:
        rows += number_rows(each)
    if len(lines) > SHOWN:
        rows += [f"  and {len(lines) - SHOWN} more of {line.quantity}"]
    rows += ["", *cause_rows(lines[0])]
    rows += [f"  it means   {trial.judged(model).judgement.sentence}"]
    return "\n".join([*rows, *_said(trial, model), *_again(trial, model, check_id, "truth")])


def broken(
    trial: GlmmTrial,
    model: GlmmModelCase,
    check_id: str,
    identity: GlmmIdentity,
    check: IdentityCheck,
) -> str:
    """An identity that does not hold at the engine's own estimates."""
    return "\n".join(
        [
            f"{check.identity} off by {check.error:.2g}: the numbers of {trial.name} contradict "
            "each other",
            "",
            *_model(model),
            f"  identity   {identity.statement}",
            f"  error      {check.error:.3g}, allowed {check.tolerance:.3g}",
            f"             ({check.reason})",
            *_said(trial, model),
            *_again(trial, model, check_id, "identity"),
        ]
    )


def unequal(
    trial: GlmmTrial,
    model: GlmmModelCase,
    check_id: str,
    relation: GlmmRelation,
    lines: Sequence[Comparison],
) -> str:
    """Two fits of one engine that contradict each other."""
    ordered = sorted(lines, key=lambda x: worst_first(x.digits))
    rows = [
        f"{relation.id}: {trial.name} contradicts itself in {ordered[0].quantity}",
        "",
        *_model(model),
        f"  relation   {relation.statement}",
    ]
    for each in ordered[:SHOWN]:
        rows += number_rows(each)
    return "\n".join([*rows, *_said(trial, model), *_again(trial, model, check_id, "identity")])


def no_answer(trial: GlmmTrial, model: GlmmModelCase) -> str:
    """An engine that raised, crashed or gave no numbers."""
    found = trial.judged(model)
    said = [f"             {text}" for text in (*found.fit.messages, found.judgement.sentence)]
    return "\n".join(
        [
            f"{trial.name} gave no answer to a model that it says it can fit",
            "",
            *_model(model),
            f"  cause      failure: {MEANING['failure']}:",
            *said,
            *_again(trial, model, f"{model.id}-answer", "answer"),
        ]
    )


def _model(model: GlmmModelCase) -> list[str]:
    rows = [f"  model      {model.case.name}, {model.case.family}: {model.formula}"]
    return [*rows, f"             {model.case.why}"]


def _said(trial: GlmmTrial, model: GlmmModelCase) -> list[str]:
    """What the engine says of itself."""
    fit = trial.judged(model).fit
    words = {True: "converged", False: "not converged", None: "nothing about convergence"}
    return [f"  it says    {'; '.join((words[fit.converged], *fit.messages))}"]


def _again(trial: GlmmTrial, model: GlmmModelCase, check_id: str, kind: str) -> list[str]:
    """The command that runs this one check again, and the one that shows the model."""
    if trial.engine_id is None:
        return []
    engine, name = shlex.quote(trial.engine_id), shlex.quote(model.case.name)
    module = {"identity": "identities"}.get(kind, kind)
    node = shlex.quote(f"pp_compare.conformance.test_{module}::test_{kind}[{check_id}]")
    return [
        "",
        f"  again      pytest --pyargs {node} --pp-engine {engine} --pp-generalised "
        f"--pp-case {name}",
        f"  evidence   pp-compare audit {name} --engine {engine}",
    ]
