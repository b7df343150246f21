"""What was found, each thing once and the worst first: judgements of models, findings of a run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pp_compare.report.digest import severity
from pp_compare.report.record import CaseReport, Report
from pp_compare.verdict.agreement import Comparison
from pp_compare.verdict.deviations import Deviation
from pp_compare.verdict.digits import digits_text
from pp_compare.verdict.digits import worst_first as fewest_first
from pp_compare.verdict.judgement import STANDINGS, Judgement, Standing


@dataclass(frozen=True)
class Finding:
    """Judgements that are one thing to a reader: an engine, its standing and the cause.

    Parameters
    ----------
    engine, standing, cause : str
        The cause is empty where none was found.
    models : int
        How many it shows in.
    title : str
        The model in which it harms most.
    worst : Judgement
        There.
    deviations : tuple of str
        What it is known as, over all its models.
    news : bool
        Whether any of it is in no registry.
    """

    engine: str
    standing: Standing
    cause: str
    models: int
    title: str
    worst: Judgement
    deviations: tuple[str, ...]
    news: bool

    @property
    def why(self) -> str:
        """The cause, where the standing does not say it already."""
        said = {"wrong optimum", "definition", "failure"}
        return "" if self.cause in said and self.standing != "wrong" else self.cause


def worst_first(case: CaseReport) -> list[Judgement]:
    """The judgements of a model, the most harmful first."""
    return sorted(case.judgements, key=severity)


def models_worst_first(report: Report) -> list[CaseReport]:
    """The models by their worst engine; those that are alike keep their order."""
    nothing = (len(STANDINGS), 0.0)
    return sorted(report.cases, key=lambda c: min(map(severity, c.judgements), default=nothing))


def findings(report: Report) -> list[Finding]:
    """What is off in a run: every standing but a clean one, by harm."""
    groups: dict[tuple[str, Standing, str], list[tuple[str, Judgement]]] = {}
    for case in report.cases:
        for judgement in case.judgements:
            if _is_off(judgement):
                key = (judgement.engine, judgement.standing, judgement.cause or "")
                groups.setdefault(key, []).append((case.title, judgement))
    found = [_finding(*key, members) for key, members in groups.items()]
    return sorted(found, key=lambda finding: (severity(finding.worst), -finding.models))


def _is_off(judgement: Judgement) -> bool:
    if judgement.standing == "not judged":
        return False
    return judgement.standing != "right" or bool(judgement.deviations) or judgement.news


def _finding(
    engine: str, standing: Standing, cause: str, members: list[tuple[str, Judgement]]
) -> Finding:
    title, worst = min(members, key=lambda member: severity(member[1]))
    known = dict.fromkeys(name for _, judgement in members for name in judgement.deviations)
    news = any(judgement.news for _, judgement in members)
    return Finding(engine, standing, cause, len(members), title, worst, tuple(known), news)


def unexpected(report: Report) -> list[str]:
    """What is in no registry, line by line: identities first, of the numbers the worst of each."""
    lines = []
    for case in report.cases:
        for check in case.identities:
            if check.verdict == "fail":
                lines.append(
                    f"{case.title}: {check.engine} breaks the identity {check.identity}: "
                    f"off by {check.error:.2g}, rounding allows {check.tolerance:.2g}"
                )
        failed = [line for line in case.comparisons if line.verdict == "fail"]
        first = [line for line in failed if line.follows is None] or failed
        lines += [f"{case.title}: {_sentence(line)}" for line in _one_each(first)]
    return lines


def known_lines(report: Report, registry: Iterable[Deviation]) -> list[str]:
    """Known deviations that show, each with the number of models and what it is."""
    summaries = {entry.id: entry.summary for entry in registry}
    seen: dict[str, set[str]] = {}
    for case in report.cases:
        shown = [line.deviation for line in case.comparisons]
        shown += [check.deviation for check in case.identities]
        shown += [check.deviation for check in case.probes if check.verdict == "known"]
        for deviation in filter(None, shown):
            seen.setdefault(deviation, set()).add(case.title)
    return [
        f"{name} ({len(seen[name])} of {len(report.cases)} models): {summaries.get(name, '')}"
        for name in sorted(seen, key=lambda name: (-len(seen[name]), name))
    ]


def _one_each(lines: Iterable[Comparison]) -> list[Comparison]:
    """The worst line of each candidate, reference and quantity."""
    worst: dict[tuple[str, str, str], Comparison] = {}
    for line in lines:
        key = (line.candidate, line.reference, line.quantity)
        if key not in worst or fewest_first(line.digits) < fewest_first(worst[key].digits):
            worst[key] = line
    return list(worst.values())


def _sentence(line: Comparison) -> str:
    if line.quantity == "fit":
        return f"{line.candidate} did not answer: {line.reason}"
    name = f"{line.quantity} {line.label}".strip()
    cause = f" [{line.cause}]" if line.cause else ""
    return (
        f"{line.candidate} {name} = {line.candidate_value:.10g}, {line.reference} has "
        f"{line.reference_value:.10g} ({digits_text(line.digits)} digits; off by {line.error:.2g}, "
        f"tolerance {line.tolerance:.2g}){cause}"
    )
