"""What an engine's answer to a generalised mixed model is worth.

There are two truths, the maximum of the exact likelihood and that of the criterion which the engine
names: Laplace's, or k nodes of quadrature. An engine is judged by the second, and told how far it
is from the first. One that names neither, as penalised quasi-likelihood or a posterior, is not
judged.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pp_compare.certified.glmm.model import Answer, GlmmModel
from pp_compare.errors import InputError
from pp_compare.identities.glmm_errors import (
    OTHER_ERRORS,
    Other,
    jointly_maximised,
    other_standard_errors,
)
from pp_compare.identities.glmm_modes import criterion_at_modes
from pp_compare.model import Fit, Quantity
from pp_compare.verdict import glmm_sentences as sentences
from pp_compare.verdict.agreement import Cause, Comparison
from pp_compare.verdict.digits import lre
from pp_compare.verdict.glmm_tolerance import criterion_tolerance, glmm_tolerances, rounding_of
from pp_compare.verdict.harm import Harm, measure_harm
from pp_compare.verdict.judgement import Judgement, Standing, without_answer
from pp_compare.verdict.tolerance import HARMLESS, NEGLIGIBLE, Tolerance

STILL = 0.01
"""Share of the distance to the optimum that Newton's method expects to gain from an engine's
numbers; with less the engine stands at a stationary point, and that is another optimum."""


@dataclass(frozen=True)
class Told:
    """What can be said of a fit with numbers, before it is judged.

    Parameters
    ----------
    definition : str
        The criterion that it is judged by.
    reported : float
        Its log-likelihood; nan where it gives none.
    value : float
        The criterion at its own estimates, to a double.
    best : float
        The criterion's certified maximum.
    counted_from : float
        What it counts its log-likelihood from: 0, or the saturated model's.
    decrement : float
        What Newton's method expects to gain from there; nan where the criterion is not concave.
    rounding : float
        Of a log-likelihood in double precision.
    beta_se : (p,) array
        Standard errors by the criterion's second derivatives at its own estimates.
    known_se : (p,) array
        The same with the covariances of the random effects taken for known.
    at_modes : float
        The criterion about the engine's own conditional modes; nan where it has none.
    """

    definition: str
    reported: float
    value: float
    best: float
    counted_from: float
    decrement: float
    rounding: float
    beta_se: np.ndarray
    known_se: np.ndarray
    at_modes: float = math.nan

    @property
    def above(self) -> float:
        """Deviance at its own estimates, above the optimum."""
        return 2 * (self.best - self.value)

    @property
    def misevaluated(self) -> float:
        """Its log-likelihood less the criterion at its own estimates."""
        return self.reported + self.counted_from - self.value

    @property
    def arrived(self) -> bool:
        """Whether it is at the optimum, but for `NEGLIGIBLE` and rounding."""
        return self.above <= criterion_tolerance(self.rounding)

    @property
    def evaluates(self) -> bool:
        """Whether its log-likelihood is the criterion; also where it gives none."""
        off = abs(self.misevaluated)
        return not off > NEGLIGIBLE / 2 + self.rounding

    @property
    def reports_the_best(self) -> bool:
        """Whether its log-likelihood is the maximum, which its estimates do not have."""
        off = abs(self.reported + self.counted_from - self.best)
        short = not self.arrived and not self.evaluates
        return short and off <= NEGLIGIBLE + self.rounding

    @property
    def elsewhere(self) -> bool:
        """Whether it stands still at another optimum."""
        return self.above > HARMLESS and self.decrement < STILL * self.above / 2


def judge_glmm(model: GlmmModel, fit: Fit) -> tuple[Judgement, tuple[Comparison, ...]]:
    """Judge one fit, with the comparisons that it rests on.

    Parameters
    ----------
    model : GlmmModel
    fit : Fit
        With the id of its criterion in `Fit.definition`.
    """
    truth = model.optimum(model.definitions[0])
    if truth.direction:
        return _without_optimum(model, fit, truth)
    if fit.status != "ok":
        line = _failed(fit)
        return without_answer(fit, "", line), () if fit.status == "unsupported" else (line,)
    if reason := _no_numbers(fit):
        sentence = f"{fit.engine} gives no answer: {reason}"
        return Judgement(fit.engine, "no answer", sentence, cause="failure"), (_failed(fit),)
    if model.why_not(fit.definition):
        return _other_estimator(model, fit, truth)
    own = model.optimum(fit.definition)
    if not own.found or own.claim == "none":
        sentence = f"{fit.engine} is not judged: no optimum is proved, for {own.reason}"
        return Judgement(fit.engine, "not judged", sentence), ()
    try:
        told = tell(model, fit, float(own.quantities["loglik"].values))
    except InputError as error:
        return Judgement(fit.engine, "not judged", f"{fit.engine} is not judged: {error}"), ()
    return _judged(model, fit, told, own, truth)


def _no_numbers(fit: Fit) -> str:
    """Why nothing can be done with the numbers of a fit; empty where something can."""
    numbers = [fit["beta"], *fit.covariances.values()]
    if not all(bool(np.isfinite(values).all()) for values in numbers):
        return "some of its estimates are no numbers"
    se = fit.quantities.get("beta_se")
    if se is not None and not (se.values > 0).any():
        return f"its standard errors are {se.values.max():g}"
    return ""


def _judged(
    model: GlmmModel, fit: Fit, told: Told, own: Answer, truth: Answer
) -> tuple[Judgement, tuple[Comparison, ...]]:
    lines = tuple(_lines(model, fit, told, own))
    other = None
    if any(line.quantity == "beta_se" and line.verdict == "fail" for line in lines):
        other = other_standard_errors(model.design, fit, told.known_se)
    harm = _harm(model, fit, own, told, without_se=other is not None)
    fixed = [line for line in lines if not (other and line.quantity == "beta_se")]
    standing, cause = _standing(told, harm, fixed, other)
    lines = tuple(
        replace(x, cause="definition" if other and x.quantity == "beta_se" else cause)
        if x.verdict == "fail"
        else x
        for x in lines
    )
    distance = None if own.definition == truth.definition else _harm(model, fit, truth, None)
    sentence = sentences.of_standing(fit, standing, cause, told, harm, own)
    if other is not None:
        sentence += sentences.other_errors(fit, own, OTHER_ERRORS[other])
    if not told.arrived and jointly_maximised(model.design, fit, NEGLIGIBLE):
        sentence += sentences.JOINT
    sentence += sentences.distance(fit, truth, distance)
    judgement = Judgement(
        fit.engine,
        standing,
        sentence,
        harm,
        cause,
        sentences.engine_says(fit, standing),
        news=any(line.verdict == "fail" for line in lines),
    )
    return judgement, lines


def tell(model: GlmmModel, fit: Fit, best: float) -> Told:
    """Evaluate the criterion that a fit names at its own estimates.

    Parameters
    ----------
    model : GlmmModel
    fit : Fit
    best : float
        The criterion's maximum; nan where it has none.

    Raises
    ------
    InputError
        Where its estimates are not finite, or the criterion cannot be enclosed there.
    """
    near = model.near(fit.definition, fit["beta"], fit.covariances)
    value = near.value.middle
    if not math.isfinite(value):
        raise InputError("the criterion cannot be enclosed at its estimates")
    loglik = fit.quantities.get("loglik")
    reported = float("nan") if loglik is None else float(loglik.values)
    rounding = rounding_of(model, value)
    counted_from, saturated = 0.0, model.saturated()
    off = reported - value
    # An engine that counts from the saturated model is off by just that; nothing else is.
    if abs(off + saturated) < min(HARMLESS, abs(off) / 10):
        counted_from = saturated
    return Told(
        fit.definition, reported, value, best, counted_from, near.decrement, rounding,
        near.beta_se, near.known_se, criterion_at_modes(model.design, fit),
    )  # fmt: skip


def _harm(
    model: GlmmModel, fit: Fit, answer: Answer, told: Told | None, *, without_se: bool = False
) -> Harm:
    """Moves from an optimum, in a reader's units.

    A random variance is told relative to the true one, or to a share of the variance that the
    distribution itself has on the scale of the link, which stands where a residual variance would.
    """
    truth = dict(answer.quantities)
    truth["sigma"] = Quantity("sigma", np.array(math.sqrt(link_variance(model))))
    if told is None or told.counted_from:
        truth.pop("loglik", None)
    above = float("nan") if told is None else told.above
    if without_se:
        kept = {name: q for name, q in fit.quantities.items() if name != "beta_se"}
        fit = replace(fit, quantities=kept)
    return measure_harm(model.design.design, fit, truth, above)


def link_variance(model: GlmmModel) -> float:
    """Variance of one observation on the scale of the link.

    pi^2 / 3 under the logit, log(1 + 1 / mean) for counts (Nakagawa, Johnson & Schielzeth 2017, J.
    R. Soc. Interface 14).
    """
    if model.design.family == "binomial":
        return math.pi**2 / 3
    return math.log1p(1 / max(float(model.design.y.mean()), 1e-12))


def _standing(
    told: Told, harm: Harm, lines: Sequence[Comparison], other: Other | None
) -> tuple[Standing, Cause | None]:
    if told.above < -criterion_tolerance(told.rounding):
        return "not judged", None
    if not told.arrived and told.elsewhere:
        return "wrong optimum", "wrong optimum"
    harmful = harm.worst > 1 or bool(harm.conclusions)
    cause: Cause | None = None
    if told.reports_the_best:
        cause = "post-processing"
    elif not told.evaluates and abs(told.misevaluated) > told.above / 20:
        cause = "objective"
    elif not told.arrived:
        cause = "optimiser"
    elif any(line.verdict == "fail" for line in lines):
        cause = "post-processing"
    if cause is not None and harmful:
        return "wrong", cause
    if not told.arrived:
        return "short of the optimum, harmless", cause
    if (told.counted_from or other) and cause is None:
        return "right, other definition", "definition"
    return "right", cause


def _lines(model: GlmmModel, fit: Fit, told: Told, own: Answer) -> Iterator[Comparison]:
    """The criterion, the reported log-likelihood, and every estimate, against the optimum."""
    reference = f"certified:{told.definition}"
    allowed = criterion_tolerance(told.rounding)
    yield _line(
        fit, reference, ("criterion", ""), -2 * told.value, -2 * told.best, allowed,
        f"{NEGLIGIBLE:g} (lme4's convergence criterion) and rounding",
    )  # fmt: skip
    if not math.isnan(told.reported):
        yield _evaluated(fit, told)
    tolerances = glmm_tolerances(model, told.definition, told.rounding, told.beta_se)
    for name, tolerance in tolerances.items():
        yield from _compared(fit, reference, own.quantities[name], tolerance)


def _evaluated(fit: Fit, told: Told) -> Comparison:
    """The reported log-likelihood against the criterion at the engine's own estimates."""
    reference = f"certified:{told.definition} at its own estimates"
    bound = criterion_tolerance(told.rounding) / 2
    reported = told.reported + told.counted_from
    why = "half the criterion's tolerance"
    return _line(fit, reference, ("loglik", ""), reported, told.value, bound, why)


def _compared(
    fit: Fit, reference: str, truth: Quantity, tolerance: Tolerance
) -> Iterator[Comparison]:
    theirs = fit.quantities.get(truth.name)
    if theirs is None:
        return
    bounds = Quantity(truth.name, tolerance.values, truth.rows, truth.columns)
    triples = zip(theirs.entries(), truth.entries(), bounds.entries(), strict=True)
    for (label, value), (_, best), (_, bound) in triples:
        yield _line(fit, reference, (truth.name, label), value, best, bound, tolerance.reason)


def _line(
    fit: Fit,
    reference: str,
    key: tuple[str, str],
    value: float,
    best: float,
    bound: float,
    why: str,
) -> Comparison:
    error = abs(value - best)
    return Comparison(
        fit.engine, reference, key[0], key[1], value, best, error, lre(value, best), bound, why,
        "pass" if error <= bound else "fail",
    )  # fmt: skip


def _failed(fit: Fit) -> Comparison:
    nan = float("nan")
    said = "; ".join(fit.messages) or "its estimates are no numbers"
    return Comparison(
        fit.engine, "certified", "fit", "", nan, nan, nan, 0.0, nan, said,
        "skip" if fit.out_of_time or fit.status == "unsupported" else "fail",
        cause=None if fit.out_of_time else "failure", count=0,
    )  # fmt: skip


def _other_estimator(
    model: GlmmModel, fit: Fit, truth: Answer
) -> tuple[Judgement, tuple[Comparison, ...]]:
    """An engine whose criterion is not worked out here: the distance alone is told."""
    if not truth.found:
        sentence = f"{fit.engine} is not judged: {truth.reason}"
        return Judgement(fit.engine, "not judged", sentence), ()
    harm = _harm(model, fit, truth, None)
    sentence = sentences.of_other_estimator(fit) + sentences.distance(fit, truth, harm)
    says = sentences.engine_says(fit, "not judged")
    return Judgement(fit.engine, "not judged", sentence, harm, "definition", says), ()


def _without_optimum(
    model: GlmmModel, fit: Fit, truth: Answer
) -> tuple[Judgement, tuple[Comparison, ...]]:
    """Where there is no maximum nothing can be right but the criterion at an engine's numbers."""
    labels = model.design.design.labels
    if fit.status == "unsupported":
        return without_answer(fit), ()
    if fit.status != "ok":
        return without_answer(fit, truth.reason), ()
    sentence = sentences.of_no_optimum(fit, truth, labels)
    judgement = Judgement(fit.engine, "not judged", sentence)
    if "loglik" not in fit.quantities or model.why_not(fit.definition):
        return judgement, ()
    try:
        told = tell(model, fit, float("nan"))
    except InputError:
        return judgement, ()
    cause: Cause | None = None if told.evaluates else "objective"
    # It rises towards its bound, often 0, and digits of next to nothing say nothing.
    return judgement, (replace(_evaluated(fit, told), cause=cause, digits=float("nan")),)
