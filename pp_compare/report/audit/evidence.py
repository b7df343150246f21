"""Evidence for regulated work, from one run: qualification (IQ, OQ, PQ) and the CAMIS table.

The document states what was run and what came out. Whether that is enough for an intended use is
for the people who sign it; their lines are left blank.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence

from pp_compare.identities import IDENTITIES
from pp_compare.report.audit.terminal import sources_line
from pp_compare.report.digest import engines_of, findings, kind_of, worst
from pp_compare.report.document import Document, Section
from pp_compare.report.record import CaseReport, Report
from pp_compare.report.table import Table
from pp_compare.resources import resource
from pp_compare.verdict.agreement import Comparison
from pp_compare.verdict.deviations import Deviation
from pp_compare.verdict.digits import digits_text, least

STATISTICS = {
    "beta": "Fixed effects",
    "beta_se": "Standard errors of the fixed effects",
    "beta_cov": "Covariance of the fixed effects",
    "random_cov": "Variances and covariances of the random effects",
    "sigma": "Residual standard deviation",
    "loglik": "Log-likelihood",
    "blup": "Predicted random effects",
    "fitted": "Fitted values",
}
MOVES_ESTIMATES = ("optimiser", "wrong optimum", "objective", "specification")
"""Causes that change the estimates themselves, not only what is computed from them."""
R_CALLS = {"lme4": "lme4::lmer", "nlme": "nlme::lme"}


def qualification(report: Report, registry: Iterable[Deviation]) -> Document:
    """Installation, operational and performance qualification of one run."""
    entries = {entry.id: entry for entry in registry}
    sections = (
        *_summary(report),
        *_installation(report),
        *_operation(report),
        *_performance(report, entries),
        _signatures(),
    )
    return Document("Qualification of linear mixed models: evidence of one run", sections)


def camis_table(report: Report, registry: Iterable[Deviation]) -> Document:
    """Linear mixed models in the table of PSIAIMS/CAMIS: statistic, R, Python, match, notes."""
    entries = {entry.id: entry for entry in registry}
    rows = [
        row
        for reference in R_CALLS
        for kind in STATISTICS
        if (row := _camis_row(report, reference, kind, entries)) is not None
    ]
    table = Table(("Statistic", "R", "Python", "Match", "Notes"), tuple(rows))
    python = f"statsmodels {report.provenance.packages.get('statsmodels', '')}"
    text = (
        f"{sources_line(report)} A match is agreement within a tolerance that follows from the "
        "curvature of the criterion at its certified optimum, number by number; the digits are "
        "those of the worst number, median over the models that the row counts."
    )
    return Document(
        f"Linear mixed models: R against Python ({python})",
        (Section("Comparison", (text,), table),),
    )


def _summary(report: Report) -> list[Section]:
    counts = report.counts()
    outcome = "not passed" if report.exit_status else "passed"
    text = (
        f"The run {outcome}: {report.compared} comparisons on {len(report.cases)} models, of which "
        f"{counts['pass']} within tolerance, {counts['known']} known deviations, {counts['fail']} "
        f"unexpected; {counts['skip']} not compared, with the reason."
    )
    made = f"Started {report.provenance.started} by: {report.provenance.command}"
    return [Section("Summary", (text, made))]


def _installation(report: Report) -> list[Section]:
    p = report.provenance
    rows = [("Python", p.python), ("platform", p.platform), ("BLAS", p.blas)]
    rows += [(name, version) for name, version in sorted(p.packages.items())]
    rows += [("R", f"{p.R} ({p.r_source})" if p.R else "took no part")]
    rows += [(f"R package {name}", version) for name, version in sorted(p.r_packages.items())]
    rows += [("SHA-256 of the pp_compare sources", source_checksum())]
    text = "What was installed when the run was made."
    return [
        Section("Installation qualification (IQ)", (text,), Table(("item", "found"), tuple(rows)))
    ]


def source_checksum() -> str:
    """SHA-256 over the package's Python files: their names and contents, in order of name."""
    package = resource()
    total = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        total.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return total.hexdigest()


def _operation(report: Report) -> list[Section]:
    """Each engine answers, and its numbers belong together."""
    answers = []
    for engine in engines_of(report):
        fits = [case.fits[engine] for case in report.cases if engine in case.fits]
        by_status = [sum(fit.status == s for fit in fits) for s in ("ok", "unsupported", "error")]
        answers.append((engine, *map(str, by_status)))
    table = Table(("engine", "answered", "cannot express the model", "failed"), tuple(answers))
    text = (
        "Each engine was given the same rows and the same model. Identities are algebra at an "
        "engine's own estimates; their tolerances are bounds on rounding."
    )
    return [
        Section("Operational qualification (OQ)", (text,), table),
        Section("Identities", (), _identity_table(report), level=3),
    ]


def _identity_table(report: Report) -> Table:
    rows = []
    for identity in IDENTITIES:
        checks = [c for case in report.cases for c in case.identities if c.identity == identity.id]
        made = [check for check in checks if check.verdict != "skip"]
        if made:
            counts = [sum(c.verdict == v for c in made) for v in ("pass", "known", "fail")]
            rows.append(
                (identity.id, identity.statement, identity.reason, *map(str, (len(made), *counts)))
            )
    heads = ("identity", "statement", "tolerance", "checked", "holds", "known", "fails")
    return Table(heads, tuple(rows))


def _performance(report: Report, registry: Mapping[str, Deviation]) -> list[Section]:
    """Each model against the certified optimum, with tolerances, deviations and their impact."""
    engines = [engine for engine in engines_of(report) if engine != "certified"]
    rows = [_case_row(case, engines) for case in report.cases]
    heads = ("model", "formula", "rows", "SHA-256 of the data", *engines)
    text = (
        "Each number of each engine was held against the certified optimum of the criterion and "
        "against lme4 and nlme. Tolerances follow, case by case, from how far an estimate moves "
        "while the deviance rises by a negligible amount, and from rounding."
    )
    return [
        Section("Performance qualification (PQ)", (text,), Table(heads, tuple(rows))),
        Section("Tolerances", (), _tolerance_table(report), level=3),
        Section("Deviations and their impact", *_deviation_table(report, registry), level=3),
    ]


def _case_row(case: CaseReport, engines: Sequence[str]) -> tuple[str, ...]:
    verdicts = [
        worst(line.verdict for line in case.comparisons if line.candidate == engine)
        if engine in case.fits
        else ""
        for engine in engines
    ]
    return (case.title, case.formula, str(case.n_obs), case.data_sha256, *verdicts)


def _tolerance_table(report: Report) -> Table:
    """Relative tolerance by kind of quantity: smallest and largest over all numbers."""
    lines = [
        line
        for case in report.cases
        for line in case.comparisons
        if line.kind == "truth" and line.verdict != "skip" and line.reference_value != 0
    ]
    rows = []
    for kind in dict.fromkeys(kind_of(line.quantity) for line in lines):
        chosen = [line for line in lines if kind_of(line.quantity) == kind]
        relative = [line.tolerance / abs(line.reference_value) for line in chosen]
        finite = [value for value in relative if math.isfinite(value)]
        if finite:
            rows.append((kind, f"{min(finite):.1e}", f"{max(finite):.1e}", chosen[0].reason))
    return Table(("quantity", "smallest, relative", "largest, relative", "reason"), tuple(rows))


def _deviation_table(
    report: Report, registry: Mapping[str, Deviation]
) -> tuple[tuple[str, ...], Table | None]:
    rows = []
    for finding in findings(report):
        entry = registry.get(finding.deviation or "")
        what = entry.summary if entry else f"unexpected; cause: {finding.cause}"
        name = finding.deviation or "unexpected"
        impact = _impact(report, finding.candidate, finding.cause, finding.deviation)
        rows.append((name, finding.candidate, str(finding.models), what, impact))
    heads = ("deviation", "engine", "models", "what it is", "impact, at its worst here")
    if not rows:
        return ("None was found.",), None
    return (), Table(heads, tuple(rows))


def _impact(report: Report, candidate: str, cause: str, deviation: str | None) -> str:
    """What a finding does to the numbers one reports, at its worst."""
    lines = [
        (case, line)
        for case in report.cases
        for line in case.comparisons
        if line.kind == "truth" and _is(line, candidate, cause, deviation)
    ]
    if any(line.quantity == "fit" for _, line in lines):
        return "no estimates"
    shifted = [
        _shift(case, line)
        for case, line in lines
        if line.quantity == "beta" and cause in MOVES_ESTIMATES
    ]
    effects = {
        "fixed effects move by up to {:.3g} standard errors": shifted,
        "their standard errors are off by up to {:.3g} %": [
            100 * _relative(line) for _, line in lines if line.quantity == "beta_se"
        ],
        "variances are off by up to {:.3g} %": [
            100 * _relative(line) for _, line in lines if kind_of(line.quantity) == "random_cov"
        ],
    }
    said = [text.format(_largest(sizes)) for text, sizes in effects.items() if _largest(sizes) > 0]
    if shifted and all(math.isnan(size) for size in shifted):
        said.append("fixed effects move")
    if any(kind_of(x.quantity) == "random_cov" and x.reference_value == 0 for _, x in lines):
        said.append("a variance or covariance is not 0 where the truth is")
    return "; ".join(said) or "none on fixed effects, their standard errors or variances"


def _largest(values: Iterable[float]) -> float:
    return max((value for value in values if not math.isnan(value)), default=0.0)


def _relative(line: Comparison) -> float:
    """Relative error; nan where the truth is 0."""
    return line.error / abs(line.reference_value) if line.reference_value else math.nan


def _is(line: Comparison, candidate: str, cause: str, deviation: str | None) -> bool:
    same = line.candidate == candidate and line.deviation == deviation
    return same and (line.cause or "no cause found") == cause


def _shift(case: CaseReport, line: Comparison) -> float:
    """Error of a fixed effect in its certified standard error; nan where nobody asked for that."""
    certified = case.fits.get("certified")
    if certified is None or certified.status != "ok":
        return math.nan
    se = dict(certified.quantities["beta_se"].entries())[line.label]
    return line.error / se if se > 0 else math.nan


def _signatures() -> Section:
    rows = tuple((role, "", "", "") for role in ("Prepared by", "Reviewed by", "Approved by"))
    return Section("Signatures", (), Table(("", "name", "date", "signature"), rows))


def _camis_row(
    report: Report, reference: str, kind: str, registry: Mapping[str, Deviation]
) -> tuple[str, ...] | None:
    """One statistic over all models; None where nothing was compared."""
    verdicts: list[str] = []
    digits: list[float] = []
    notes: dict[str, None] = {}
    for case in report.cases:
        lines = [
            line
            for line in case.comparisons
            if (line.candidate, line.reference) == ("statsmodels", reference)
            and kind_of(line.quantity) == kind
            and line.verdict != "skip"
        ]
        if lines:
            verdicts.append(worst(line.verdict for line in lines))
            digits.append(least(line.digits for line in lines))
            notes |= dict.fromkeys(_note(line, registry) for line in lines if line.cause)
    if not verdicts:
        return None
    same = verdicts.count("pass")
    match = "Yes" if same == len(verdicts) else "No" if same == 0 else "Partly"
    told = sorted(each for each in digits if not math.isnan(each))
    median = told[len(told) // 2] if told else math.nan
    said = f"{same} of {len(verdicts)} models; {digits_text(median)} digits."
    python = "statsmodels MixedLM"
    return (STATISTICS[kind], R_CALLS[reference], python, match, " ".join([said, *notes]))


def _note(line: Comparison, registry: Mapping[str, Deviation]) -> str:
    entry = registry.get(line.deviation or "")
    return f"{line.cause}: {entry.id}." if entry else f"{line.cause}."
