"""Questions to statsmodels that no single fit answers: are arguments honoured, is the score right.

A keyword is honoured where a value that must stop an optimiser at once (or a maxiter of 1) changes
any number of the fit; one that is accepted and changes nothing is not, whatever is said of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pp_compare.corpus import case
from pp_compare.design import Design, build_design
from pp_compare.engines import statsmodels as native
from pp_compare.errors import EngineError
from pp_compare.model import Dataset
from pp_compare.releases.candidate import Candidate, Effort
from pp_compare.releases.platform import Platform
from pp_compare.report.release_record import Outcome

STOPPING: dict[str, dict[str, float]] = {
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

FACTORS = (0.5, -0.5)
"""tau / sigma of either sign; the log-likelihood is even in it, so its slope is odd."""

SCALE = 10.0
SUBJECTS = 6
CLOSE = 1e-3
"""On ratios that are 1 where all is well and at least 2 off where not; the slope is a difference
quotient with an error of 1e-6 at most."""


@dataclass(frozen=True)
class _Probe:
    """Calls, and what their answers mean together."""

    name: str
    calls: tuple[tuple[str, tuple[Any, ...]], ...]
    read: Callable[..., Outcome]


def probe(candidate: Candidate, platform: Platform, effort: Effort) -> dict[str, Outcome]:
    """All questions, put to one candidate.

    Returns
    -------
    dict of str to Outcome
        By what was asked.
    """
    probes = [*_keywords(), *_scores(), _scaled_error()]
    # A fit without the keyword serves many probes: each different call is made once.
    calls = list({id(call): call for p in probes for call in p.calls}.values())
    answers = candidate.calls(calls, platform, effort)
    by_call = {id(call): answer for call, answer in zip(calls, answers, strict=True)}
    return {p.name: _outcome(p.read, [by_call[id(call)] for call in p.calls]) for p in probes}


def _outcome(read: Callable[..., Outcome], answers: Sequence[Any]) -> Outcome:
    failed = next((a for a in answers if isinstance(a, EngineError)), None)
    if failed is not None:
        return Outcome(False, str(failed))
    return read(*answers)


def _keywords() -> list[_Probe]:
    design = _few_subjects()
    found = []
    for method, keywords in STOPPING.items():
        plain = _fit(design, {"method": method})
        for keyword, value in keywords.items():
            beside = BESIDE.get((method, keyword))
            step = {"method": method, **(beside or {})}
            calls = (
                _fit(design, step) if beside else plain,
                _fit(design, {**step, keyword: value}),
            )
            found.append(_Probe(f"keyword {keyword} of {method}", calls, _honoured))
    return found


def _few_subjects() -> Design:
    """A slope and an intercept, so that all keywords can matter, on few rows, for speed."""
    known = case("sleepstudy")
    frame = known.dataset.frame
    few = frame[frame["Subject"].isin(list(frame["Subject"].unique())[:SUBJECTS])]
    return build_design(replace(known.dataset, frame=few), known.spec("REML"))


def _honoured(without: dict[str, Any], given: dict[str, Any]) -> Outcome:
    if given["status"] != "ok":
        return Outcome(False, f"raises {given['problem'].partition(':')[0]}")
    if without["status"] != "ok":
        return Outcome(False, f"the optimiser raises {without['problem'].partition(':')[0]}")
    names = ("fe_params", "cov_re", "scale", "llf")
    if any(not np.array_equal(without[name], given[name]) for name in names):
        return Outcome(True, "honoured")
    new = sorted({w.partition(":")[0] for w in set(given["warnings"]) - set(without["warnings"])})
    return Outcome(False, f"no effect; warns: {', '.join(new) or 'nothing'}")


def _scores() -> list[_Probe]:
    design = _design("Dyestuff")
    return [
        _Probe(
            f"score where the factor is {'positive' if factor > 0 else 'negative'}",
            (("score_and_slope", (_request(design, {}), factor)),),
            _right_score,
        )
        for factor in FACTORS
    ]


def _right_score(pair: Sequence[float]) -> Outcome:
    score, slope = pair
    ratio = score / slope if slope else np.nan
    if abs(ratio - 1) < CLOSE:
        return Outcome(True, "the slope of the log-likelihood")
    if abs(ratio + 1) < CLOSE:
        return Outcome(False, "the slope of the log-likelihood with the wrong sign")
    return Outcome(False, f"{ratio:.2g} times the slope of the log-likelihood")


def _scaled_error() -> _Probe:
    """A variance is in the square of the response's unit, and so is its standard error."""
    design = _design("Dyestuff")
    frame = design.dataset.frame.copy()
    frame[design.spec.response] = frame[design.spec.response] * SCALE
    scaled = build_design(replace(design.dataset, frame=frame), design.spec)
    calls = tuple(("variance_standard_error", (_request(d, {}),)) for d in (design, scaled))
    return _Probe("standard error of a variance in another unit", calls, _right_scale)


def _right_scale(error: float, scaled: float) -> Outcome:
    ratio = scaled / error / SCALE**2 if error else np.nan
    if abs(ratio - 1) < CLOSE:
        return Outcome(True, "scales with the square of the response")
    return Outcome(False, f"{ratio:.2g} times what the change of unit implies")


def _fit(design: Design, step: dict[str, Any]) -> tuple[str, tuple[Any, ...]]:
    return "fit", (_request(design, step),)


def _request(design: Design, step: dict[str, Any]) -> dict[str, Any]:
    plan = native.layout(design)
    if isinstance(plan, str):
        raise TypeError(plan)
    return native.request(design, plan, (step,))


def _design(name: str) -> Design:
    known = case(name)
    dataset: Dataset = known.dataset
    return build_design(dataset, known.spec("REML"))
