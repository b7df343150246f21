"""What changed from one candidate to another, model by model, and then each thing once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from pp_compare.releases.noise import Noise
from pp_compare.releases.pair import Pair, Seen
from pp_compare.report.record import CaseReport
from pp_compare.report.release.record import (
    DIRECTIONS,
    KINDS,
    CandidateReport,
    Change,
    Difference,
    Direction,
)
from pp_compare.verdict.outcome import Outcome


def difference(
    before: CandidateReport, after: CandidateReport, noise: Mapping[str, Noise]
) -> Difference:
    """Everything that changed.

    Parameters
    ----------
    noise : mapping of str to Noise
        By title of the model; a model that is not there has none.
    """
    pairs = _pairs(before, after)
    seen = [*_start(before, after), *_probes(before, after)]
    quiet = identical = 0
    for one, two in pairs:
        pair = Pair(one, two, noise.get(one.title, Noise()))
        seen += pair.changes()
        quiet += not pair.moved
        identical += pair.identical
    changes, beside = _each_once(seen), _beside(before, after)
    return Difference(before.name, after.name, changes, len(pairs), identical, quiet, beside)


def _beside(before: CandidateReport, after: CandidateReport) -> tuple[str, ...]:
    """Packages that differ and are not the one under test, as ``numpy 2.3.5 to 2.4.6``."""
    one, two = before.versions, after.versions
    package = before.engine.partition(":")[0].lower()
    return tuple(
        f"{name} {one[name]} to {two[name]}"
        for name in one
        if name.lower() != package and name in two and one[name] != two[name]
    )


def _pairs(before: CandidateReport, after: CandidateReport) -> list[tuple[CaseReport, CaseReport]]:
    later = {case.title: case for case in after.cases}
    return [(case, later[case.title]) for case in before.cases if case.title in later]


def _start(before: CandidateReport, after: CandidateReport) -> Iterator[Seen]:
    if (before.problem is None) == (after.problem is None):
        return
    direction: Direction = "worse" if after.problem else "better"
    yield Seen(
        Change(
            "start",
            direction,
            "the candidate as a whole",
            before.problem or "runs",
            after.problem or "runs",
        )
    )


def _probes(before: CandidateReport, after: CandidateReport) -> Iterator[Seen]:
    if before.problem or after.problem:
        return
    one, two = before.probes or {}, after.probes or {}
    for name in one.keys() & two.keys():
        if one[name] != two[name]:
            kind = "keyword" if name.startswith("keyword ") else "probe"
            yield Seen(
                Change(kind, _way(one[name], two[name]), name, one[name].text, two[name].text)
            )


def _way(before: Outcome, after: Outcome) -> Direction:
    if before.ok == after.ok:
        return "changed"
    return "better" if after.ok else "worse"


def _each_once(seen: list[Seen]) -> tuple[Change, ...]:
    """Changes of one kind, direction and subject as one; the model that shows it most first."""
    groups: dict[tuple[str, Direction, str], list[Seen]] = {}
    for one in seen:
        change = one.change
        groups.setdefault((change.kind, change.direction, change.subject), []).append(one)
    merged = []
    for group in groups.values():
        group.sort(key=lambda one: -one.size)
        titles = tuple(title for one in group for title in one.change.titles)
        merged.append(replace(group[0].change, titles=titles))
    kinds = list(KINDS)
    return tuple(
        sorted(
            merged,
            key=lambda c: (
                kinds.index(c.kind),
                DIRECTIONS.index(c.direction),
                -len(c.titles),
                c.subject,
            ),
        )
    )
