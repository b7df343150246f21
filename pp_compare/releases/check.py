"""The check: fit every model with every candidate, judge them alike, and compare the candidates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pp_compare.engines.recorded import decode_fit, encode_fit
from pp_compare.engines.worker import Workers
from pp_compare.errors import EngineError
from pp_compare.model import Fit
from pp_compare.releases import probes
from pp_compare.releases.candidate import Candidate, Effort
from pp_compare.releases.difference import difference
from pp_compare.releases.judgement import SECONDS, Judge
from pp_compare.releases.noise import FACTOR, Noise, noise_of, noise_row
from pp_compare.releases.platform import Platform
from pp_compare.releases.store import Store, key_of, our_code
from pp_compare.releases.subject import AnySubject
from pp_compare.releases.work import State, Work
from pp_compare.report.release.record import CandidateReport, NoiseRow, ReleaseReport
from pp_compare.verdict.deviations import Deviation
from pp_compare.verdict.outcome import Outcome

FIRST = 3
"""Models tried before the rest; a candidate that dies or hangs in all of them is given up."""


@dataclass(frozen=True)
class Broken:
    """A candidate that there is no environment for."""

    label: str
    engine: str
    problem: str


@dataclass(frozen=True)
class Plan:
    """How a check is made.

    Parameters
    ----------
    platform : Platform
        That all candidates run on.
    variants : tuple of Platform
        That the noise is measured on.
    effort : Effort
    references : mapping of str to str
        Engine that plays each reference, as ``{"lme4": "recorded:bookworm/lme4"}``.
    registry : tuple of Deviation
    store : Store
    probes : bool
        Whether statsmodels is asked beside the fits: what is asked is about linear models.
    """

    platform: Platform
    variants: tuple[Platform, ...]
    effort: Effort
    references: Mapping[str, str]
    registry: tuple[Deviation, ...]
    store: Store
    probes: bool = True


def check(
    candidates: Sequence[Candidate | Broken],
    subjects: Sequence[AnySubject],
    plan: Plan,
    about: Mapping[str, str],
    *,
    baseline: str | None = None,
    tell: Callable[[State], None] = lambda state: None,
) -> ReleaseReport:
    """Check the candidates.

    Parameters
    ----------
    baseline : str, optional
        Label that the others are compared with; by default each is compared with the last one
        before it that runs.
    tell : callable, optional
        Given the state of the work at each change.
    """
    work = _expected(candidates, len(subjects), plan, tell)
    with Workers(SECONDS, plan.effort.processes) as workers:
        run = _Run(subjects, plan, workers, work)
        reports = [run.report(candidate) for candidate in candidates]
    noise: dict[str, dict[str, Noise]] = {}
    rows: list[NoiseRow] = []
    for candidate, report in zip(candidates, reports, strict=True):
        if report.problem or isinstance(candidate, Broken) or report.engine in noise:
            continue
        if not candidate.runs:
            continue
        noise[report.engine], found = run.noise(candidate, report)
        rows += found
    differences = tuple(
        difference(one, two, noise.get(one.engine, {})) for one, two in _pairs(reports, baseline)
    )
    return ReleaseReport(
        tuple(reports), differences, tuple(rows), plan.platform.label, FACTOR, about
    )


def _expected(
    candidates: Sequence[Candidate | Broken],
    models: int,
    plan: Plan,
    tell: Callable[[State], None],
) -> Work:
    """Every candidate is fitted and judged; the first of each engine gives the noise."""
    alive = [candidate for candidate in candidates if not isinstance(candidate, Broken)]
    engines = {candidate.engine for candidate in alive if candidate.runs}
    fits = len(alive) + len(engines) * len(plan.variants)
    return Work(fits * models, len(alive) * models, tell)


def _pairs(
    reports: Sequence[CandidateReport], baseline: str | None
) -> Iterator[tuple[CandidateReport, CandidateReport]]:
    """Candidates of one engine: each with the last before it that runs, or with the baseline."""
    for engine in dict.fromkeys(report.engine for report in reports):
        same = [report for report in reports if report.engine == engine]
        if baseline is not None:
            base = [report for report in same if report.label == baseline]
            yield from ((one, report) for one in base for report in same if report is not one)
            continue
        last = None
        for report in same:
            if last is not None:
                yield last, report
            last = last if report.problem else report


class _Run:
    """One check, with what it keeps."""

    def __init__(
        self, subjects: Sequence[AnySubject], plan: Plan, workers: Workers, work: Work
    ) -> None:
        self.subjects, self.plan, self.work = subjects, plan, work
        self.judge = Judge(subjects, plan.references, plan.registry, plan.store, workers)

    def report(self, candidate: Candidate | Broken) -> CandidateReport:
        """Fit, judge and probe one candidate."""
        if isinstance(candidate, Broken):
            return CandidateReport(candidate.label, candidate.engine, problem=candidate.problem)
        try:
            versions = self.versions(candidate)
        except EngineError as error:
            self.work.drop("fits", len(self.subjects))
            self.work.drop("verdicts", len(self.subjects))
            return CandidateReport(candidate.label, candidate.engine, problem=str(error))
        fits = self.fits(candidate, self.plan.platform)
        problem = _given_up(fits)
        return CandidateReport(
            candidate.label,
            candidate.engine,
            versions,
            _lock(candidate),
            problem=problem,
            cases=tuple(
                self.judge.judged(f"{candidate.engine} {candidate.label}", fits, self.work)
            ),
            probes={} if problem else self.probes(candidate),
        )

    def versions(self, candidate: Candidate) -> dict[str, str]:
        """What it says of itself; asked again where it did not start."""
        plan = self.plan
        key = key_of("versions", candidate.identity(), asdict(plan.platform))
        found: dict[str, str] = plan.store.remembered(
            key, lambda: candidate.versions(plan.platform, plan.effort)
        )
        return found

    def fits(self, candidate: Candidate, platform: Platform) -> list[Fit]:
        """Every model's Fit: those that are kept, and new ones for the rest."""
        keys = [self._fit_key(candidate, platform, subject) for subject in self.subjects]
        found = {key: self.plan.store.get(key) for key in keys}
        missing = [k for k, key in enumerate(keys) if found[key] is None]
        phase = f"{candidate.engine} {candidate.label} on {platform.label}"
        self.work.begin(phase, "fits", len(missing), len(keys) - len(missing))
        for k, fit in self._new(candidate, platform, missing):
            found[keys[k]] = {**encode_fit(fit), "seconds": fit.seconds}
            self.plan.store.put(keys[k], found[keys[k]])
            self.work.step()
        return [_decoded(candidate.engine, found[key]) for key in keys]

    def _new(
        self, candidate: Candidate, platform: Platform, missing: Sequence[int]
    ) -> Iterator[tuple[int, Fit]]:
        """Fit what is missing, unless the first few all end their worker."""
        first, rest = missing[:FIRST], missing[FIRST:]
        dead = []
        for k, fit in self._fitted(candidate, platform, first):
            dead.append(ended(fit))
            yield k, fit
        if dead and all(dead) and len(dead) == FIRST:
            reason = f"not tried: the first {FIRST} models all ended the process"
            failed = Fit.failed(candidate.engine, reason)
            yield from ((k, failed) for k in rest)
        else:
            yield from self._fitted(candidate, platform, rest)

    def _fitted(
        self, candidate: Candidate, platform: Platform, which: Sequence[int]
    ) -> Iterator[tuple[int, Fit]]:
        designs = [self.subjects[k].design for k in which]
        if designs:
            yield from zip(which, candidate.fits(designs, platform, self.plan.effort), strict=True)

    def _fit_key(self, candidate: Candidate, platform: Platform, subject: AnySubject) -> str:
        limit = self.plan.effort.seconds
        return key_of("fit", our_code(), candidate.identity(), asdict(platform), limit, subject.key)

    def probes(self, candidate: Candidate) -> dict[str, Outcome]:
        """What was found out beside the fits; nothing of an engine that we have no probes for."""
        plan = self.plan
        if not plan.probes or candidate.engine.partition(":")[0] != "statsmodels":
            return {}
        limit = plan.effort.seconds
        key = key_of("probes", our_code(), candidate.identity(), asdict(plan.platform), limit)

        def ask() -> dict[str, Any]:
            asked = probes.probe(candidate, plan.platform, plan.effort)
            return {name: asdict(outcome) for name, outcome in asked.items()}

        found = plan.store.remembered(key, ask)
        return {name: Outcome(**outcome) for name, outcome in found.items()}

    def noise(
        self, candidate: Candidate, report: CandidateReport
    ) -> tuple[dict[str, Noise], list[NoiseRow]]:
        """How far a candidate is from itself on the other platforms."""
        base = [case.fits[candidate.engine] for case in report.cases]
        others = {platform: self.fits(candidate, platform) for platform in self.plan.variants}
        by_model = {
            case.title: noise_of(fit, [fits[k] for fits in others.values()])
            for k, (case, fit) in enumerate(zip(report.cases, base, strict=True))
        }
        rows = [noise_row(report.name, p.label, base, fits) for p, fits in others.items()]
        return by_model, rows


def ended(fit: Fit) -> bool:
    """Whether the fit ended its process, or did not end itself."""
    first = fit.messages[0] if fit.messages else ""
    marks = (
        "its process died",
        "stopped after",
        "did not answer in time",
        "R was ended",
        "R ended",
    )
    return fit.status == "error" and any(mark in first for mark in marks)


def _given_up(fits: Sequence[Fit]) -> str | None:
    """The reason, where no model got an answer and the candidate itself is to blame."""
    if any(fit.status == "ok" for fit in fits) or not any(ended(fit) for fit in fits):
        return None
    reason = next(fit.messages[0] for fit in fits if ended(fit))
    return f"no model got an answer: {reason}"


def _lock(candidate: Candidate) -> dict[str, str]:
    environment = getattr(candidate, "environment", None)
    return dict(environment.versions) if environment else {}


def _decoded(engine: str, kept: Mapping[str, Any]) -> Fit:
    return replace(decode_fit(engine, kept), seconds=float(kept["seconds"]))
