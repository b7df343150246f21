"""Evidence for regulated work, from one run: qualification (IQ, OQ, PQ) and the CAMIS table.

The document states what was run and what came out. Whether that is enough for an intended use is
for the people who sign it; their lines are left blank.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from pp_compare.identities import IDENTITIES
from pp_compare.report.audit.findings import findings, models_worst_first, worst_first
from pp_compare.report.audit.outcome import counted, outcome
from pp_compare.report.audit.terminal import sources_line
from pp_compare.report.digest import DETAILED, engines_of, kind_of
from pp_compare.report.document import Document, Section
from pp_compare.report.record import CaseReport, FailOn, Report
from pp_compare.report.table import Table
from pp_compare.resources import resource
from pp_compare.verdict.agreement import Comparison
from pp_compare.verdict.deviations import Deviation
from pp_compare.verdict.digits import digits_text, least
from pp_compare.verdict.judgement import Judgement

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
    said = outcome(report)
    made = f"Started {report.provenance.started} by: {report.provenance.command}"
    text = f"{said.word}: {said.sentence} {counted(report)}"
    return [Section("Summary", (text, ASKED[report.fail_on], made)), *_judged(report)]


ASKED: dict[FailOn, str] = {
    "wrong": "Asked was whether any engine is wrong, at a wrong optimum or without an answer.",
    "news": "Asked was whether anything differs that is in no registry of known deviations; "
    "whether an engine's numbers can be used is said beside it.",
    "any": "Asked was whether any engine is wrong or short of its optimum, or anything differs "
    "that is in no registry.",
    "none": "Nothing was asked of the run but to report.",
}
"""What the word of the summary answers."""


def _judged(report: Report) -> list[Section]:
    """The judgement of each engine on each model, the worst first; of many models the bad ones."""
    few = len(report.cases) <= DETAILED
    rows = [
        (case.title, judgement.engine, judgement.standing, judgement.sentence)
        for case in models_worst_first(report)
        for judgement in worst_first(case)
        if judgement.bad or few
    ]
    if not rows:
        return []
    title = "Judgements" if few else "Engines whose numbers cannot be used"
    heads = ("model", "engine", "standing", "judgement")
    return [Section(title, (), Table(heads, tuple(rows), labels=4))]


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
    standings = {judgement.engine: judgement.standing for judgement in case.judgements}
    told = [str(standings.get(engine, "")) for engine in engines]
    return (case.title, case.formula, str(case.n_obs), case.data_sha256, *told)


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
        names = [*finding.deviations, *(["unexpected"] if finding.news else [])]
        known = [registry[name].summary for name in finding.deviations if name in registry]
        what = " ".join(known) or f"cause: {finding.cause or 'none found'}"
        impact = f"{finding.worst.sentence} ({finding.title})"
        named = ", ".join(names)
        rows.append((named, finding.engine, finding.standing, str(finding.models), what, impact))
    heads = ("deviation", "engine", "standing", "models", "what it is", "impact, at its worst here")
    if not rows:
        return ("None was found.",), None
    return (), Table(heads, tuple(rows))


def _signatures() -> Section:
    rows = tuple((role, "", "", "") for role in ("Prepared by", "Reviewed by", "Approved by"))
    return Section("Signatures", (), Table(("", "name", "date", "signature"), rows))


MATCHES = ("Yes", "Harmless difference", "Other definition", "No")
"""How statsmodels and R can compare on one statistic of one model."""


def _camis_row(
    report: Report, reference: str, kind: str, registry: Mapping[str, Deviation]
) -> tuple[str, ...] | None:
    """One statistic over all models; None where nothing was compared."""
    matches: Counter[str] = Counter()
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
            match, differing = _match(case, lines)
            matches[match] += 1
            digits.append(least(line.digits for line in lines))
            notes |= dict.fromkeys(_note(case, line, registry) for line in differing)
    if not matches:
        return None
    told = sorted(each for each in digits if not math.isnan(each))
    median = told[len(told) // 2] if told else math.nan
    said = ", ".join(f"{m.lower()} on {matches[m]}" for m in MATCHES if matches[m])
    said = f"{said} of {matches.total()} models; {digits_text(median)} digits."
    match = next(iter(matches)) if len(matches) == 1 else "Partly"
    cells = (STATISTICS[kind], R_CALLS[reference], "statsmodels MixedLM", match)
    return (*cells, " ".join([said, *notes]))


def _match(case: CaseReport, lines: Sequence[Comparison]) -> tuple[str, list[Comparison]]:
    """How the lines of one statistic compare, by the judgement of whoever is blamed for them."""
    differing = [line for line in lines if line.verdict != "pass"]
    if not differing:
        return "Yes", []
    wrong = {j.engine: _harmed(j) for j in case.judgements if j.bad}
    if any(
        line.blamed is None or line.quantity in wrong.get(line.blamed, ()) for line in differing
    ):
        return "No", differing
    if all(line.cause == "definition" for line in differing):
        return "Other definition", differing
    return "Harmless difference", differing


def _harmed(judgement: Judgement) -> set[str]:
    """Quantities with a number that is off by more than is harmless."""
    found = {quantity for quantity, _ in judgement.harm.beyond}
    return found | {"beta_cov"} if "beta_se" in found else found


def _note(case: CaseReport, line: Comparison, registry: Mapping[str, Deviation]) -> str:
    """Whose difference it is, what that engine is judged, and what it is known as."""
    standing = next((j.standing for j in case.judgements if j.engine == line.blamed), "")
    who = f"{line.blamed} ({standing})" if standing else "nobody could be blamed"
    entry = registry.get(line.deviation or "")
    return f"{who}: {line.cause or 'no cause found'}{f', {entry.id}' if entry else ''}."
