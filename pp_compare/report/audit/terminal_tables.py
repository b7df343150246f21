"""The tables of an audit in a terminal: estimates, agreement, digits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from rich.table import Table
from rich.text import Text

from pp_compare.report.digest import (
    KINDS,
    digits_of,
    engines_of,
    kind_of,
    least_digits,
    variance_digits,
    worst,
)
from pp_compare.report.record import CaseReport, Report
from pp_compare.report.verbatim import verbatim
from pp_compare.verdict.agreement import Comparison
from pp_compare.verdict.digits import digits_text

STYLES = {"pass": "green", "known": "yellow", "fail": "bold red", "skip": "dim"}

ESTIMATE_WIDTH = 19
"""Of a column of estimates: ten digits, or ``statsmodels:tight``, and the gap."""


def estimates_tables(case: CaseReport, width: int) -> list[Table]:
    """Fixed effects, standard errors, variance components and criterion, an engine a column.

    Engines that do not fit beside each other go into a table below.
    """
    engines = [engine for engine, fit in case.fits.items() if fit.status == "ok"]
    rows = _rows(case)
    label = max((len(_row_title(row)) for row in rows), default=0)
    fit_in = max(1, (width - label) // ESTIMATE_WIDTH)
    parts = [engines[k : k + fit_in] for k in range(0, len(engines), fit_in)]
    verdicts = _worst_by_number(case.comparisons)
    return [_estimates_table(case, part, rows, verdicts) for part in parts]


def _estimates_table(
    case: CaseReport,
    engines: list[str],
    rows: list[tuple[str, str]],
    verdicts: Mapping[tuple[str, str, str], str],
) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", no_wrap=True)
    for engine in engines:
        heading = verbatim(engine)
        table.add_column(heading, justify="right", no_wrap=True, min_width=ESTIMATE_WIDTH - 2)
    for name, label in rows:
        cells = []
        for engine in engines:
            quantity = case.fits[engine].quantities.get(name)
            values = dict(quantity.entries()) if quantity else {}
            style = STYLES.get(verdicts.get((engine, name, label), ""), "")
            cells.append(Text(_number(values.get(label, math.nan)), style=style))
        table.add_row(verbatim(_row_title((name, label))), *cells)
    return table


def _row_title(row: tuple[str, str]) -> str:
    return " ".join(row).strip()


def _rows(case: CaseReport) -> list[tuple[str, str]]:
    """Numbers worth a line: not the predictions, nor a covariance beside its standard errors."""
    found: dict[tuple[str, str], None] = {}
    for fit in case.fits.values():
        for name, quantity in fit.quantities.items():
            if kind_of(name) in {"beta", "beta_se", "sigma", "random_cov", "loglik"}:
                found |= dict.fromkeys((name, label) for label, _ in quantity.entries())
    order = {kind: i for i, kind in enumerate(KINDS)}
    return sorted(found, key=lambda row: order[kind_of(row[0])])


def _worst_by_number(comparisons: Iterable[Comparison]) -> dict[tuple[str, str, str], str]:
    return {
        (line.candidate, line.quantity, line.label): line.verdict
        for line in comparisons
        if line.kind == "truth" and line.verdict != "pass"
    }


def agreement_table(report: Report) -> Table:
    """One line a model, one column an engine: its verdict against the truth and against others."""
    engines = engines_of(report)
    table = _titled("Agreement: verdict, and digits right of fixed effects / variance components")
    table.add_column("model", no_wrap=True)
    for engine in engines:
        table.add_column(verbatim(engine))  # what is too wide breaks between verdict and digits
    table.add_column("identity", no_wrap=True)
    for case in report.cases:
        cells = [_cell(case, engine) for engine in engines]
        table.add_row(verbatim(case.title), *cells, _identity_cell(case))
    return table


def _cell(case: CaseReport, engine: str) -> Text:
    fit = case.fits.get(engine)
    if fit is None:
        return Text("")
    if fit.status != "ok":
        return Text(fit.status, style=STYLES["fail" if fit.status == "error" else "skip"])
    if engine == "certified":
        return verbatim(f"{fit.extra.get('claim')}", "dim")
    verdict = worst(line.verdict for line in case.comparisons if line.candidate == engine)
    least = least_digits(case)
    pair = (least.get((engine, "beta"), math.nan), variance_digits(least, engine))
    digits = "" if all(map(math.isnan, pair)) else f" {'/'.join(map(digits_text, pair))}"
    return Text(f"{verdict}{digits}", style=STYLES[verdict])


def _identity_cell(case: CaseReport) -> Text:
    if not case.identities:
        return Text("-", style="dim")
    verdict = worst(check.verdict for check in case.identities)
    return Text(verdict, style=STYLES[verdict])


def digits_table(report: Report) -> Table:
    """Digits right by engine and quantity: median and minimum over the models."""
    title = "Digits right against the certified optimum (0 to 15): median / minimum over the models"
    table = _titled(title)
    digits = digits_of(report)
    table.add_column("engine")
    for kind in digits.kinds:
        table.add_column(Text(kind), justify="right", no_wrap=True)
    for engine, medians, least in zip(digits.engines, digits.median, digits.least, strict=True):
        pairs = zip(medians.tolist(), least.tolist(), strict=True)
        cells = (Text("-" if math.isnan(m) else f"{m:.1f}/{x:.1f}") for m, x in pairs)
        table.add_row(verbatim(engine), *cells)
    return table


def _titled(title: str) -> Table:
    return Table(
        title=Text(title, "table.title"),
        title_justify="left",
        header_style="bold",
        box=None,
        pad_edge=False,
    )


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.10g}"
