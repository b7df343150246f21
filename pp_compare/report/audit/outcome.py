"""What a run says as a whole: one word, one sentence and its counts, for every form of the report.

All of it follows from the judgements, from what is in no registry and from what the exit status
asks about; so no two forms of one run can contradict each other.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from pp_compare.report.record import Report
from pp_compare.verdict.judgement import BAD, STANDINGS, Judgement, Standing

WORDING: dict[Standing, str] = {
    "wrong": "wrong",
    "wrong optimum": "at a wrong optimum",
    "no answer": "without an answer",
}
"""How a sentence says the standings with which numbers cannot be used."""

SHORT: dict[Standing, str] = {
    "right": "right",
    "right, other definition": "right*",
    "short of the optimum, harmless": "short",
    "wrong": "WRONG",
    "wrong optimum": "OPTIMUM",
    "no answer": "NONE",
    "not judged": "-",
}
"""Standings in a narrow table; `SHORT_LEGEND` says what they are."""
SHORT_LEGEND = (
    "right*: reports another documented quantity, as it says; short: stops short of the optimum, "
    "harmless; WRONG: off by more than harmless; OPTIMUM: at a wrong optimum; NONE: no answer; "
    "-: not judged"
)

STYLE: dict[Standing, str] = dict.fromkeys(BAD, "fail") | {
    "right": "pass",
    "right, other definition": "pass",
    "short of the optimum, harmless": "known",
    "not judged": "skip",
}
"""The verdict whose colour a standing has."""


@dataclass(frozen=True)
class Outcome:
    """What a run comes to.

    Parameters
    ----------
    word : str
        ``FAIL`` with exit status 1. ``PASS`` only where no engine is wrong; else ``NO NEWS`` or
        ``NOT ASKED``, and ``NOT JUDGED`` where no engine could be.
    sentence : str
    """

    word: str
    sentence: str

    @property
    def style(self) -> str:
        """The verdict whose colour it has: only a pass is green."""
        return {"PASS": "pass", "FAIL": "fail"}.get(self.word, "known")


def outcome(report: Report) -> Outcome:
    """The word and the sentence of a run."""
    if report.compared == 0:
        return Outcome("FAIL" if report.exit_status else "NOT JUDGED", "Nothing was compared.")
    news, standing = _news(report), standing_sentence(report)
    if report.exit_status:
        both = [news, standing] if report.fail_on == "news" else [standing, news]
        return Outcome("FAIL", " ".join(filter(None, both)))
    said = " ".join(filter(None, [standing, news]))
    if any(judgement.bad for judgement in report.judgements):
        return Outcome("NOT ASKED" if report.fail_on == "none" else "NO NEWS", said)
    judged = any(judgement.standing != "not judged" for judgement in report.judgements)
    return Outcome("PASS" if judged else "NOT JUDGED", said)


def standing_sentence(report: Report) -> str:
    """Which engines cannot be used, and on how many models."""
    wrong: dict[str, Counter[Standing]] = {}
    for judgement in report.judgements:
        if judgement.bad:
            wrong.setdefault(judgement.engine, Counter())[judgement.standing] += 1
    judged = [j for j in report.judgements if j.standing != "not judged"]
    if not judged:
        return "No engine could be judged." if report.judgements else ""
    if not wrong:
        right = all(j.standing.startswith("right") for j in judged)
        return "Every engine that could be judged is right." if right else "No engine is wrong."
    of = len(report.cases)
    return f"{'; '.join(_is(engine, counts, of) for engine, counts in wrong.items())}."


def _is(engine: str, counts: Counter[Standing], of: int) -> str:
    if of == 1:
        return f"{engine} is {WORDING[next(iter(counts))]}"
    parts = [f"{WORDING[s]} on {counts[s]}" for s in STANDINGS if counts[s]]
    return f"{engine} is {', '.join(parts)} of {of} models"


def _news(report: Report) -> str:
    """What is in no registry, and what no longer shows where it is pinned."""
    said = []
    if new := report.counts()["fail"]:
        said.append(
            f"{new} difference{' is' if new == 1 else 's are'} in no registry of known deviations."
        )
    if report.stale:
        names = ", ".join(report.stale)
        said.append(f"No longer seen where they are pinned; retire them: {names}.")
    return " ".join(said)


def counted(report: Report) -> str:
    """What was held against what, in numbers: the same in every form."""
    counts = report.counts()
    models = len(report.cases)
    return (
        f"{report.compared} comparisons on {models} model{'' if models == 1 else 's'}: "
        f"{counts['pass']} within tolerance, {counts['known']} differences that are known, "
        f"{counts['fail']} that are not; {counts['skip']} not compared."
    )


def standings(report: Report) -> dict[str, Counter[Standing]]:
    """How often each engine has each standing, by engine."""
    found: dict[str, Counter[Standing]] = {}
    for judgement in report.judgements:
        found.setdefault(judgement.engine, Counter())[judgement.standing] += 1
    return found


def told(judgement: Judgement) -> list[str]:
    """What an engine says of itself: beside what is true, and the first of its own words."""
    words = [said for said in judgement.engine_says if said.startswith("says: ")]
    rest = [said for said in judgement.engine_says if said not in words]
    if words:
        more = f" (and {len(words) - 1} more)" if len(words) > 1 else ""
        rest.append(f"{words[0]}{more}")
    return [f"{judgement.engine} {said}" for said in rest]
