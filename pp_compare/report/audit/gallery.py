"""Which models of an audit get figures of their own, and their figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pp_compare.certified.models import DegenerateModelError
from pp_compare.errors import DataError
from pp_compare.inferences.profile import criterion_profile
from pp_compare.model.design import Design
from pp_compare.report.audit.estimates import estimates_of
from pp_compare.report.audit.figures import caterpillar, has_intervals, intervals_figure
from pp_compare.report.audit.findings import models_worst_first
from pp_compare.report.profile_figure import profile_figure
from pp_compare.report.record import CaseReport, Report

MOST = 8
"""Models with figures: a page is read, not leafed through; `explain` draws any other."""

Designs = Callable[[CaseReport], Design]


@dataclass(frozen=True)
class Picture:
    """One figure of one model."""

    title: str
    caption: str
    svg: str


def gallery(report: Report, designs: Designs) -> list[Picture]:
    """Figures of the models that a reader asks about first: the worst.

    Parameters
    ----------
    report : Report
    designs : callable
        Gives a model's Design again: a Report holds none.
    """
    chosen = models_worst_first(report)[:MOST]
    return [picture for i, case in enumerate(chosen) for picture in _pictures(i, case, designs)]


def _pictures(i: int, case: CaseReport, designs: Designs) -> list[Picture]:
    answered = {engine: fit for engine, fit in case.fits.items() if fit.status == "ok"}
    if not answered:
        return []
    design = designs(case)
    estimates = estimates_of(case)
    found = []
    if has_intervals(estimates):
        caption = "fixed effects with 95 % intervals; the band is the certified one"
        svg = intervals_figure(estimates, f"intervals{i}")
        found.append(Picture(case.title, caption, svg))
    if design.spec.is_random_intercept and design.weights is None:
        try:
            profile = criterion_profile(design, answered)
        except (DegenerateModelError, DataError):
            pass  # no optimum, no profile: the report says so where it compares
        else:
            caption = "the criterion, the stops of the engines and the certified optimum"
            if len(profile.optima) > 1:
                caption += f"; it has {len(profile.optima)} local optima"
            svg = profile_figure(profile, f"profile{i}", case.method)
            found.append(Picture(case.title, caption, svg))
    group = design.spec.groups[0]
    if any(f"blup[{group}]" in fit.quantities for fit in answered.values()):
        svg = caterpillar(answered, group, f"blups{i}")
        found.append(Picture(case.title, "predicted random effects by engine", svg))
    return found
