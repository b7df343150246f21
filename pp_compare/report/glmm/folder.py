"""What ``audit --family FAMILY --out DIR`` holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from pp_compare.report.audit.findings import known_lines
from pp_compare.report.audit.json import to_json
from pp_compare.report.audit.outcome import outcome, told
from pp_compare.report.audit.terminal import sources_line
from pp_compare.report.document import Document, Section, to_markdown, to_page
from pp_compare.report.glmm.tables import estimates_table, identities_lines, truths
from pp_compare.report.record import CaseReport, Report, data_path
from pp_compare.resources import write_text
from pp_compare.verdict.deviations import Deviation, load_glmm_deviations
from pp_compare.verdict.judgement import Judgement


def save(folder: Path, report: Report) -> None:
    """Write report.json, report.html, report.md and the data of every case, doubles exact."""
    document = report_document(report, load_glmm_deviations())
    write_text(folder / "report.json", to_json(report))
    write_text(folder / "report.html", to_page(document))
    write_text(folder / "report.md", to_markdown(document))
    for case in report.cases:
        write_text(folder / data_path(case.case), case.data_csv)


def report_document(report: Report, registry: Iterable[Deviation] = ()) -> Document:
    """The report as sections and tables.

    Parameters
    ----------
    report : Report
    registry : iterable of Deviation
        Known deviations, to say what those are that show.
    """
    found = outcome(report)
    first = Section("Outcome", (f"{found.word}: {found.sentence}", sources_line(report)))
    sections = [section for case in report.cases for section in _sections(case)]
    known = tuple(known_lines(report, registry))
    last = [Section("Known deviations", known)] if known else []
    return Document("Generalised mixed models", (first, *sections, *last))


def _sections(case: CaseReport) -> Iterator[Section]:
    groups = ", ".join(f"{count} {name}" for name, count in case.n_groups.items())
    model = f"{case.formula}; {case.n_obs} rows, {groups}"
    why = (case.why,) if case.why else ()
    yield Section(case.title, (model, *why))
    yield from map(_judged, case.judgements)
    yield Section("Every number beside both truths", (), estimates_table(case), level=3)
    yield Section("What is proved", (*truths(case), *identities_lines(case)), level=3)


def _judged(judgement: Judgement) -> Section:
    remedy = judgement.remedy
    todo = (f"What to do: {remedy.sentence}.",) if remedy else ()
    paragraphs = (f"{judgement.sentence}.", *told(judgement), *todo)
    return Section(judgement.engine, paragraphs, level=3, code=remedy.code if remedy else "")
