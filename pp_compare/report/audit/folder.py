"""What ``audit --out DIR`` holds."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pp_compare.report.audit.evidence import camis_table, qualification
from pp_compare.report.audit.gallery import Designs, gallery
from pp_compare.report.audit.html import report_html
from pp_compare.report.audit.json import to_json
from pp_compare.report.document import to_markdown, to_page
from pp_compare.report.paragraph import paragraphs
from pp_compare.report.record import Report, data_path
from pp_compare.resources import write_text
from pp_compare.verdict.deviations import Deviation, load_deviations


def save(folder: Path, report: Report) -> None:
    """Write what `Report.save` does of linear models: all, by the report's own designs."""
    pairs = zip(report.cases, report.designs, strict=False)
    designs = {(case.case, case.method): design for case, design in pairs}
    write_report(folder, report, load_deviations(), lambda case: designs[case.case, case.method])


def write_report(
    folder: Path, report: Report, registry: Iterable[Deviation], designs: Designs
) -> None:
    """Write report.json, report.html, the evidence and the data of every case, doubles exact."""
    registry = tuple(registry)
    write_text(folder / "report.json", to_json(report))
    page = report_html(report, registry, gallery(report, designs))
    write_text(folder / "report.html", page)
    documents = {
        "qualification": qualification(report, registry),
        "camis": camis_table(report, registry),
    }
    for name, document in documents.items():
        write_text(folder / f"{name}.md", to_markdown(document))
        write_text(folder / f"{name}.html", to_page(document))
    write_text(folder / "paragraph.md", "\n\n".join(paragraphs(report)) + "\n")
    for case in report.cases:
        write_text(folder / data_path(case.case), case.data_csv)
