"""What a check of releases found: candidates, how they agree with the truth, how they differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pp_compare.report.record import CaseReport
from pp_compare.verdict.outcome import Outcome

SCHEMA = "pp-compare/releases/1"

Direction = Literal["worse", "better", "changed"]
DIRECTIONS: tuple[Direction, ...] = ("worse", "better", "changed")
KINDS = {
    "start": "does it install and load",
    "exception": "does it answer",
    "standing": "can its numbers be used",
    "wrong optimum": "is it the right optimum",
    "value": "do its numbers agree with the truth",
    "identity": "do its numbers agree with each other",
    "keyword": "are arguments honoured",
    "probe": "is a known defect there",
    "deviation": "known deviations",
    "flag": "what it says of its convergence",
    "warning": "what it warns of",
    "moved": "numbers that moved beyond the noise and still agree, or still do not",
}
"""Kinds of changes, by how much they matter to a user."""


@dataclass(frozen=True, eq=False)
class CandidateReport:
    """One candidate.

    Parameters
    ----------
    label, engine : str
    versions : mapping of str to str
        Of what does the work.
    lock : mapping of str to str
        Of everything in its environment.
    problem : str or None
        Why there is nothing to compare.
    cases : tuple of CaseReport
        Its fit alone in each, with the comparisons and identities that are about it.
    probes : mapping of str to Outcome
        By what was tried.
    """

    label: str
    engine: str
    versions: Mapping[str, str] = field(default_factory=dict)
    lock: Mapping[str, str] = field(default_factory=dict)
    problem: str | None = None
    cases: tuple[CaseReport, ...] = ()
    probes: Mapping[str, Outcome] | None = None

    @property
    def name(self) -> str:
        """Engine and label; unique in a report."""
        return f"{self.engine} {self.label}"


@dataclass(frozen=True)
class Change:
    """One difference between two candidates, over all models that show it.

    Parameters
    ----------
    kind : str
        Of `KINDS`.
    direction : {"worse", "better", "changed"}
    subject : str
        What changed: a quantity, a warning, a keyword.
    before, after : str
        In the model where it shows most, the first of `titles`.
    titles : tuple of str
        The models; empty for what is no matter of a model.
    """

    kind: str
    direction: Direction
    subject: str
    before: str
    after: str
    titles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Difference:
    """Everything that changed from one candidate to another.

    Parameters
    ----------
    before, after : str
        Names of the candidates.
    changes : tuple of Change
        What matters most first.
    models : int
        Held against each other.
    identical : int
        Of them, models in which every number has the same bits.
    noise : int
        Models in which numbers differ by no more than the platform's own noise, or not at all.
    beside : tuple of str
        What else is another version, as ``numpy 2.3.5 to 2.4.6``: a change may be its doing.
    """

    before: str
    after: str
    changes: tuple[Change, ...]
    models: int
    identical: int
    noise: int
    beside: tuple[str, ...] = ()

    @property
    def worse(self) -> bool:
        """Whether anything became worse."""
        return any(change.direction == "worse" for change in self.changes)


@dataclass(frozen=True)
class NoiseRow:
    """How far one release is from itself on another platform.

    Parameters
    ----------
    engine, platform : str
    models : int
        Run on both.
    changed : int
        Models in which a number changed.
    flags : int
        Models in which the convergence flag changed.
    largest : mapping of str to float
        Largest relative change by kind of quantity.
    """

    engine: str
    platform: str
    models: int
    changed: int
    flags: int
    largest: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class ReleaseReport:
    """A whole check.

    Parameters
    ----------
    candidates : tuple of CandidateReport
    differences : tuple of Difference
    noise : tuple of NoiseRow
    platform : str
        The one that all candidates ran on.
    factor : float
        A change counts beyond this many times the noise.
    about : mapping of str to str
        Versions of ours, machine, command, start.
    """

    candidates: tuple[CandidateReport, ...]
    differences: tuple[Difference, ...]
    noise: tuple[NoiseRow, ...]
    platform: str
    factor: float
    about: Mapping[str, str]

    def exit_status(self, fail_on: str) -> int:
        """0 or 1.

        Parameters
        ----------
        fail_on : {"worse", "any", "none"}
            Without a second candidate to compare with, ``worse`` and ``any`` mean an unexpected
            failure against the truth, or nothing compared.
        """
        if fail_on == "none":
            return 0
        if any(c.problem for c in self.candidates):
            return 1
        if self.differences:
            counts = [d.worse if fail_on == "worse" else bool(d.changes) for d in self.differences]
            return int(any(counts))
        cases = [case for candidate in self.candidates for case in candidate.cases]
        return int(not cases or any(case.failing for case in cases))
