"""What became of one fit: held against the certified optimum by the rules of the audit.

The criterion at the engine's own variances decides. What the engine made of its variances is held
against what they imply.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pp_compare.certified.models import CertifiedModel, DegenerateModelError, certified_model
from pp_compare.errors import PPCompareError
from pp_compare.model import Fit, Quantity
from pp_compare.model.design import Design
from pp_compare.verdict.agreement import compare_criterion
from pp_compare.verdict.attribution import Stop, attribute, stop_of
from pp_compare.verdict.digits import least, lre
from pp_compare.verdict.tolerance import Tolerances, criterion_tolerance, rounding_at_optimum

Outcome = Literal[
    "right", "early stop", "wrong optimum", "below", "failure", "unsupported", "unjudged"
]
"""``below``: the engine's criterion is lower than the best optimum that our search found, which can
only be where no more than a local certificate is claimed. ``unjudged``: the criterion has no
optimum, or double precision cannot tell."""

NAN = float("nan")


@dataclass(frozen=True, eq=False)
class Truth:
    """The certified optimum of one data set.

    Parameters
    ----------
    model : CertifiedModel
    tolerance : float
        On -2 loglik above the optimum, as in `pp_compare.verdict.tolerance`; infinite where double
        precision cannot tell.
    seconds : float
        That it took.
    """

    model: CertifiedModel
    tolerance: float
    seconds: float


@dataclass(frozen=True)
class Judgement:
    """What was found of one fit.

    Parameters
    ----------
    outcome : Outcome
    above : float
        -2 loglik at the engine's variances above the optimum.
    tolerance : float
        On `above`.
    loglik_error : float
        Its log-likelihood less the log-likelihood at its own variances.
    beta_error : float
        Largest difference of its fixed effects from those that its variances imply, in standard
        errors.
    se_error : float
        Largest relative difference of its standard errors from those of GLS at its variances.
    digits_beta, digits_variances : float
        Digits right of the worst fixed effect and the worst variance component.
    """

    outcome: Outcome
    above: float = NAN
    tolerance: float = NAN
    loglik_error: float = NAN
    beta_error: float = NAN
    se_error: float = NAN
    digits_beta: float = NAN
    digits_variances: float = NAN


def truth_of(design: Design) -> Truth | str:
    """Certify the optimum of a design; a string says why there is none."""
    start = time.perf_counter()
    try:
        model = certified_model(design)
        rounding = rounding_at_optimum(design, model)
    except (DegenerateModelError, PPCompareError) as reason:
        return str(reason)
    return Truth(model, criterion_tolerance(rounding), time.perf_counter() - start)


def judge_fit(design: Design, fit: Fit, truth: Truth | str) -> Judgement:
    """Judge a fit of any engine."""
    if fit.status != "ok":
        return Judgement("unsupported" if fit.status == "unsupported" else "failure")
    if not np.isfinite(fit["beta"]).all():
        return Judgement("failure")
    if isinstance(truth, str):
        return Judgement("unjudged")
    stop = stop_of(design, fit, truth.model)
    if isinstance(stop, str):
        return Judgement("failure", tolerance=truth.tolerance)
    best, implied = truth.model.optimum.quantities, stop.implied
    errors = implied["beta_se"].values
    return Judgement(
        _outcome(design, fit, stop, truth),
        above=stop.above,
        tolerance=truth.tolerance,
        loglik_error=float(fit["loglik"]) + stop.deviance / 2,
        beta_error=float(np.max(np.abs(fit["beta"] - implied["beta"].values) / errors)),
        se_error=float(np.max(np.abs(fit["beta_se"] / errors - 1.0))),
        digits_beta=_digits(fit.quantities["beta"], best["beta"]) if "beta" in best else NAN,
        digits_variances=least(
            _digits(fit.quantities[name], best[name])
            for name in best
            if name == "sigma" or name.startswith("random_cov")
        ),
    )


def _outcome(design: Design, fit: Fit, stop: Stop, truth: Truth) -> Outcome:
    """By the audit's own comparison, and its own word for the cause."""
    if np.isinf(truth.tolerance):
        return "unjudged"
    if stop.above < -truth.tolerance:
        return "below"
    tolerances = Tolerances(truth.tolerance, {})
    line = compare_criterion(fit.engine, stop.deviance, truth.model.optimum.deviance, tolerances)
    if line.verdict == "pass":
        return "right"
    (line,) = attribute(design, fit, stop, truth.model, tolerances, [line])
    return "wrong optimum" if line.cause == "wrong optimum" else "early stop"


def _digits(candidate: Quantity, reference: Quantity) -> float:
    pairs = zip(candidate.entries(), reference.entries(), strict=True)
    return least(lre(value, truth) for (_, value), (_, truth) in pairs)
