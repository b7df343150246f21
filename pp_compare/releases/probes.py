"""The questions of `verdict.probes`, put to the statsmodels of a candidate's environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pp_compare.data.corpus import case
from pp_compare.errors import EngineError
from pp_compare.model.design import Design, build_design
from pp_compare.releases.candidate import Candidate, Effort
from pp_compare.releases.platform import Platform
from pp_compare.verdict.outcome import Outcome
from pp_compare.verdict.probes import QUESTIONS, Call, Question

SUBJECTS = 6


def probe(
    candidate: Candidate,
    platform: Platform,
    effort: Effort,
    makers: Mapping[str, Callable[[Design], Question]] = QUESTIONS,
) -> dict[str, Outcome]:
    """All questions, put to one candidate.

    Returns
    -------
    dict of str to Outcome
        By what was asked.
    """
    keywords, other = _few_subjects(), _design("Dyestuff")
    questions = {
        name: make(keywords if name.startswith("keyword ") else other)
        for name, make in makers.items()
    }
    # A fit without the keyword serves many questions: each different call is made once.
    calls = list(dict.fromkeys(call for q in questions.values() for call in q.calls))
    asked = [(call.function, call.arguments()) for call in calls]
    answers: dict[Call, Any] = dict(
        zip(calls, candidate.calls(asked, platform, effort), strict=True)
    )
    return {name: _outcome(q, [answers[call] for call in q.calls]) for name, q in questions.items()}


def _outcome(question: Question, answers: Sequence[Any]) -> Outcome:
    failed = next((a for a in answers if isinstance(a, EngineError)), None)
    if failed is not None:
        return Outcome(False, str(failed))
    return question.read(*answers)


def _few_subjects() -> Design:
    """A slope and an intercept, so that all keywords can matter, on few rows, for speed."""
    known = case("sleepstudy")
    frame = known.dataset.frame
    few = frame[frame["Subject"].isin(list(frame["Subject"].unique())[:SUBJECTS])]
    return build_design(replace(known.dataset, frame=few), known.spec("REML"))


def _design(name: str) -> Design:
    known = case(name)
    return build_design(known.dataset, known.spec("REML"))
