"""What ``--out DIR`` holds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from pp_compare.deviations import Deviation
from pp_compare.explain import Explanation
from pp_compare.files import write_text
from pp_compare.inference import InferenceTable
from pp_compare.report.document import to_markdown, to_page
from pp_compare.report.evidence import camis_table, qualification
from pp_compare.report.explain_html import explanation_html
from pp_compare.report.gallery import Designs, gallery
from pp_compare.report.html import report_html
from pp_compare.report.json import to_json
from pp_compare.report.pooling_figures import lines_figure, points_figure, weights_figure
from pp_compare.report.record import Report
from pp_compare.report.svg import standalone_svg


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
    for case in report.cases:
        name = re.sub(r"[^A-Za-z0-9_.-]+", "_", case.case).lstrip(".")
        write_text(folder / "cases" / name / "data.csv", case.data_csv)


def write_explanation(
    folder: Path,
    e: Explanation,
    inference: Sequence[InferenceTable] = (),
    remarks: Sequence[str] = (),
) -> None:
    """Write explain.html and its figures as files of their own."""
    write_text(folder / "explain.html", explanation_html(e, inference, remarks))
    figures = {
        "lines": lines_figure(e),
        "refit": lines_figure(e, refit=True),
        "points": points_figure(e),
        "weights": weights_figure(e),
    }
    for name, svg in figures.items():
        write_text(folder / f"{name}.svg", standalone_svg(svg))
