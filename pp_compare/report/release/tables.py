"""The tables of a check of releases, for every way of showing it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from pp_compare.report.digest import DETAILED, KINDS, kind_of, least_digits, wrong_optimum
from pp_compare.report.record import CaseReport
from pp_compare.report.release.record import DIRECTIONS, CandidateReport, Change, ReleaseReport
from pp_compare.report.table import Table
from pp_compare.verdict.judgement import STANDINGS

SHOWN_TITLES = 3
NOISY = ("beta", "beta_se", "sigma", "random_cov", "loglik", "blup")
"""Kinds of quantities in the table of the noise; the rest follows from these."""


@dataclass(frozen=True)
class Row:
    """One candidate in numbers.

    Parameters
    ----------
    models : int
        Tried.
    agree, known, unexpected : int
        Models that agree with the truth, that differ as is known, and that differ otherwise.
    unsupported : int
        Models that the engine cannot express.
    wrong_optima, failures, warned : int
        Models with another optimum than the best, without an answer, with a warning.
    seconds : float
        Median time of a fit.
    digits : mapping of str to (float, float)
        Median and least, by kind of quantity.
    """

    models: int
    agree: int
    known: int
    unexpected: int
    unsupported: int
    wrong_optima: int
    failures: int
    warned: int
    seconds: float
    digits: dict[str, tuple[float, float]]


def row_of(candidate: CandidateReport) -> Row:
    """Count over the models of a candidate."""
    states = [_state(case) for case in candidate.cases]
    fits = [fit for case in candidate.cases for fit in case.fits.values()]
    answered = [fit for fit in fits if fit.status == "ok"]
    return Row(
        models=len(states),
        agree=states.count("agree"),
        known=states.count("known"),
        unexpected=states.count("unexpected"),
        unsupported=states.count("unsupported"),
        wrong_optima=sum(wrong_optimum(case) for case in candidate.cases),
        failures=sum(fit.status == "error" for fit in fits),
        warned=sum(bool(fit.messages) for fit in answered),
        seconds=median(fit.seconds for fit in answered) if answered else 0.0,
        digits=_digits(candidate.cases),
    )


def _state(case: CaseReport) -> str:
    """What a model comes to; references have no part in it, truth and identities have."""
    if any(fit.status == "unsupported" for fit in case.fits.values()):
        return "unsupported"
    verdicts = {line.verdict for line in case.comparisons if line.kind == "truth"}
    verdicts |= {check.verdict for check in case.identities}
    if "fail" in verdicts or case.stale:
        return "unexpected"
    if "known" in verdicts:
        return "known"
    return "agree" if "pass" in verdicts else "not judged"


def _digits(cases: Iterable[CaseReport]) -> dict[str, tuple[float, float]]:
    found: dict[str, list[float]] = {}
    for case in cases:
        for (_, kind), digits in least_digits(case).items():
            if kind in KINDS:
                found.setdefault(kind, []).append(digits)
    return {kind: (median(found[kind]), min(found[kind])) for kind in KINDS if kind in found}


def matrix(report: ReleaseReport) -> Table:
    """Candidates against the truth, in models."""
    columns = (
        "candidate", "models", "agree", "known", "unexpected", "wrong optima", "failures",
        "warned", "cannot fit", "ms a fit",
    )  # fmt: skip
    rows = []
    for candidate in report.candidates:
        row = row_of(candidate)
        counts = (row.models, row.agree, row.known, row.unexpected, row.wrong_optima,
                  row.failures, row.warned, row.unsupported)  # fmt: skip
        rows.append((candidate.name, *map(str, counts), f"{1000 * row.seconds:.0f}"))
    return Table(columns, tuple(rows))


def worth(report: ReleaseReport) -> Table:
    """Models by what a candidate's numbers are worth to who would report them."""
    rows = []
    for candidate in report.candidates:
        found = [j.standing for case in candidate.cases for j in case.judgements]
        counts = (str(found.count(standing)) for standing in STANDINGS)
        rows.append((candidate.name, *counts))
    return Table(("candidate", *STANDINGS), tuple(rows))


def judged(report: ReleaseReport) -> tuple[str, ...]:
    """The judgement of each candidate on each model in a sentence, where there are few models."""
    models = {case.title for candidate in report.candidates for case in candidate.cases}
    if len(models) > DETAILED:
        return ()
    return tuple(
        f"{candidate.label} on {case.title}: {judgement.sentence}."
        for candidate in report.candidates
        for case in candidate.cases
        for judgement in case.judgements
    )


def digits(report: ReleaseReport) -> Table:
    """Digits right by kind of quantity, median / least."""
    rows = {candidate.name: row_of(candidate).digits for candidate in report.candidates}
    kinds = [kind for kind in KINDS if any(kind in row for row in rows.values())]
    cells = [
        (name, *(f"{row[k][0]:.1f}/{row[k][1]:.1f}" if k in row else "-" for k in kinds))
        for name, row in rows.items()
        if row
    ]
    return Table(("candidate", *kinds), tuple(cells))


def unexpected(report: ReleaseReport) -> Table | None:
    """What is wrong and in no registry, and in how many models of each candidate; None for none."""
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    for candidate in report.candidates:
        for case in candidate.cases:
            for what in _unexpected(case):
                found.setdefault(what, {}).setdefault(candidate.name, []).append(case.title)
    names = [candidate.name for candidate in report.candidates if candidate.cases]
    rows = tuple(
        (*what, " / ".join(str(len(by.get(name, ()))) for name in names), _titles(by))
        for what, by in sorted(found.items(), key=_most_models_first)
    )
    return Table(("what", "cause", "models of each", "such as"), rows, labels=4) if rows else None


def _most_models_first(
    item: tuple[tuple[str, str], dict[str, list[str]]],
) -> tuple[int, tuple[str, str]]:
    what, by_candidate = item
    return -max(map(len, by_candidate.values())), what


def _unexpected(case: CaseReport) -> set[tuple[str, str]]:
    """Quantities with their causes, identities, and known deviations that do not show."""
    lines = [line for line in case.comparisons if line.kind == "truth" and line.verdict == "fail"]
    return {
        *((kind_of(line.quantity), line.cause or "none found") for line in lines),
        *((c.identity, "identity") for c in case.identities if c.verdict == "fail"),
        *((entry, "a known deviation that does not show") for entry in case.stale),
    }


def _titles(by_candidate: dict[str, list[str]]) -> str:
    titles = list(dict.fromkeys(title for found in by_candidate.values() for title in found))
    return ", ".join(titles[:SHOWN_TITLES]) + (", ..." if len(titles) > SHOWN_TITLES else "")


def probed(report: ReleaseReport) -> Table | None:
    """What was asked beside the fits, a candidate a column; None where nothing was.

    Keywords of one optimiser with the same outcomes share a row.
    """
    asked = [c for c in report.candidates if c.probes]
    rows: dict[tuple[str, ...], list[str]] = {}
    for name in dict.fromkeys(name for c in asked for name in c.probes or {}):
        keyword, of, method = name.removeprefix("keyword ").partition(" of ")
        shared = name.startswith("keyword ") and bool(of)
        key = (f"of {method}" if shared else name, *(_outcome(c, name) for c in asked))
        rows.setdefault(key, []).append(keyword if shared else "")
    if not rows:
        return None
    return Table(
        ("asked", *(c.name for c in asked)),
        tuple((_asked(keywords, key[0]), *key[1:]) for key, keywords in rows.items()),
    )


def _asked(keywords: Sequence[str], name: str) -> str:
    return f"{', '.join(keywords)} {name}" if any(keywords) else name


def _outcome(candidate: CandidateReport, name: str) -> str:
    outcome = (candidate.probes or {}).get(name)
    return "" if outcome is None else f"{'yes' if outcome.ok else 'no'}: {outcome.text}"


def versions(report: ReleaseReport) -> Table:
    """What each candidate ran with."""
    rows = tuple(
        (c.name, c.problem or ", ".join(f"{name} {text}" for name, text in c.versions.items()))
        for c in report.candidates
    )
    return Table(("candidate", "versions, or why there are none"), rows, labels=2)


def noise(report: ReleaseReport) -> Table:
    """What another platform does to one release."""
    kinds = [kind for kind in NOISY if any(kind in row.largest for row in report.noise)]
    rows = tuple(
        (
            f"{row.engine} on {row.platform}",
            f"{row.changed} of {row.models}",
            str(row.flags),
            *(f"{row.largest[kind]:.1g}" if kind in row.largest else "" for kind in kinds),
        )
        for row in report.noise
    )
    return Table(("platform", "models changed", "flags changed", *kinds), rows)


def change_rows(changes: Sequence[Change]) -> Table:
    """Changes, a line each."""
    rows = tuple((c.direction, c.subject, c.before, c.after, where(c)) for c in changes)
    return Table(("", "what", "before", "after", "models"), rows, labels=5)


def where(change: Change) -> str:
    """Models that show a change: how many, and the first of them."""
    titles = list(dict.fromkeys(change.titles))
    if not titles:
        return ""
    more = ", ..." if len(titles) > SHOWN_TITLES else ""
    return f"{len(titles)}: {', '.join(titles[:SHOWN_TITLES])}{more}"


def verdict(report: ReleaseReport) -> tuple[str, ...]:
    """One sentence a difference, and one a candidate that could not be compared."""
    found = [f"{c.name}: {c.problem.rstrip('.')}." for c in report.candidates if c.problem]
    for difference in report.differences:
        told = ", ".join(_counted(difference.changes)) or "no change"
        found.append(
            f"{difference.before} to {difference.after}: {told}; {difference.models} models, "
            f"{difference.identical} with the same bits, {difference.noise} within the noise."
        )
    return tuple(found)


def _counted(changes: Sequence[Change]) -> Iterator[str]:
    """How many of each direction; the first that are worse by name."""
    for direction in DIRECTIONS:
        subjects = [c.subject for c in changes if c.direction == direction]
        if subjects:
            more = ", ..." if len(subjects) > SHOWN_TITLES else ""
            names = f" ({', '.join(subjects[:SHOWN_TITLES])}{more})" if direction == "worse" else ""
            yield f"{len(subjects)} {direction}{names}"
