"""A check of releases as a document: Markdown for a pull request, or a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from pp_compare.report.document import Document, Section
from pp_compare.report.release import tables
from pp_compare.report.release.record import KINDS, Change, Difference, ReleaseReport

MOST_ROWS = 25
"""Of one kind of change; GitHub takes 65,536 characters in a comment. The JSON has all."""


def release_document(report: ReleaseReport) -> Document:
    """The verdict, what changed, how each candidate stands, and what it all rests on."""
    worst_first = sorted(report.differences, key=lambda difference: not difference.worse)
    sections = [
        Section("Verdict", tables.verdict(report)),
        *(section for difference in worst_first for section in changes(difference)),
        Section("Can its numbers be used?", (WORTH, *tables.judged(report)), tables.worth(report)),
        Section("Against the certified optimum", (MATRIX,), tables.matrix(report)),
        Section("Digits right", (DIGITS,), tables.digits(report)),
    ]
    unexpected = tables.unexpected(report)
    if unexpected:
        sections.insert(-1, Section("In no registry", (UNEXPECTED,), unexpected))
    probed = tables.probed(report)
    if probed:
        sections.append(Section("Asked beside the fits", (PROBED,), probed))
    if report.noise:
        sections.append(Section("The platform's own noise", (noise(report),), tables.noise(report)))
    about = tuple(f"{name}: {text}" for name, text in report.about.items())
    sections.append(Section("Versions", about, tables.versions(report)))
    return Document("Release check", tuple(sections))


WORTH = (
    "Models by what the numbers are worth to who would report them: the judgement of an audit, "
    "whether a difference is known or not."
)
MATRIX = (
    "Models by how their fit stands to the certified optimum and to algebra. Known: every "
    "difference is in the registry of known deviations. A wrong optimum is a local one that is not "
    "the best."
)
UNEXPECTED = (
    "What makes a model unexpected, whatever changed: models by what fails against the certified "
    "optimum or by algebra and is no known deviation; a number for each candidate that ran, in "
    "their order."
)
DIGITS = (
    "Correct significant digits of the worst number of each model: median / least over the models."
)
PROBED = (
    "A keyword is honoured where a value that must stop the optimiser changes the fit; the score "
    "is held against the slope of the engine's own log-likelihood."
)


def noise(report: ReleaseReport) -> str:
    """What the floor is, in words."""
    return (
        f"All candidates ran on {report.platform}. The same release on other platforms moves its "
        f"own numbers; a change counts beyond {report.factor:g} times what it moved in the same "
        "model. Largest relative change by kind of quantity:"
    )


def changes(difference: Difference) -> Iterator[Section]:
    """One chapter a difference, one part a kind of change."""
    title = f"From {difference.before} to {difference.after}"
    words = beside(difference)
    if not difference.changes:
        yield Section(title, (f"No change in {difference.models} models.", *words))
        return
    yield Section(title, words)
    for kind, group in by_kind(difference.changes):
        rows = group[:MOST_ROWS]
        left = len(group) - len(rows)
        words = (f"{left} more are in the JSON report.",) if left else ()
        yield Section(KINDS[kind].capitalize(), words, tables.change_rows(rows), level=3)


def beside(difference: Difference) -> tuple[str, ...]:
    """A sentence on what else differs between two candidates, if anything does."""
    if not difference.beside:
        return ()
    changed = ", ".join(difference.beside)
    return (f"Another version of these, too, so a change may be theirs: {changed}.",)


def by_kind(found: Sequence[Change]) -> Iterator[tuple[str, list[Change]]]:
    """Changes of each kind, in their order."""
    for kind, group in groupby(found, key=lambda change: change.kind):
        yield kind, list(group)
