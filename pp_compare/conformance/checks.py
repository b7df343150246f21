"""What is asked of an engine: one Check a model and identity, quantity or known deviation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pp_compare.conformance import wording
from pp_compare.conformance.models import Model
from pp_compare.conformance.references import CERTIFIED
from pp_compare.conformance.trial import Trial
from pp_compare.data.corpus import Case, case
from pp_compare.data.files import read_dataset
from pp_compare.identities import IDENTITIES
from pp_compare.model import Method
from pp_compare.model.answer import quantities_of
from pp_compare.verdict.agreement import Comparison, Verdict
from pp_compare.verdict.deviations import Deviation, Example
from pp_compare.verdict.digits import least
from pp_compare.verdict.versions import package_version

Kind = Literal["answer", "identity", "truth", "parity", "deviation"]
KINDS: tuple[Kind, ...] = ("answer", "identity", "truth", "parity", "deviation")


class ConformanceError(AssertionError):
    """An engine is not what it should be; the text explains itself."""


@dataclass(frozen=True)
class Outcome:
    """What a check found.

    Parameters
    ----------
    verdict : {"pass", "fail", "known", "skip"}
    text : str
        Of a failure everything one needs to know; else the reason, in one line.
    digits : float or None
        Least number of right digits, where numbers were compared.
    gone : str
        Id of a known deviation that no longer shows, which is the failure.
    follows : str
        The test whose failure explains this one, ``test_truth[sleepstudy-REML-criterion]``.
    """

    verdict: Verdict
    text: str = ""
    digits: float | None = None
    gone: str = ""
    follows: str = ""


@dataclass(frozen=True)
class Check:
    """One thing that is asked of an engine on one model. Calling it raises where it fails.

    Parameters
    ----------
    kind : {"answer", "identity", "truth", "parity", "deviation"}
        *Identity* is algebra at the engine's own estimates, *truth* the certified optimum,
        *parity* another engine.
    model : Model
    subject : str
        Quantity, id of the identity or of the known deviation; empty for an answer.
    reference : str
        Of truth and parity.
    trial : Trial
    """

    kind: Kind
    model: Model
    subject: str
    reference: str
    trial: Trial

    @property
    def id(self) -> str:
        """``sleepstudy-REML-beta``, ``Penicillin-ML-blup-plate-lme4``; unique within its kind."""
        subject = self.model.short(self.subject)
        other = self.reference if self.kind == "parity" else ""
        return "-".join(part for part in (self.model.id, subject, other) if part)

    def __str__(self) -> str:
        return self.id

    def __call__(self) -> None:
        """Run the check.

        Raises
        ------
        ConformanceError
            Where it fails; a known deviation and a model that the engine cannot express do not.
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
        if self.kind == "deviation":
            return _deviation(self)
        fit = self.trial.judged(self.model).fits[self.trial.name]
        if fit.status != "ok":
            return Outcome("skip", f"{self.trial.name} gave no answer: see {self.model.id}-answer")
        return _identity(self) if self.kind == "identity" else _numbers(self)


def checks_of(
    trial: Trial, models: Sequence[Model], kinds: Iterable[Kind] = KINDS
) -> Iterator[Check]:
    """Everything that is asked of an engine on some models, without fitting one of them."""
    for kind in kinds:
        if kind == "deviation":
            yield from _of_deviations(trial, models)
        else:
            for model in models:
                yield from _of_model(trial, model, kind)


def _of_model(trial: Trial, model: Model, kind: Kind) -> Iterator[Check]:
    if kind == "answer":
        yield Check(kind, model, "answer", "", trial)
    elif trial.unsupported(model) is not None:
        return  # the check of the answer says so, once
    elif kind == "identity":
        for identity in IDENTITIES:
            if identity.applies(model.design):
                yield Check(kind, model, identity.id, "", trial)
    elif kind == "truth" and trial.references.certified:
        for quantity in ("criterion", *quantities_of(model.design)):
            yield Check(kind, model, quantity, CERTIFIED, trial)
    elif kind == "parity":
        for reference, engine in trial.references.engines.items():
            if engine.unsupported(model.design) is None:
                for quantity in quantities_of(model.design):
                    yield Check(kind, model, quantity, reference, trial)


def _of_deviations(trial: Trial, models: Sequence[Model]) -> Iterator[Check]:
    """Examples among the models, and those that have data of their own."""
    chosen = {model.id: model for model in models}
    for entry in trial.registry:
        if entry.engine == trial.name.partition(":")[0]:
            for example in entry.examples:
                model = _example_model(example)
                if example.data is not None or model.id in chosen:
                    yield Check("deviation", chosen.get(model.id, model), entry.id, "", trial)


def _example_model(example: Example) -> Model:
    method: Method = "ML" if example.method == "ML" else "REML"
    if example.data is None:
        return Model(case(example.case), method)
    path = example.data
    return Model(Case(example.case, lambda: read_dataset(path), example.formula), method)


# ---- what is found ------------------------------------------------------------------------------


def _answer(check: Check) -> Outcome:
    """Whether the engine gave an answer at all, and its own numbers could be judged."""
    trial, report = check.trial, check.trial.judged(check.model)
    lines = [x for x in report.comparisons if x.candidate == trial.name and x.quantity == "fit"]
    fit = report.fits[trial.name]
    if fit.status == "unsupported":
        said = "; ".join(fit.messages)
        return Outcome("fail", f"unsupported() says that {trial.name} can fit it, fit(): {said}")
    failed = [line for line in lines if line.verdict == "fail"]
    if failed:
        return Outcome("fail", wording.no_answer(trial, check.model, fit))
    return _known(trial.registry, lines) or Outcome("pass")


def _deviation(check: Check) -> Outcome:
    """A known deviation must show in its example."""
    trial = check.trial
    entry = next(entry for entry in trial.registry if entry.id == check.subject)
    report = trial.judged(check.model)
    version = package_version(report.fits[trial.name])
    if not entry.concerns(trial.name, version):
        about = f"{entry.engine}{entry.versions} {', '.join(entry.settings)}"
        return Outcome("skip", f"{entry.id} is about {about}, not {trial.name} {version}")
    if not entry.must_show(trial.name, version):
        return Outcome("skip", f"the examples of {entry.id} are of another setting")
    if entry.id in report.stale:
        return Outcome("fail", wording.stale(trial, check.model, entry), gone=entry.id)
    return Outcome("pass")


def _identity(check: Check) -> Outcome:
    trial = check.trial
    found = trial.identity(check.model, check.subject)
    if found is None:
        return Outcome("fail", f"{check.subject} was not checked on {check.model.id}")
    if found.verdict == "fail":
        return Outcome("fail", wording.broken(trial, check.model, check.id, found))
    if found.verdict == "known":
        return Outcome("known", _summary(trial.registry, found.deviation))
    return Outcome(found.verdict, found.reason if found.verdict == "skip" else "")


def _numbers(check: Check) -> Outcome:
    trial, model = check.trial, check.model
    lines = trial.comparisons(model, check.reference, check.subject)
    if not lines:
        return _not_compared(check)
    told = least(line.digits for line in lines if line.verdict != "skip")
    digits = None if math.isnan(told) else told
    failed = [line for line in lines if line.verdict == "fail"]
    if failed:
        text = wording.differs(trial, model, check.id, failed)
        return Outcome("fail", text, digits, follows=_root(check, failed))
    known = _known(trial.registry, lines)
    if known is not None:
        return replace(known, digits=digits)
    if all(line.verdict == "skip" for line in lines):
        return Outcome("skip", lines[0].reason)
    return Outcome("pass", digits=digits)


def _root(check: Check, failed: Sequence[Comparison]) -> str:
    """The test of the quantity from whose difference all of these follow, if that one fails."""
    trial, model = check.trial, check.model
    followed = {line.follows for line in failed}
    if None in followed or len(followed) != 1:
        return ""
    if check.kind == "parity":
        of_us = {line.blamed for line in failed} == {trial.name}
        subject = check.subject if of_us and trial.references.certified else ""
    else:
        subject = failed[0].follows or ""
    lines = trial.comparisons(model, CERTIFIED, subject)
    fails = any(line.verdict == "fail" for line in lines)
    return f"test_truth[{model.id}-{model.short(subject)}]" if fails else ""


def _not_compared(check: Check) -> Outcome:
    """Why there is no line: the reference did not answer, or the model has no optimum."""
    report = check.trial.judged(check.model)
    reasons = [
        f"{line.candidate}: {line.reason}"
        for line in report.comparisons
        if line.quantity == "fit" and line.candidate in {check.reference, check.trial.name}
    ]
    reference = report.fits.get(check.reference)
    if reference and (why := reference.not_given.get(check.subject.partition("[")[0])):
        reasons.append(f"{check.reference}: {why}")
    if not reasons:
        return Outcome("fail", f"nothing was compared for {check.id}")
    return Outcome("skip", f"nothing to compare with: {reasons[0]}")


def _known(registry: Sequence[Deviation], lines: Sequence[Comparison]) -> Outcome | None:
    known = next((line for line in lines if line.verdict == "known"), None)
    return None if known is None else Outcome("known", _summary(registry, known.deviation))


def _summary(registry: Sequence[Deviation], id_: str | None) -> str:
    entry = next(entry for entry in registry if entry.id == id_)
    return f"{entry.id}: {entry.summary}"
