"""The audit: fit every case with every engine, hold the fits together, and report.

Selection -> Design -> Fit (one an engine) -> identities, truth, parity -> CaseReport -> Report
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Literal

import numpy as np

from pp_compare.audits.provenance import collect_provenance
from pp_compare.certified.models import (
    CertifiedModel,
    DegenerateModelError,
    certified_model,
)
from pp_compare.engines.worker import Workers
from pp_compare.errors import DataError, UnavailableError
from pp_compare.identities import IdentityCheck, check_identities
from pp_compare.model import Dataset, Fit, Method
from pp_compare.model.design import Design, build_design
from pp_compare.model.formula import parse_formula
from pp_compare.model.variables import NaPolicy
from pp_compare.report.record import CaseReport, Report
from pp_compare.verdict.agreement import Comparison, compare, compare_criterion
from pp_compare.verdict.attribution import Stop, attribute, identity_cause, stop_of
from pp_compare.verdict.deviations import Deviation, Fact, facts_of, find, load_deviations
from pp_compare.verdict.digits import excess
from pp_compare.verdict.outcome import ProbeCheck
from pp_compare.verdict.probes import measure
from pp_compare.verdict.tolerance import Tolerances, derive_tolerances

DEFAULT_ENGINES = ("lme4", "nlme", "statsmodels", "certified")
PARITY_REFERENCES = ("lme4", "nlme")
RECORDED_STACK = "bookworm"
"""Recorded references that stand in for lme4 and nlme where there is no R."""

Progress = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Selection:
    """One model on one data set, to be audited."""

    case: str
    dataset: Dataset
    formula: str
    method: Method
    why: str = ""


def audit(
    selections: Sequence[Selection],
    engines: Sequence[str] = DEFAULT_ENGINES,
    *,
    na: NaPolicy = "raise",
    limit: float = 60.0,
    processes: int = 1,
    registry: Sequence[Deviation] | None = None,
    command: str = "",
    progress: Progress = lambda _: None,
) -> Report:
    """Audit the selections with the engines.

    Parameters
    ----------
    selections : sequence of Selection
    engines : sequence of str
        Engine ids. ``lme4`` and ``nlme`` are played back from the recorded references where R is
        not available; a setting of theirs is not.
    na : {"raise", "drop"}
    limit : float
        Seconds a fit may take; then its process is killed.
    processes : int
        Fits that run at once.
    registry : sequence of Deviation, optional
        Known deviations; those of the project by default.
    command : str
        For the provenance.
    progress : callable
        Called with a case's title when it is done.

    Raises
    ------
    DataError, FormulaError
        For a selection that no mixed model can be fitted to.
    InputError, UnavailableError
        For an engine that there is not, or not here.
    """
    started = time.perf_counter()
    known = load_deviations() if registry is None else tuple(registry)
    designs = [build_design(s.dataset, parse_formula(s.formula, s.method), na) for s in selections]
    with Workers(limit, processes) as workers:
        sources = available_engines(engines, workers)
        pending = [
            {engine: workers.start_fit(source, design) for engine, source in sources.items()}
            for design in designs
        ]
        judged = []
        for selection, design, waiting in zip(selections, designs, pending, strict=True):
            fits = {engine: replace(fit(), engine=engine) for engine, fit in waiting.items()}
            unjudged = partial(_unjudged, selection, design, fits)
            judged.append(workers.start(judge, selection, design, fits, known, otherwise=unjudged))
        cases = []
        for selection, verdict in zip(selections, judged, strict=True):
            cases.append(verdict())
            progress(f"{selection.case} {selection.method}")
    answers = [fit for case in cases for fit in case.fits.values()]
    provenance = collect_provenance(answers, sources, command)
    return Report(provenance, tuple(cases), time.perf_counter() - started)


def available_engines(engines: Sequence[str], workers: Workers) -> dict[str, str]:
    """The engine that plays each part: itself, or the recorded one where there is no R.

    Raises
    ------
    InputError, UnavailableError
        For an engine that there is not, or not here and not recorded.
    """
    sources = {}
    for engine in dict.fromkeys(engines):
        try:
            workers.make(engine)
            sources[engine] = engine
        except UnavailableError:
            if engine not in PARITY_REFERENCES:
                raise
            sources[engine] = f"recorded:{RECORDED_STACK}/{engine}"
            workers.make(sources[engine])
    return sources


def judge(
    selection: Selection, design: Design, fits: Mapping[str, Fit], registry: Sequence[Deviation]
) -> CaseReport:
    """Hold the fits of one case against algebra, the truth and each other."""
    answered = {engine: fit for engine, fit in fits.items() if fit.status == "ok"}
    comparisons = [_no_answer(fit) for fit in fits.values() if fit.status != "ok"]
    identities = [c for fit in answered.values() for c in check_identities(design, fit)]
    facts: dict[str, Fact] = _data_facts(design)
    stops: dict[str, Stop | str] = {}
    try:
        model = certified_model(design, _starts(design, answered.values()))
        tolerances = derive_tolerances(design, model)
    except (DegenerateModelError, DataError) as reason:
        comparisons += [_skipped(fit, str(reason)) for fit in answered.values()]
    else:
        facts |= {"boundary": model.optimum.singular, "optima": float(len(model.optimum.optima))}
        stops = {e: stop_of(design, f, model) for e, f in answered.items() if e != "certified"}
        truth = _truth(design, answered, stops, model, tolerances)
        comparisons += [*truth, *_parity(answered, tolerances, truth)]
    labelled = _Known(registry, design, fits, facts, stops)
    checked = tuple(labelled.identity(check) for check in identities)
    lines = tuple(labelled.comparison(line) for line in comparisons)
    probed = tuple(labelled.probes(selection))
    return replace(
        case_report(selection, design, fits),
        identities=checked,
        comparisons=lines,
        probes=probed,
        stale=labelled.stale(selection, checked, lines, probed),
    )


def case_report(selection: Selection, design: Design, fits: Mapping[str, Fit]) -> CaseReport:
    """A case with its fits, before anything is held together."""
    return CaseReport(
        case=selection.case,
        why=selection.why,
        formula=design.spec.formula,
        method=design.spec.method,
        n_obs=design.n_obs,
        rows_dropped=design.rows_dropped,
        n_groups={group: len(levels) for group, levels in design.group_levels.items()},
        data_sha256=design.dataset.sha256(),
        fits=dict(fits),
        data_csv=design.dataset.exact_csv(),
    )


def _unjudged(
    selection: Selection, design: Design, fits: Mapping[str, Fit], reason: str
) -> CaseReport:
    """Nothing of this case was compared, which is a failure of ours and said so."""
    lines = tuple(
        replace(_skipped(fit, f"the comparison {reason}"), verdict="fail", cause="failure")
        for fit in fits.values()
    )
    return replace(case_report(selection, design, fits), comparisons=lines)


def _truth(
    design: Design,
    fits: Mapping[str, Fit],
    stops: Mapping[str, Stop | str],
    model: CertifiedModel,
    tolerances: Tolerances,
) -> list[Comparison]:
    """Every engine against the certified optimum."""
    certified = Fit("certified", "ok", model.optimum.quantities)
    found: list[Comparison] = []
    for engine, fit in fits.items():
        if engine == "certified":
            continue
        stop = stops[engine]
        lines = compare(fit, certified, tolerances)
        if isinstance(stop, Stop):
            first = compare_criterion(engine, stop.deviance, model.optimum.deviance, tolerances)
            lines = [first, *lines]
        found += attribute(design, fit, stop, model, tolerances, lines)
    return found


def _parity(
    fits: Mapping[str, Fit], tolerances: Tolerances, truth: Sequence[Comparison]
) -> list[Comparison]:
    """Each engine against lme4 and nlme; the cause of a difference is that of the wrong side."""
    causes = {(t.candidate, t.quantity): t for t in truth if t.verdict == "fail"}
    found = []
    for reference in (r for r in PARITY_REFERENCES if r in fits):
        for engine in _candidates(fits, reference):
            for line in compare(fits[engine], fits[reference], tolerances):
                if line.verdict == "fail":
                    sides = [causes.get((side, line.quantity)) for side in (engine, reference)]
                    wrong = next((side for side in sides if side is not None), None)
                    follows = f"{wrong.candidate} against certified" if wrong else None
                    line = replace(line, cause=wrong.cause if wrong else None, follows=follows)  # noqa: PLW2901  # the line with its cause
                found.append(line)
    return found


def _candidates(fits: Mapping[str, Fit], reference: str) -> list[str]:
    earlier = PARITY_REFERENCES[: PARITY_REFERENCES.index(reference) + 1]
    return [engine for engine in fits if engine not in (*earlier, "certified")]


@dataclass(frozen=True)
class _Known:
    """Marks the failures of a case that the registry knows."""

    registry: Sequence[Deviation]
    design: Design
    fits: Mapping[str, Fit]
    facts: Mapping[str, Fact]
    stops: Mapping[str, Stop | str]

    def identity(self, check: IdentityCheck) -> IdentityCheck:
        if check.verdict != "fail":
            return check
        fit, stop = self.fits[check.engine], self.stops.get(check.engine)
        cause = identity_cause(self.design, fit, stop, check.identity)
        size = excess(check.error, check.tolerance)
        entry = self._find(check.engine, f"identity:{check.identity}", cause, size)
        return replace(check, verdict="known", deviation=entry.id) if entry else check

    def comparison(self, line: Comparison) -> Comparison:
        if line.verdict != "fail":
            return line
        sides = [line.candidate] if line.kind == "truth" else [line.candidate, line.reference]
        size = excess(line.error, line.tolerance)
        entries = (self._find(side, line.quantity, line.cause, size) for side in sides)
        entry = next((entry for entry in entries if entry), None)
        return replace(line, verdict="known", deviation=entry.id) if entry else line

    def probes(self, selection: Selection) -> Iterator[ProbeCheck]:
        """What the entries that this case is an example of ask beside the fits."""
        for entry in self._pinned(selection):
            for engine, fit in self.fits.items():
                if entry.must_show(engine, package_version(fit)):
                    for name in entry.probes:
                        outcome = measure(name, self.design, fit)
                        verdict: Literal["known", "pass"] = "pass" if outcome.ok else "known"
                        yield ProbeCheck(engine, name, outcome.text, verdict, entry.id)

    def stale(
        self,
        selection: Selection,
        identities: Iterable[IdentityCheck],
        comparisons: Iterable[Comparison],
        probes: Sequence[ProbeCheck],
    ) -> tuple[str, ...]:
        """Entries that this case is an example of, and that do not show in it."""
        shown = {line.deviation for line in comparisons} | {c.deviation for c in identities}
        shown |= {check.deviation for check in probes}
        gone = {check.deviation for check in probes if check.verdict == "pass"}
        return tuple(
            entry.id
            for entry in self._pinned(selection)
            if any(entry.must_show(e, package_version(f)) for e, f in self.fits.items())
            and (entry.id in gone or entry.id not in shown)
        )

    def _pinned(self, selection: Selection) -> Iterator[Deviation]:
        """Entries of which this case is an example."""
        here = (selection.case, selection.method)
        for entry in self.registry:
            if here in {(example.case, example.method) for example in entry.examples}:
                yield entry

    def _find(self, engine: str, quantity: str, cause: str | None, size: float) -> Deviation | None:
        facts = {**self._facts_of_fits[engine], "excess": size}
        version = package_version(self.fits[engine])
        return find(self.registry, engine, version, quantity, cause, facts)

    @cached_property
    def _facts_of_fits(self) -> dict[str, dict[str, Fact]]:
        """Facts of the case and of each engine's fit of it."""
        above = {e: {"above": s.above} for e, s in self.stops.items() if isinstance(s, Stop)}
        return {
            engine: {**self.facts, **facts_of(fit), **above.get(engine, {})}
            for engine, fit in self.fits.items()
        }


def package_version(fit: Fit) -> str | None:
    """Version of the package that an engine is named after."""
    versions = {name.lower(): text for name, text in fit.versions.items()}
    return versions.get(fit.engine.partition(":")[0].lower())


def _data_facts(design: Design) -> dict[str, Fact]:
    return {
        "method": design.spec.method,
        "rows": float(design.n_obs),
        "groups": float(max(len(levels) for levels in design.group_levels.values())),
        "random_effects": float(sum(len(block.columns) for block in design.blocks)),
    }


def _starts(design: Design, fits: Iterable[Fit]) -> list[np.ndarray]:
    """The engines' own answers as starting points of the certified search, in lme4's theta."""
    found = []
    for fit in fits:
        sigma = float(fit["sigma"])
        parts = [relative_factors(cov, sigma) for cov in design.by_block(fit.covariances)]
        theta = np.concatenate(parts)
        if np.isfinite(theta).all():
            found.append(theta)
    return found


def relative_factors(cov: np.ndarray, sigma: float) -> np.ndarray:
    """Lower triangle, column by column, of the Cholesky factor of cov / sigma^2."""
    q = len(cov)
    with np.errstate(all="ignore"):
        scaled = cov / sigma**2
    if not np.isfinite(scaled).all():
        return np.full(q * (q + 1) // 2, np.nan)
    # A singular covariance has no Cholesky factor in floating point: QR of a square root has.
    values, vectors = np.linalg.eigh(scaled)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    factor = np.asarray(np.linalg.qr(root.T, mode="r")).T
    factor = factor * np.where(np.diag(factor) < 0, -1.0, 1.0)
    return np.concatenate([factor[k:, k] for k in range(q)])


def _no_answer(fit: Fit) -> Comparison:
    """An engine that raised has failed; one that cannot express the model is left out."""
    line = _skipped(fit, "; ".join(fit.messages))
    return line if fit.status == "unsupported" else replace(line, verdict="fail", cause="failure")


def _skipped(fit: Fit, reason: str) -> Comparison:
    nan = float("nan")
    return Comparison(
        fit.engine, "certified", "fit", "", nan, nan, nan, 0.0, nan, reason, "skip", count=0
    )
