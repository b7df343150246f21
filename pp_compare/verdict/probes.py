"""What no single fit answers: is the score the slope, are arguments honoured, what do more rows do.

A question is put to `pp_compare.engines.mixedlm`, here or in the environment of another release
(`pp_compare.releases`), and its answers are read together. A probe is what the registry of known
deviations can name, ``probe:NAME``: a question put to the statsmodels that is installed here, or a
look at a Fit for what no tolerance would show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from pp_compare.certified.models import certified_model
from pp_compare.engines import statsmodels as native
from pp_compare.errors import InputError
from pp_compare.model import Dataset, Fit
from pp_compare.model.design import Design, build_design
from pp_compare.verdict.attribution import Stop, stop_of
from pp_compare.verdict.outcome import Outcome
from pp_compare.verdict.tolerance import derive_tolerances

STOPPING: Mapping[str, Mapping[str, float]] = {
    "bfgs": {"gtol": 1e3, "maxiter": 1},
    "lbfgs": {
        "pgtol": 1e3,
        "factr": 1e16,
        "m": 1,
        "maxiter": 1,
        "gtol": 1e3,
        "ftol": 0.9,
        "maxcor": 1,
    },
    "cg": {"gtol": 1e3, "maxiter": 1},
    "powell": {"xtol": 0.9, "ftol": 0.9, "maxiter": 1},
    "nm": {"xtol": 0.9, "ftol": 0.9, "maxiter": 1},
}
"""By optimiser: keywords, and values with which it stops at once or takes another way."""

BESIDE = {("nm", "xtol"): {"ftol": 0.9}, ("nm", "ftol"): {"xtol": 0.9}}
"""Nelder-Mead stops only where both tolerances are met, so each is tried with the other wide."""

FACTORS = {"positive": 0.5, "negative": -0.5}
"""tau / sigma of either sign; the log-likelihood is even in it, so its slope is odd."""

SCALE = 16.0
"""A power of 2, so that a change of unit rounds nothing."""

COPIES = 1000
"""How often every row stands where many rows are asked for; in the same cluster each time."""

FARTHER = 10.0
"""A sound tolerance lets the deviance rise alike at any number of rows; the stops of two fits vary
within it, but not by this factor beyond what is let pass."""

CLOSE = 1e-3
"""On ratios that are 1 where all is well and at least 2 off where not; the slope is a difference
quotient with an error of 1e-6 at most, a refit in another unit stops within 1e-5 of the first."""

WRONG_SIGN = "the slope of the log-likelihood with the wrong sign"

Arguments = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Call:
    """A function of `pp_compare.engines.mixedlm`, asked about a model.

    Parameters
    ----------
    function : str
    design : Design
    step : tuple of pairs
        Arguments of MixedLM's ``fit``.
    more : tuple
        Arguments of the function beside the request.
    """

    function: str
    design: Design
    step: Arguments = ()
    more: tuple[Any, ...] = ()

    def arguments(self) -> tuple[Any, ...]:
        """The request, as plain data, and what comes beside it."""
        plan = native.layout(self.design)
        if isinstance(plan, str):
            raise TypeError(plan)
        return native.request(self.design, plan, (dict(self.step),)), *self.more

    def answer(self) -> Any:
        """What the statsmodels that is installed here answers."""
        # Loading it takes more than a second, and few who import this module ask.
        from pp_compare.engines import mixedlm  # noqa: PLC0415

        return getattr(mixedlm, self.function)(*self.arguments())


@dataclass(frozen=True)
class Question:
    """Calls, and what their answers mean together."""

    calls: tuple[Call, ...]
    read: Callable[..., Outcome]

    def answers(self) -> list[Any]:
        """What the statsmodels that is installed here answers."""
        return [call.answer() for call in self.calls]


def score(factor: float, design: Design) -> Question:
    """Whether the score at tau / sigma, of either sign, is the slope of the log-likelihood."""
    return Question((Call("score_and_slope", design, more=(factor,)),), _right_score)


def _right_score(pair: tuple[float, float]) -> Outcome:
    found, slope = pair
    ratio = found / slope if slope else np.nan
    if abs(ratio - 1) < CLOSE:
        return Outcome(True, "the slope of the log-likelihood")
    if abs(ratio + 1) < CLOSE:
        return Outcome(False, WRONG_SIGN)
    return Outcome(False, f"{ratio:.2g} times the slope of the log-likelihood")


def scaled_error(design: Design) -> Question:
    """A variance is in the square of the response's unit, and so is its standard error."""
    frame = design.dataset.frame.copy()
    frame[design.spec.response] = frame[design.spec.response] * SCALE
    scaled = build_design(replace(design.dataset, frame=frame), design.spec)
    calls = tuple(Call("variance_standard_error", d) for d in (design, scaled))
    return Question(calls, _right_scale)


def scale_ratio(error: float, scaled: float) -> float:
    """The standard error in another unit over what the change of unit implies; 1 where sound."""
    return scaled / error / SCALE**2 if error else np.nan


def _right_scale(error: float, scaled: float) -> Outcome:
    ratio = scale_ratio(error, scaled)
    if abs(ratio - 1) < CLOSE:
        return Outcome(True, "scales with the square of the response")
    return Outcome(False, f"{ratio:.2g} times what the change of unit implies")


def _keyword(method: str, keyword: str, design: Design) -> Question:
    """Whether a value that must stop an optimiser at once changes any number of the fit."""
    step: Arguments = (("method", method), *BESIDE.get((method, keyword), {}).items())
    with_it: Arguments = (*step, (keyword, STOPPING[method][keyword]))
    return Question((Call("fit", design, step), Call("fit", design, with_it)), _honoured)


def _honoured(without: Mapping[str, Any], given: Mapping[str, Any]) -> Outcome:
    if given["status"] != "ok":
        return Outcome(False, f"raises {given['problem'].partition(':')[0]}")
    if without["status"] != "ok":
        return Outcome(False, f"the optimiser raises {without['problem'].partition(':')[0]}")
    names = ("fe_params", "cov_re", "scale", "llf")
    if any(not np.array_equal(without[name], given[name]) for name in names):
        return Outcome(True, "honoured")
    new = sorted({w.partition(":")[0] for w in set(given["warnings"]) - set(without["warnings"])})
    return Outcome(False, f"no effect; warns: {', '.join(new) or 'nothing'}")


def _criteria(design: Design) -> Question:
    return Question((Call("information_criteria", design),), _are_numbers)


def _are_numbers(criteria: tuple[float, float]) -> Outcome:
    aic, bic = criteria
    if np.isfinite([aic, bic]).all():
        return Outcome(True, "numbers")
    return Outcome(False, f"AIC {aic}, BIC {bic}")


def _more_rows(design: Design) -> Question:
    many = repeated(design, COPIES)
    calls = (Call("fit", design), Call("fit", many))
    return Question(calls, partial(_as_near, design, many))


def repeated(design: Design, copies: int) -> Design:
    """Every row many times, in the same cluster."""
    rows = pd.concat([design.dataset.frame] * copies, ignore_index=True)
    return build_design(Dataset(design.dataset.name, rows), design.spec)


def _as_near(design: Design, many: Design, once: Any, often: Any) -> Outcome:
    """Whether both fits stop as near to their optimum, in units of deviance."""
    few, more = _above(design, once), _above(many, often)
    if more <= let_pass(many, few):
        return Outcome(True, "as near to the optimum with more rows")
    return Outcome(
        False, f"{few:.2g} above the optimum in deviance, {more:.2g} with every row {COPIES} times"
    )


def let_pass(many: Design, few: float) -> float:
    """How far above its optimum a fit to many rows may stop, where the one to few stops so far."""
    allowed = derive_tolerances(many, certified_model(many)).criterion
    return FARTHER * max(few, allowed)


def _above(design: Design, answer: Any) -> float:
    """Deviance of a MixedLM fit above the optimum; infinite where it gave no answer."""
    plan = native.layout(design)
    if isinstance(plan, str):
        raise TypeError(plan)
    fit = native.read_fit("statsmodels", ({},), design, plan, answer, {})
    stop = stop_of(design, fit, certified_model(design)) if fit.status == "ok" else ""
    return stop.above if isinstance(stop, Stop) else np.inf


QUESTIONS: Mapping[str, Callable[[Design], Question]] = {
    **{
        f"keyword {keyword} of {method}": partial(_keyword, method, keyword)
        for method, keywords in STOPPING.items()
        for keyword in keywords
    },
    **{
        f"score where the factor is {sign}": partial(score, factor)
        for sign, factor in FACTORS.items()
    },
    "standard error of a variance in another unit": scaled_error,
    "information criteria under REML": _criteria,
    "distance from the optimum with more rows": _more_rows,
}
"""What statsmodels can be asked, by what it is about, each of a model that shows it."""


def ask(question: Question) -> Outcome:
    """Put a question to the statsmodels that is installed here."""
    try:
        answers = question.answers()
    except Exception as error:  # whatever the engine raises is its answer
        return Outcome(False, f"raises {type(error).__name__}: {error}")
    return question.read(*answers)


def _exactly_zero(design: Design, fit: Fit) -> Outcome:
    """Whether a variance that is 0 at the optimum is 0 in the fit."""
    if fit.status != "ok":
        return Outcome(False, "no answer")
    if not certified_model(design).optimum.singular:
        return Outcome(True, "the optimum has no variance of 0")
    least = min(float(np.linalg.eigvalsh(c)[0]) for c in fit.covariances.values())
    if least <= 0.0:
        return Outcome(True, "0, as at the optimum")
    ratio = least / float(fit["sigma"]) ** 2
    return Outcome(False, f"the smallest variance is {ratio:.2g} times the residual one, not 0")


def refuse_unknown(name: str, engine_id: str) -> None:
    """Refuse what cannot be asked.

    Raises
    ------
    InputError
        For a probe that there is not, or a question to statsmodels where the engine is another.
    """
    if name not in PROBES:
        raise InputError(f"no probe '{name}'; there are: {', '.join(PROBES)}")
    if name in QUESTIONS and engine_id.partition(":")[0] != "statsmodels":
        raise InputError(f"the probe '{name}' is a question to statsmodels, not to {engine_id}")


def measure(name: str, design: Design, fit: Fit) -> Outcome:
    """Put a probe to the engine of a fit.

    Parameters
    ----------
    name : str
        One of `PROBES`. A question to statsmodels goes to the one that is installed here.
    design : Design
    fit : Fit

    Raises
    ------
    InputError
        As `refuse_unknown`.
    """
    refuse_unknown(name, fit.engine)
    return OF_A_FIT[name](design, fit) if name in OF_A_FIT else ask(QUESTIONS[name](design))


OF_A_FIT: Mapping[str, Callable[[Design, Fit], Outcome]] = {"variance of exactly 0": _exactly_zero}
"""What is seen in a Fit, but in no number that a tolerance is on."""

PROBES = (*QUESTIONS, *OF_A_FIT)
"""What an entry of the registry can name, as ``probe:NAME``; measured on its examples."""
