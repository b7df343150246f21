"""What is asked of an engine of generalised models: one check a model and identity or quantity."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pp_compare.conformance.checks import ConformanceError, Kind, Outcome
from pp_compare.conformance.glmm import wording
from pp_compare.conformance.glmm.models import GlmmModelCase
from pp_compare.conformance.glmm.relations import RELATIONS, relation_of
from pp_compare.conformance.glmm.trial import GlmmTrial
from pp_compare.identities.glmm import GLMM_IDENTITIES
from pp_compare.verdict.digits import least

GLMM_KINDS: tuple[Kind, ...] = ("answer", "identity", "truth")
"""No parity: what another engine says of another criterion is no reference."""


@dataclass(frozen=True)
class GlmmCheck:
    """One thing that is asked of an engine on one model. Calling it raises where it fails.

    Parameters
    ----------
    kind : {"answer", "identity", "truth"}
        *Identity* is algebra at the engine's own estimates, or between two of its fits; *truth* the
        certified optimum of the criterion that it names.
    model : GlmmModelCase
    subject : str
        Quantity, or id of the identity or the relation; empty for an answer.
    trial : GlmmTrial
    """

    kind: Kind
    model: GlmmModelCase
    subject: str
    trial: GlmmTrial

    @property
    def id(self) -> str:
        """``cbpp-binomial-beta``; unique within its kind."""
        return f"{self.model.id}-{self.model.short(self.subject)}"

    def __str__(self) -> str:
        return self.id

    def __call__(self) -> None:
        """Run the check.

        Raises
        ------
        ConformanceError
            Where it fails.
        """
        outcome = self.run()
        if outcome.verdict == "fail":
            raise ConformanceError(outcome.text)

    def run(self) -> Outcome:
        """Run the check and say what was found."""
        reason = self.trial.unsupported(self.model)
        if reason is not None:
            return Outcome("skip", f"{self.trial.name} cannot express the model: {reason}")
        if self.kind == "answer":
            return _answer(self)
        found = self.trial.judged(self.model)
        if found.fit.status != "ok" or found.judgement.standing == "no answer":
            return Outcome("skip", f"{self.trial.name} gave no answer: see {self.model.id}-answer")
        return _identity(self) if self.kind == "identity" else _numbers(self)


def glmm_checks_of(
    trial: GlmmTrial, models: Sequence[GlmmModelCase], kinds: Iterable[Kind] = GLMM_KINDS
) -> Iterator[GlmmCheck]:
    """Everything that is asked of an engine on some models, without fitting one of them."""
    for kind in kinds:
        for model in models:
            yield from (GlmmCheck(kind, model, s, trial) for s in _subjects(trial, model, kind))


def _subjects(trial: GlmmTrial, model: GlmmModelCase, kind: Kind) -> Iterator[str]:
    if kind == "answer":
        yield "answer"
    elif trial.unsupported(model) is not None:
        return  # the check of the answer says so, once
    elif kind == "identity":
        yield from (identity.id for identity in GLMM_IDENTITIES)
        yield from (relation.id for relation in RELATIONS if relation.change(model.design))
    elif kind == "truth":
        yield from ("criterion", "loglik", "beta", "beta_se")
        yield from (f"random_cov[{group}]" for group in model.design.design.group_levels)


# ---- what is found ------------------------------------------------------------------------------


def _answer(check: GlmmCheck) -> Outcome:
    trial, model = check.trial, check.model
    found = trial.judged(model)
    if found.fit.status == "unsupported":
        said = "; ".join(found.fit.messages)
        return Outcome("fail", f"unsupported() says that {trial.name} can fit it, fit(): {said}")
    if _no_optimum(check):
        return Outcome("skip", f"nothing to compare with: {_no_optimum(check)}")
    if found.fit.status != "ok" or found.judgement.standing == "no answer":
        return Outcome("fail", wording.no_answer(trial, model))
    named = found.fit.definition
    if not named:
        text = f"the Fit of {trial.name} does not name its criterion: definition='laplace'"
        return Outcome("fail", f"{text}, 'agq:k' or 'exact'")
    return Outcome("pass")


def _no_optimum(check: GlmmCheck) -> str:
    """Why the model has no maximum; empty where it has."""
    certified = check.trial.certified(check.model)
    truth = certified.optimum(certified.definitions[0])
    return truth.reason if truth.direction else ""


def _identity(check: GlmmCheck) -> Outcome:
    relation = relation_of(check.subject)
    if relation is None:
        return _own_identity(check)
    if check.trial.judged(check.model).judgement.standing == "not judged":
        return Outcome("skip", check.trial.judged(check.model).judgement.sentence)
    lines = check.trial.relation(check.model, relation)
    failed = [line for line in lines if line.verdict == "fail"]
    if not lines:
        return Outcome("skip", f"{check.trial.name} cannot express the changed model")
    if not failed:
        return Outcome("pass")
    if known := _all_known(check):
        return known
    text = wording.unequal(check.trial, check.model, check.id, relation, failed)
    return Outcome("fail", text, follows=_root(check))


def _own_identity(check: GlmmCheck) -> Outcome:
    found = check.trial.identity(check.model, check.subject)
    if found is None:
        return Outcome("skip", f"{check.subject} is not claimed of what {check.trial.name} gives")
    if found.verdict == "pass":
        return Outcome("pass")
    if found.verdict == "known":
        return Outcome("known", _summary(check, found.deviation))
    identity = next(i for i in GLMM_IDENTITIES if i.id == check.subject)
    text = wording.broken(check.trial, check.model, check.id, identity, found)
    return Outcome("fail", text, follows=_root(check) if identity.cause == "optimiser" else "")


def _numbers(check: GlmmCheck) -> Outcome:
    lines = check.trial.comparisons(check.model, check.subject)
    if not lines:
        found = check.trial.judged(check.model)
        why = found.fit.not_given.get(check.subject.partition("[")[0])
        return Outcome("skip", f"nothing to compare: {why or found.judgement.sentence}")
    told = least(line.digits for line in lines)
    digits = None if math.isnan(told) else told
    failed = [line for line in lines if line.verdict == "fail"]
    known = next((line.deviation for line in lines if line.verdict == "known"), None)
    if not failed:
        return (
            Outcome("known", _summary(check, known), digits)
            if known
            else Outcome("pass", "", digits)
        )
    if all(line.cause == "definition" for line in failed):
        text = "another documented quantity under the same name: "
        sentence = check.trial.judged(check.model).judgement.sentence
        return Outcome("known", text + sentence, digits)
    text = wording.differs(check.trial, check.model, check.id, failed)
    return Outcome("fail", text, digits, follows=_root(check))


def _all_known(check: GlmmCheck) -> Outcome | None:
    """Where what fails of the first fit is known, what two fits of that engine show is too."""
    judgement = check.trial.judged(check.model).judgement
    if judgement.news or not judgement.deviations:
        return None
    return Outcome("known", _summary(check, judgement.deviations[0]))


def _summary(check: GlmmCheck, id_: str | None) -> str:
    entry = next(entry for entry in check.trial.registry if entry.id == id_)
    return f"{entry.id}: {entry.summary}"


def _root(check: GlmmCheck) -> str:
    """The test of what this difference comes from: the criterion, or how it is evaluated.

    An engine that misevaluates its criterion climbs another function, and stops at its top.
    """
    trial, model = check.trial, check.model
    cause = trial.judged(model).judgement.cause
    root = {"objective": "loglik", "optimiser": "criterion", "wrong optimum": "criterion"}.get(
        cause or ""
    )
    if root is None or (check.kind == "truth" and check.subject == root):
        return ""
    fails = any(line.verdict == "fail" for line in trial.comparisons(model, root))
    return f"test_truth[{model.id}-{root}]" if fails else ""
