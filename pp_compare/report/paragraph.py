"""A paragraph for the paper, made from the numbers of a report: what agrees, and how far."""

from __future__ import annotations

import math
from collections.abc import Mapping

from pp_compare.model import Fit
from pp_compare.report.record import CaseReport, Report
from pp_compare.verdict.digits import least
from pp_compare.verdict.glmm_sentences import named
from pp_compare.verdict.judgement import Judgement
from pp_compare.version import __version__

CALLS: Mapping[str, str] = {
    "statsmodels": "MixedLM",
    "lme4": "lmer",
    "nlme": "lme",
    "glmmtmb": "glmmTMB",
}
"""The function that a reader knows an engine by."""
GENERALISED: Mapping[str, str] = {
    "lme4": "glmer",
    "glmmtmb": "glmmTMB",
    "glmmpql": "glmmPQL",
}
"""The same of generalised models."""
LIMIT = 12
"""Digits that are told: a match of more is one of arithmetic, and nobody reports so many."""


def paragraphs(report: Report) -> list[str]:
    """One a model."""
    return [paragraph(case) for case in report.cases]


def paragraph(case: CaseReport) -> str:
    """What was fitted, how each program stands to the certified optimum, and what that is."""
    groups = " and ".join(f"{count} levels of {name}" for name, count in case.n_groups.items())
    model = (
        f"The model {case.formula} was fitted to {case.n_obs} rows in {groups} by {case.method}."
    )
    said = [_of_engine(case, judgement) for judgement in case.judgements]
    return " ".join([model, *said, _optimum(case)])


def program(engine: str, fit: Fit | None) -> str:
    """``MixedLM (statsmodels 0.15.0)``, with the setting where it is not the default."""
    name, _, setting = engine.partition(":")
    versions = {key.lower(): text for key, text in fit.versions.items()} if fit else {}
    package = f"{name} {versions.get(name.lower(), '')}".strip()
    package += f", setting {setting}" if setting else ""
    calls = GENERALISED if fit is not None and fit.definition else CALLS
    return f"{calls[name]} ({package})" if name in calls else package


def _of_engine(case: CaseReport, judgement: Judgement) -> str:
    who = program(judgement.engine, case.fits.get(judgement.engine))
    if judgement.standing in {"right", "right, other definition"}:
        how_far = f"{_digits(case, judgement)}{_se(judgement)}"
        return f"The numbers of {who} agree with {_reference(case, judgement)}{how_far}."
    if judgement.standing == "short of the optimum, harmless":
        beta = judgement.harm.of("beta")
        moved = f", no fixed effect by more than {beta.size:.1g} standard errors" if beta else ""
        short = f"{judgement.harm.above:.1g} in deviance short of {_reference(case, judgement)}"
        return f"{who} stops {short}, which moves nothing that matters{moved}{_se(judgement)}."
    if judgement.bad:
        return f"The numbers of {who} are not used: {_without_name(judgement)}."
    return f"{who} was not judged: {_without_name(judgement)}."


def _without_name(judgement: Judgement) -> str:
    """What a sentence says after ``statsmodels is wrong:``."""
    head, colon, rest = judgement.sentence.partition(": ")
    return rest if colon and head.startswith(judgement.engine) else judgement.sentence


def _digits(case: CaseReport, judgement: Judgement) -> str:
    """The fewest digits over all fixed effects, and over all variances, rounded down."""
    told = []
    for kinds, words in [(("beta",), "fixed effects"), (("random_cov", "sigma"), "variances")]:
        digits = least(
            line.digits
            for line in case.comparisons
            if (line.candidate, line.kind) == (judgement.engine, "truth")
            and line.quantity.partition("[")[0] in kinds
        )
        if not math.isnan(digits):
            told.append(f"{min(LIMIT, math.floor(digits))} digits of the {words}")
    return f" to {' and '.join(told)}" if told else ""


def _se(judgement: Judgement) -> str:
    """By how much the standard errors are another quantity, in per cent."""
    move = judgement.harm.of("beta_se")
    if judgement.cause != "definition" or move is None:
        return ""
    return f"; its standard errors differ by up to {100 * move.size:.2g} % by definition"


def _claim(case: CaseReport) -> str:
    certified = next((f for name, f in case.fits.items() if name.startswith("certified")), None)
    return str(certified.extra.get("claim")) if certified else ""


def _reference(case: CaseReport, judgement: Judgement) -> str:
    """What the numbers are held against, as far as it is proved."""
    fit = case.fits.get(judgement.engine)
    if fit is not None and fit.definition:
        return f"the certified maximum of {named(fit.definition)}"
    return "the best optimum that is known" if _claim(case) == "none" else "the certified optimum"


def _optimum(case: CaseReport) -> str:
    tool = f"pp_compare {__version__}"
    return {
        "global": f"That optimum was certified with {tool}, which proves it to be the global one.",
        "local": (
            f"That optimum was certified with {tool}, which proves it to be a local one, the best "
            "that a search found."
        ),
        "none": f"The comparison was made with {tool}; the optimum itself is not proved.",
    }.get(_claim(case), f"The comparison was made with {tool}.")
