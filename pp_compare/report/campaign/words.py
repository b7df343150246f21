"""The sentences and tables of a campaign's report, for the terminal and for the page alike."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pp_compare.report.campaign.record import (
    FINDINGS,
    CampaignReport,
    Coverage,
    EngineRecord,
    Map,
    Rate,
    WorstCase,
)
from pp_compare.report.table import Table

ENGINES_NOTE = (
    "Share of fits, with Wilson's 95 % interval. Wrong optimum: the engine stopped at another "
    "local optimum. Early stop: its criterion is above the certified optimum by more than the "
    "tolerance. Both are of the fits that could be judged; failures (raised, not a number, or "
    "ended the process) are of all that were tried. Silent: off the optimum, and said to have "
    "converged."
)
COVERAGE_NOTE = (
    "Against the values that the data were drawn with. Covered: the share of intervals estimate "
    "+- 1.96 SE, with the engine's own SE, that hold the truth; with few clusters a normal "
    "quantile is too small for every engine alike. Spread: standard deviation of the estimates, "
    "against which the root mean square of the SEs is to be held."
)
MAP_NOTE = "Share of fits that are off the certified optimum or failed"


def verdict(report: CampaignReport) -> list[str]:
    """One sentence for each engine, the worst first."""
    if not report.engines:
        return ["No data set is done."]
    ranked = sorted(report.engines, key=lambda e: -_bad(e))
    return [_sentence(engine) for engine in ranked]


def _bad(engine: EngineRecord) -> float:
    return sum(rate.value for rate in engine.rates.values() if rate.of)


def _sentence(engine: EngineRecord) -> str:
    found = [f"{name} in {shares(rate)}" for name, rate in engine.rates.items() if rate.count]
    if not found:
        bound = max(rate.interval[1] for rate in engine.rates.values())
        return f"{engine.engine}: none of {engine.fits} fits was wrong (below {100 * bound:.2g} %)."
    silent = f"; {shares(engine.silent)} silently" if engine.silent.count else ""
    return f"{engine.engine}: {', '.join(found)}{silent}."


def shares(rate: Rate) -> str:
    """A rate with its interval, in percent, with two digits of the interval's width."""
    if not rate.of:
        return "-"
    low, high = rate.interval
    decimals = max(0, 1 - math.floor(math.log10(100 * (high - low))))
    value, low, high = (round(100 * share, decimals) + 0.0 for share in (rate.value, low, high))
    return f"{value:.10g} % ({low:.10g} to {high:.10g})"


def done(report: CampaignReport) -> str:
    """How much of the plan is there."""
    part = "" if report.done == report.size else f" of {report.size}"
    return f"{report.done}{part} data sets; plan {report.name}, {report.digest[:12]}"


def engine_table(report: CampaignReport) -> Table:
    """Rates by engine and version."""
    columns = (
        "engine",
        "version",
        "fits",
        *FINDINGS,
        "silent",
        "mean digits beta / variances",
        "ms a fit",
    )
    rows = [
        (
            e.engine,
            e.version,
            str(e.fits),
            *(shares(e.rates[name]) for name in FINDINGS),
            shares(e.silent),
            f"{e.digits_beta:.1f} / {e.digits_variances:.1f}",
            f"{1e3 * e.seconds:.3g}",
        )
        for e in report.engines
    ]
    return Table(columns, tuple(rows), labels=2)


def remarks(report: CampaignReport) -> list[str]:
    """What the table of engines leaves out."""
    found = []
    for e in report.engines:
        told = {
            "ended their process": e.lost,
            "are models that it cannot express": e.unsupported,
            "could not be judged (no optimum, or double precision cannot tell)": e.unjudged,
            "are below the best optimum known": e.below,
        }
        found += [f"{e.engine}: {n} of {e.fits} fits {text}." for text, n in told.items() if n]
    return found


def disagreement_table(report: CampaignReport) -> Table:
    """How often two engines differ."""
    rows = [(d.first, d.second, shares(d.rate)) for d in report.disagreements]
    return Table(
        ("engine", "and", "stop at different values of the criterion"), tuple(rows), labels=2
    )


def quiet(found: Map) -> str | None:
    """What is said of a map that has nothing to show; None where it has."""
    if any(rate.count for line in found.cells for rate in line):
        return None
    over = f"{found.across} and {found.down}" if found.down else found.across
    return f"{found.engine}: no fit off the optimum or failed anywhere over {over}."


def coverage_table(report: CampaignReport) -> Table:
    """Bias and coverage by coefficient and engine."""
    columns = ("estimate", "engine", "covered", "bias (its error)", "spread", "rms SE")
    return Table(columns, tuple(_coverage_row(c) for c in report.coverage), labels=2)


def _coverage_row(c: Coverage) -> tuple[str, ...]:
    covered = shares(c.covered) if c.covered else "-"
    se = "-" if math.isnan(c.mean_se) else f"{c.mean_se:.4g}"
    return (c.label, c.engine, covered, f"{c.bias:.2g} ({c.bias_error:.1g})", f"{c.spread:.4g}", se)


def worst_table(cases: Sequence[WorstCase]) -> Table:
    """The worst cases, each with what replays it."""
    columns = ("data set", "engine", "outcome", "deviance too high", "says converged", "model")
    rows = [
        (
            str(c.index),
            c.engine,
            c.outcome if c.outcome != "failure" else f"failure: {c.messages[:90]}",
            "-" if math.isnan(c.above) else f"{c.above:.3g}",
            {True: "yes", False: "no", None: "-"}[c.converged],
            f"{c.formula}, {c.method}",
        )
        for c in cases
    ]
    return Table(columns, tuple(rows), labels=3)
