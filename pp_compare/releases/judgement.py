"""Every fit judged as the audit judges it, once for the same bits."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from pp_compare.engines import make_engine
from pp_compare.engines.recorded import encode_fit
from pp_compare.engines.worker import Workers
from pp_compare.identities import IdentityCheck
from pp_compare.model import Fit
from pp_compare.releases.store import Store, key_of, our_code
from pp_compare.releases.subject import AnySubject
from pp_compare.releases.work import Work
from pp_compare.report.record import CaseReport
from pp_compare.verdict.agreement import Comparison
from pp_compare.verdict.deviations import Deviation
from pp_compare.verdict.judgement import Judgement
from pp_compare.verdict.versions import package_version

SECONDS = 600.0
"""For one model; the certified optimum of the largest named case takes a minute."""


class Judge:
    """Judges fits of the same models, one engine at a time.

    Parameters
    ----------
    subjects : sequence of AnySubject
    references : mapping of str to str
        Engine that plays each reference; only what it answers is used.
    registry : sequence of Deviation
    store : Store
    workers : Workers
    """

    def __init__(
        self,
        subjects: Sequence[AnySubject],
        references: Mapping[str, str],
        registry: Sequence[Deviation],
        store: Store,
        workers: Workers,
    ) -> None:
        # Probes ask the package that is installed here; candidates have theirs (`probes`).
        self.registry = [entry for entry in registry if not entry.probes]
        self.subjects, self.store, self.workers = subjects, store, workers
        self._references = list(_answers(subjects, references))
        # What depends on the model alone is made once, not again for every candidate.
        told = [[self._told(fit) for fit in fits.values()] for fits in self._references]
        self._about_models = [(s.key, t) for s, t in zip(subjects, told, strict=True)]
        self._blank = [replace(subject.blank(), data_csv="") for subject in subjects]

    def judged(self, phase: str, fits: Sequence[Fit], work: Work) -> list[CaseReport]:
        """Every model's comparisons with the truth and the references, and its identities."""
        keys = [self._key(k, fit) for k, fit in enumerate(fits)]
        found = {key: self.store.get(key) for key in keys}
        missing = [k for k, key in enumerate(keys) if found[key] is None]
        work.begin(phase, "verdicts", len(missing), len(keys) - len(missing))
        waiting = [self._start(k, fits[k]) for k in missing]
        for k, answer in zip(missing, waiting, strict=True):
            found[keys[k]] = answer()
            if "lost" not in found[keys[k]]:
                self.store.put(keys[k], found[keys[k]])
            work.step()
        return [
            _case(blank, fit, found[key])
            for blank, fit, key in zip(self._blank, fits, keys, strict=True)
        ]

    def _start(self, k: int, fit: Fit) -> Callable[[], dict[str, Any]]:
        subject, references = self.subjects[k], self._references[k]
        return self.workers.start(
            _judged, subject, fit, references, self.registry, otherwise=_not_judged
        )

    def _key(self, k: int, fit: Fit) -> str:
        """Two releases with the same bits, and the same entries about them, have the same key."""
        model, references = self._about_models[k]
        told = [self._told(fit), *references]
        return key_of("judged", our_code(), model, fit.engine, told)

    def _told(self, fit: Fit) -> list[Any]:
        version = package_version(fit)
        entries = [entry.id for entry in self.registry if entry.concerns(fit.engine, version)]
        return [{**encode_fit(fit), "versions": None}, entries]


def _answers(
    subjects: Iterable[AnySubject], references: Mapping[str, str]
) -> Iterable[dict[str, Fit]]:
    engines = {name: make_engine(source) for name, source in references.items()}
    for subject in subjects:
        fits = {name: engine.fit(subject.design) for name, engine in engines.items()}
        yield {n: replace(fit, engine=n) for n, fit in fits.items() if fit.status == "ok"}


def _judged(
    subject: AnySubject, fit: Fit, references: Mapping[str, Fit], registry: Sequence[Deviation]
) -> dict[str, Any]:
    """What `judge` says of one engine, as JSON."""
    fits = {**references, fit.engine: fit}
    case = subject.judged(fits, registry)
    return {
        "comparisons": [asdict(c) for c in case.comparisons if c.candidate == fit.engine],
        "identities": [asdict(i) for i in case.identities if i.engine == fit.engine],
        "stale": list(case.stale),
        "judgements": [(j.standing, j.sentence) for j in case.judgements if j.engine == fit.engine],
    }


def _not_judged(reason: str) -> dict[str, Any]:
    """A failure of ours, which is told and not kept."""
    line = Comparison(
        "", "certified", "fit", "", math.nan, math.nan, math.nan, 0.0, math.nan,
        f"the comparison {reason}", "fail", cause="failure",
    )  # fmt: skip
    return {"comparisons": [asdict(line)], "identities": [], "stale": [],
            "judgements": [], "lost": True}  # fmt: skip


def _case(blank: CaseReport, fit: Fit, judged: Mapping[str, Any]) -> CaseReport:
    return replace(
        blank,
        fits={fit.engine: fit},
        identities=tuple(IdentityCheck(**i) for i in judged["identities"]),
        comparisons=tuple(Comparison(**c) for c in judged["comparisons"]),
        stale=tuple(judged["stale"]),
        judgements=tuple(Judgement(fit.engine, *told) for told in judged["judgements"]),
    )
