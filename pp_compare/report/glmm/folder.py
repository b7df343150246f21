"""What ``audit --family FAMILY --out DIR`` holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pp_compare.model.design import Design
from pp_compare.report.audit.json import to_json
from pp_compare.report.audit.outcome import outcome, told
from pp_compare.report.document import Document, Section, to_markdown, to_page
from pp_compare.report.glmm.tables import estimates_table, identities_lines, truths
from pp_compare.report.record import CaseReport, Report
from pp_compare.resources import write_text
from pp_compare.verdict.deviations import Deviation
from pp_compare.verdict.judgement import Judgement


def write_report(
    folder: Path,
    report: Report,
    registry: Iterable[Deviation] = (),
    designs: Callable[[CaseReport], Design] | None = None,
) -> None:
    """Write report.json, report.html, report.md and the data of every case, doubles exact."""
    del registry, designs  # of linear models
    document = report_document(report)
    write_text(folder / "report.json", to_json(report))
    write_text(folder / "report.html", to_page(document))
    write_text(folder / "report.md", to_markdown(document))
    for case in report.cases:
        write_text(folder / "cases" / case.file_name / "data.csv", case.data_csv)


def report_document(report: Report) -> Document:
    """The report as sections and tables."""
    found = outcome(report)
    first = Section("Outcome", (f"{found.word}: {found.sentence}",))
    sections = [section for case in report.cases for section in _sections(case)]
    return Document("Generalised mixed models", (first, *sections))


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
