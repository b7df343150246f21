"""The worst cases of a campaign as bundles that reproduce without this project."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pp_compare.audits.audit import audit
from pp_compare.audits.bundles.reproduce import write_bundle
from pp_compare.audits.selection import Selection
from pp_compare.campaign.generate import generate
from pp_compare.campaign.plan import Plan
from pp_compare.report.campaign.record import CampaignReport


def write_worst(
    plan: Plan, report: CampaignReport, folder: Path, say: Callable[[str], None] = lambda _: None
) -> tuple[Path, ...]:
    """Audit the worst cases of a report and write a bundle for each data set.

    Returns
    -------
    tuple of Path
        Their folders.
    """
    samples = {case.index: generate(plan, case.index) for case in report.worst}
    selections = {
        index: Selection(f"{plan.name}-{index}", s.design.dataset, s.design.spec.formula,
                         s.design.spec.method, f"data set {index} of the plan {plan.name}")
        for index, s in samples.items()
    }  # fmt: skip
    if not selections:
        return ()
    engines = (*(e for e in plan.engines if e != "certified"), "certified")
    judged = audit(list(selections.values()), engines)
    folders = []
    for sample, case in zip(samples.values(), judged.cases, strict=True):
        path = folder / case.file_name
        write_bundle(path, sample.design, case)
        say(case.title)
        folders.append(path)
    return tuple(folders)
