"""Estimates, standard errors and p-values of every engine beside the certified ones."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from pp_compare.model import Fit
from pp_compare.report.record import CaseReport
from pp_compare.report.table import Table
from pp_compare.verdict.glmm_sentences import p_value

DIGITS = 6


def estimates_table(case: CaseReport) -> Table:
    """A row a number, an engine a column; the certified optima first."""
    engines = [name for name, fit in case.fits.items() if fit.status == "ok"]
    columns = ["", *(_heading(name, case.fits[name]) for name in engines)]
    rows = [tuple(row) for row in _rows([case.fits[name] for name in engines], case)]
    return Table(tuple(columns), tuple(rows))


def _heading(name: str, fit: Fit) -> str:
    own = fit.definition
    return name if own in name or not own else f"{name} ({own})"


def _rows(fits: list[Fit], case: CaseReport) -> Iterator[list[str]]:
    if not fits:
        return
    labels = fits[0].quantities["beta"].rows
    for i, label in enumerate(labels):
        pairs = [(_at(fit, "beta", i), _at(fit, "beta_se", i)) for fit in fits]
        yield [label, *(_number(value) for value, _ in pairs)]
        yield ["  standard error", *(_number(se) for _, se in pairs)]
        yield ["  p (Wald)", *(_p(value, se) for value, se in pairs)]
    for group in fits[0].covariances:
        effects = fits[0].quantities[f"random_cov[{group}]"].rows
        for i, effect in enumerate(effects):
            yield [f"sd {effect} | {group}", *(_number(_deviation(f, group, i)) for f in fits)]
        for i in range(len(effects)):
            for j in range(i):
                name = f"correlation {effects[j]}, {effects[i]} | {group}"
                yield [name, *(_number(_correlation(f, group, i, j)) for f in fits)]
    yield ["log-likelihood", *(_loglik(fit) for fit in fits)]
    yield ["  its criterion there", *(_there(fit, case) for fit in fits)]
    causes = {judgement.engine: judgement.cause or "none" for judgement in case.judgements}
    yield ["cause", *(causes.get(fit.engine, "") for fit in fits)]


def _at(fit: Fit, name: str, i: int) -> float:
    return float(fit[name][i]) if name in fit.quantities else math.nan


def _deviation(fit: Fit, group: str, i: int) -> float:
    return float(np.sqrt(max(float(fit.covariances[group][i, i]), 0.0)))


def _correlation(fit: Fit, group: str, i: int, j: int) -> float:
    cov = fit.covariances[group]
    size = cov[i, i] * cov[j, j]
    return float(cov[i, j] / np.sqrt(size)) if size > 0 else math.nan


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.{DIGITS}g}"


def _p(value: float, se: float) -> str:
    p = p_value(value, se) if not math.isnan(se) else math.nan
    return "-" if math.isnan(p) else f"{p:.3g}" if p >= 1e-4 else f"{p:.1e}"


def _loglik(fit: Fit) -> str:
    return f"{float(fit['loglik']):.6f}" if "loglik" in fit.quantities else "-"


def _there(fit: Fit, case: CaseReport) -> str:
    """The certified value of its own criterion at its own estimates."""
    if fit.engine.startswith("certified"):
        return f"{float(fit['loglik']):.6f}"
    found = [c for c in case.comparisons if (c.candidate, c.quantity) == (fit.engine, "criterion")]
    return f"{-found[0].candidate_value / 2:.6f}" if found else "-"


def identities_lines(case: CaseReport) -> Iterator[str]:
    """Identities that do not hold at an engine's own estimates, in one line each."""
    for check in case.identities:
        if check.verdict == "fail":
            yield (
                f"{check.engine}: {check.identity}: off by {check.error:.2g}, where "
                f"{check.tolerance:.2g} would pass: {check.reason}"
            )


def truths(case: CaseReport) -> Iterator[str]:
    """What is proved of each criterion, in one line."""
    for name, fit in case.fits.items():
        if not name.startswith("certified:"):
            continue
        digits = fit.extra.get("digits")
        if isinstance(digits, dict) and digits:
            claim = "a local maximum, proved" if fit.extra["claim"] == "local" else "nothing proved"
            boundary = "; a standard deviation is 0 there" if fit.singular else ""
            yield f"{name}: log-likelihood {digits['loglik']}, {claim}{boundary}"
        else:
            yield f"{name}: {'; '.join(fit.messages)}"
