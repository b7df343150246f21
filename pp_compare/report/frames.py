"""A report as tables of pandas: comparisons, judgements, estimates side by side."""

from __future__ import annotations

import math
from dataclasses import asdict

import pandas as pd

from pp_compare.report.digest import KINDS, kind_of
from pp_compare.report.record import CaseReport, Report


def comparison_frame(report: Report) -> pd.DataFrame:
    """One row a comparison: model, sides, quantity, values, error, digits, verdict, cause."""
    rows = [
        {"case": case.case, "method": case.method, "kind": line.kind, **asdict(line)}
        for case in report.cases
        for line in case.comparisons
    ]
    return pd.DataFrame(rows)


def judgement_frame(report: Report) -> pd.DataFrame:
    """One row an engine and model: standing, sentence, cause, harm in the reader's units."""
    rows = []
    for case in report.cases:
        for judgement in case.judgements:
            sizes = {move.kind: move.size for move in judgement.harm.moves}
            rows.append(
                {
                    "case": case.case,
                    "method": case.method,
                    "engine": judgement.engine,
                    "standing": judgement.standing,
                    "sentence": judgement.sentence,
                    "cause": judgement.cause,
                    "deviance_above": judgement.harm.above,
                    "beta_in_se": sizes.get("beta", math.nan),
                    "beta_se_share": sizes.get("beta_se", math.nan),
                    "variance_share": sizes.get("variance", math.nan),
                    "known": ", ".join(judgement.deviations),
                    "remedy": judgement.remedy.code if judgement.remedy else "",
                }
            )
    return pd.DataFrame(rows)


def estimates_frame(report: Report) -> pd.DataFrame:
    """Fixed effects, standard errors, variances and criterion, an engine a column."""
    parts = [_estimates(case) for case in report.cases]
    if len(parts) == 1:
        return parts[0]
    keys = [(case.case, case.method) for case in report.cases]
    return pd.concat(parts, keys=keys, names=["case", "method"]) if parts else pd.DataFrame()


def _estimates(case: CaseReport) -> pd.DataFrame:
    rows = estimate_rows(case)
    index = pd.MultiIndex.from_tuples(rows, names=["quantity", "label"]) if rows else None
    columns = {}
    for engine, fit in case.fits.items():
        values = {name: dict(q.entries()) for name, q in fit.quantities.items()}
        columns[engine] = [values.get(name, {}).get(label, math.nan) for name, label in rows]
    return pd.DataFrame(columns, index=index)


def estimate_rows(case: CaseReport) -> list[tuple[str, str]]:
    """Numbers worth a line: not the predictions, nor a covariance beside its standard errors."""
    found: dict[tuple[str, str], None] = {}
    for fit in case.fits.values():
        for name, quantity in fit.quantities.items():
            if kind_of(name) in {"beta", "beta_se", "sigma", "random_cov", "loglik"}:
                found |= dict.fromkeys((name, label) for label, _ in quantity.entries())
    order = {kind: i for i, kind in enumerate(KINDS)}
    return sorted(found, key=lambda row: order[kind_of(row[0])])
