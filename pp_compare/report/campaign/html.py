"""A campaign's report as one self-contained page."""

from __future__ import annotations

from markupsafe import Markup

from pp_compare.report.campaign import words
from pp_compare.report.campaign.figures import coverage_figure, line_figure, map_figure
from pp_compare.report.campaign.record import CampaignReport
from pp_compare.report.page import render, trusted


def campaign_html(report: CampaignReport) -> str:
    """The page."""
    return render(
        "campaign.html",
        title=f"Campaign {report.name}",
        report=report,
        words=words,
        engines=words.engine_table(report),
        remarks=words.remarks(report),
        disagreements=words.disagreement_table(report),
        coverage=words.coverage_table(report),
        worst=words.worst_table(report.worst),
        maps=_maps(report),
        quiet=list(filter(None, map(words.quiet, report.maps))),
        coverage_figure=trusted(coverage_figure(report, "coverage")) if report.coverage else None,
    )


def _maps(report: CampaignReport) -> list[tuple[str, Markup]]:
    """Captions and figures: of a single axis one for all engines, else one an engine and pair."""
    if not report.maps:
        return []
    if not report.maps[0].down:
        caption = f"{words.MAP_NOTE}, by {report.maps[0].across}; with Wilson's 95 % intervals."
        return [(caption, trusted(line_figure(report.maps, "map")))]
    shown = [found for found in report.maps if not words.quiet(found)]
    return [
        (
            f"{words.MAP_NOTE}: {found.engine}, {found.down} against {found.across}.",
            trusted(map_figure(found, f"map{i}")),
        )
        for i, found in enumerate(shown)
    ]
