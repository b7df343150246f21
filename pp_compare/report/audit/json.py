"""report.json, schema ``pp-compare/report/2``. Readers ignore keys that they do not know."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from pp_compare.model import Fit, Quantity
from pp_compare.report.plain import json_text, plain
from pp_compare.report.record import SCHEMA, CaseReport, Report
from pp_compare.verdict.harm import Harm
from pp_compare.verdict.judgement import Judgement


def to_json(report: Report) -> str:
    """The report as JSON text; NaN is null, infinities are the strings "inf" and "-inf".

    `json` writes doubles with the fewest digits that read back to the same bits.
    """
    document = {
        "schema": SCHEMA,
        "provenance": asdict(report.provenance),
        "cases": [_case(case) for case in report.cases],
        "summary": {
            "compared": report.compared,
            **report.counts(),
            "stale_deviations": list(report.stale),
            "exit_status": report.exit_status,
            "seconds": round(report.seconds, 3),
            "engine_seconds": round(report.engine_seconds, 3),
        },
    }
    return json_text(plain(document)) + "\n"


def _case(case: CaseReport) -> dict[str, Any]:
    return {
        "case": case.case,
        "why": case.why,
        "formula": case.formula,
        "method": case.method,
        **({"weights": case.weights} if case.weights else {}),
        "n_obs": case.n_obs,
        "rows_dropped": case.rows_dropped,
        "columns_dropped": list(case.columns_dropped),
        "n_groups": dict(case.n_groups),
        "data_sha256": case.data_sha256,
        "fits": {engine: _fit(fit) for engine, fit in case.fits.items()},
        "judgements": [_judgement(judgement) for judgement in case.judgements],
        "identities": [asdict(check) for check in case.identities],
        "comparisons": [{"kind": line.kind, **asdict(line)} for line in case.comparisons],
        "probes": [asdict(check) for check in case.probes],
        "stale_deviations": list(case.stale),
    }


def _judgement(judgement: Judgement) -> dict[str, Any]:
    return asdict(replace(judgement, harm=Harm())) | {"harm": _harm(judgement.harm)}


def _harm(harm: Harm) -> dict[str, Any]:
    sizes = {move.kind: move.size for move in harm.moves}
    return {
        "deviance": harm.above,
        "beta_in_se": sizes.get("beta"),
        "beta_se_percent": _percent(sizes.get("beta_se")),
        "variance_percent": _percent(sizes.get("variance")),
        "moves": [asdict(move) for move in harm.moves],
        "conclusions": [asdict(conclusion) for conclusion in harm.conclusions],
    }


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _fit(fit: Fit) -> dict[str, Any]:
    return {
        "status": fit.status,
        "converged": fit.converged,
        "singular": fit.singular,
        "messages": list(fit.messages),
        "seconds": fit.seconds,
        "settings": dict(fit.settings),
        "versions": dict(fit.versions),
        "design_error": fit.design_error,
        **({"estimator": fit.estimator} if fit.estimator else {}),
        **({"definition": fit.definition} if fit.definition else {}),
        **({"not_given": dict(fit.not_given)} if fit.not_given else {}),
        **({"extra": dict(fit.extra)} if fit.extra else {}),
        "quantities": {name: _quantity(q) for name, q in fit.quantities.items()},
    }


def _quantity(quantity: Quantity) -> dict[str, Any]:
    entries = list(quantity.entries())
    return {"labels": [label for label, _ in entries], "values": [value for _, value in entries]}
