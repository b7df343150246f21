"""Which differences of a case the registry knows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from pp_compare.audits.selection import Selection
from pp_compare.identities import IdentityCheck
from pp_compare.model import Fit
from pp_compare.model.design import Design
from pp_compare.verdict.agreement import Comparison
from pp_compare.verdict.attribution import Stop, identity_cause
from pp_compare.verdict.deviations import Deviation, Fact, facts_of, find
from pp_compare.verdict.digits import excess
from pp_compare.verdict.outcome import ProbeCheck
from pp_compare.verdict.probes import measure
from pp_compare.verdict.versions import package_version


@dataclass(frozen=True)
class Known:
    """Marks the failures of a case that the registry knows."""

    registry: Sequence[Deviation]
    design: Design
    fits: Mapping[str, Fit]
    facts: Mapping[str, Fact]
    stops: Mapping[str, Stop | str]

    def identity(self, check: IdentityCheck) -> IdentityCheck:
        """The check, with the entry that knows it where it fails."""
        if check.verdict != "fail":
            return check
        fit, stop = self.fits[check.engine], self.stops.get(check.engine)
        cause = identity_cause(self.design, fit, stop, check.identity)
        size = excess(check.error, check.tolerance)
        entry = self._find(check.engine, f"identity:{check.identity}", cause, size)
        return replace(check, verdict="known", deviation=entry.id) if entry else check

    def comparison(self, line: Comparison) -> Comparison:
        """The line, with the entry of the side that it belongs to where it fails."""
        if line.verdict != "fail":
            return line
        side = line.candidate if line.kind == "truth" else line.blamed
        if side is None:
            return line
        size = excess(line.error, line.tolerance)
        entry = self._find(side, line.quantity, line.cause, size)
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
