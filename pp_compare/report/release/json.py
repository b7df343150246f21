"""releases.json, schema ``pp-compare/releases/1``. Readers ignore keys that they do not know."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pp_compare.report.plain import json_text, plain
from pp_compare.report.record import CaseReport
from pp_compare.report.release.record import SCHEMA, CandidateReport, ReleaseReport
from pp_compare.report.release.tables import row_of, verdict
from pp_compare.verdict.digits import least

TIMES = frozenset({"seconds", "started"})
"""Keys whose values differ between two runs of the same."""


def releases_json(report: ReleaseReport) -> str:
    """The report as JSON text; NaN is null, infinities are the strings "inf" and "-inf"."""
    document = {
        "schema": SCHEMA,
        "about": dict(report.about),
        "platform": report.platform,
        "factor": report.factor,
        "verdict": list(verdict(report)),
        "candidates": [_candidate(candidate) for candidate in report.candidates],
        "differences": [{**asdict(d), "worse": d.worse} for d in report.differences],
        "noise": [asdict(row) for row in report.noise],
    }
    return json_text(plain(document)) + "\n"


def _candidate(candidate: CandidateReport) -> dict[str, Any]:
    return {
        "name": candidate.name,
        "label": candidate.label,
        "engine": candidate.engine,
        "versions": dict(candidate.versions),
        "lock": dict(candidate.lock),
        "problem": candidate.problem,
        "summary": asdict(row_of(candidate)),
        "probes": {name: asdict(outcome) for name, outcome in (candidate.probes or {}).items()},
        "cases": [_case(case) for case in candidate.cases],
    }


def _case(case: CaseReport) -> dict[str, Any]:
    """A model in short: `audit --json` on it has every number."""
    (fit,) = case.fits.values()
    truth = [line for line in case.comparisons if line.kind == "truth"]
    return {
        "case": case.case,
        "method": case.method,
        "formula": case.formula,
        "n_obs": case.n_obs,
        "data_sha256": case.data_sha256,
        "status": fit.status,
        "converged": fit.converged,
        "messages": list(fit.messages),
        "seconds": fit.seconds,
        "least_digits": least(line.digits for line in truth),
        "failing": sorted({line.quantity for line in truth if line.verdict == "fail"}),
        "failing_identities": sorted(c.identity for c in case.identities if c.verdict == "fail"),
        "stale": sorted(case.stale),
        "known": sorted({line.deviation for line in case.comparisons if line.deviation}),
        "disagrees_with": sorted(
            {line.reference for line in case.comparisons if _differs(line.kind, line.verdict)}
        ),
    }


def _differs(kind: str, verdict: str) -> bool:
    return kind == "parity" and verdict in ("fail", "known")
