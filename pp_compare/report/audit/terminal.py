"""The report in a terminal: estimates, agreement, what differs and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console, Group, RenderableType
from rich.text import Text

from pp_compare.identities import OLS_ON_PREDICTED_MEANS
from pp_compare.report.audit.terminal_tables import (
    STYLES,
    agreement_table,
    digits_table,
    estimates_tables,
)
from pp_compare.report.record import CaseReport, Report, RSource
from pp_compare.report.verbatim import verbatim
from pp_compare.verdict.agreement import Comparison
from pp_compare.verdict.deviations import Deviation
from pp_compare.verdict.digits import digits_text, worst_first

DETAILED = 6
"""With up to this many models, their estimates are printed; with more, one line each."""


def print_report(console: Console, report: Report, registry: Iterable[Deviation]) -> None:
    """Print the whole report."""
    entries = {entry.id: entry for entry in registry}
    console.print(verbatim(sources_line(report)))
    if len(report.cases) <= DETAILED:
        for case in report.cases:
            tables = estimates_tables(case, console.width)
            said = [verbatim(judgement.sentence) for judgement in case.judgements]
            console.print(Group("", _heading(case), *said, *tables, *_optima(case)))
    console.print("", agreement_table(report))
    table = digits_table(report)
    if table.row_count:
        console.print("", table)
    for block in _findings(report, entries):
        console.print("", block)
    console.print("", _verdict(report))


def sources_line(report: Report) -> str:
    """The first line: where R's numbers come from, by which road, or what was not found."""
    p = report.provenance
    alike: dict[tuple[str, ...], list[RSource]] = {}
    for source in p.r_sources:
        key = (source.stack or "", source.road, source.missing, source.versions.get("R", ""))
        alike.setdefault(key, []).append(source)
    told = [_source(together) for together in alike.values()] or ["No R engine took part"]
    return f"{'; '.join(told)}; statsmodels {p.packages['statsmodels']}, Python {p.python}."


def _source(alike: Sequence[RSource]) -> str:
    """What engines of one R have in common."""
    first = alike[0]
    versions = {name: text for source in alike for name, text in source.versions.items()}
    r = f"R {versions.pop('R', 'of a version that no fit told')}"
    packages = [f"{name} {text}" for name, text in sorted(versions.items())]
    if first.stack is None:
        by = f" by {first.road}" if first.road else ""
        return f"{r} runs here{by}" + (f" ({', '.join(packages)})" if packages else "")
    names = " and ".join(source.engine for source in alike)
    are, they = ("is", "it does") if len(alike) == 1 else ("are", "they do")
    why = f", for {they} not run here: {first.missing}" if first.missing else ""
    if not packages:
        return f"{names} gave no answer{why}; recorded:{first.stack} has none to these models"
    told = ", ".join([r, *packages])
    return f"{names} {are} played back from recorded:{first.stack} ({told}){why}"


def _heading(case: CaseReport) -> Text:
    groups = ", ".join(f"{count} {name}" for name, count in case.n_groups.items())
    dropped = f", {case.rows_dropped} rows dropped" if case.rows_dropped else ""
    rest = f"   {case.formula}   {case.n_obs} rows{dropped}, {groups}"
    return Text.assemble(verbatim(case.title, "bold"), verbatim(rest))


def _optima(case: CaseReport) -> list[RenderableType]:
    """What is proved, and the other optima where there are any."""
    extra = case.fits["certified"].extra if "certified" in case.fits else {}
    optima = extra.get("optima")
    if not isinstance(optima, list) or not optima:
        return []
    lines = [f"certified: {extra['claim']} optimum; deviance {optima[0]['deviance']}"]
    if len(optima) > 1:
        lines = [f"certified: {extra['claim']} optimum, the first of {len(optima)}:"]
        lines += [
            f"  deviance {point['deviance']} at {', '.join(point['position'])}"
            f"{' (boundary)' if point['boundary'] else ''}"
            for point in optima
        ]
    return [verbatim(line, "dim") for line in lines]


def _findings(report: Report, registry: Mapping[str, Deviation]) -> list[RenderableType]:
    """What differs, each thing once: first the unexpected, then the known deviations."""
    blocks: list[RenderableType] = []
    unexpected = _unexpected(report)
    if unexpected:
        blocks.append(Group(Text("Unexpected", style="bold red"), *unexpected))
    known = _known(report, registry)
    if known:
        blocks.append(Group(Text("Known deviations", style="bold"), *known))
    if report.stale:
        text = "No longer seen where they are pinned; retire them: " + ", ".join(report.stale)
        blocks.append(verbatim(text, "bold red"))
    skipped = _skipped(report)
    if skipped:
        blocks.append(Group(Text("Not compared", style="bold"), *skipped))
    return blocks


def _unexpected(report: Report) -> list[Text]:
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
    return [verbatim(f"  {line}") for line in lines]


def _one_each(lines: Iterable[Comparison]) -> list[Comparison]:
    """The worst line of each candidate, reference and quantity."""
    worst: dict[tuple[str, str, str], Comparison] = {}
    for line in lines:
        key = (line.candidate, line.reference, line.quantity)
        if key not in worst or worst_first(line.digits) < worst_first(worst[key].digits):
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


def _known(report: Report, registry: Mapping[str, Deviation]) -> list[Text]:
    seen: dict[str, set[str]] = {}
    for case in report.cases:
        shown = [line.deviation for line in case.comparisons]
        shown += [check.deviation for check in case.identities]
        shown += [check.deviation for check in case.probes if check.verdict == "known"]
        for deviation in filter(None, shown):
            seen.setdefault(deviation, set()).add(case.title)
    lines = []
    for deviation in sorted(seen, key=lambda d: (-len(seen[d]), d)):
        titles = sorted(seen[deviation])
        where = f"{len(titles)} of {len(report.cases)} models"
        summary = registry[deviation].summary if deviation in registry else ""
        lines.append(verbatim(f"  {deviation} ({where}): {summary}", STYLES["known"]))
    return lines


def _skipped(report: Report) -> list[Text]:
    """Reasons, each with the engines and the models that it is about."""
    found: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for case in report.cases:
        for line in case.comparisons:
            if line.verdict == "skip":
                engines, titles = found.setdefault(line.reason, ({}, {}))
                engines[line.candidate] = titles[case.title] = None
    return [
        verbatim(f"  {', '.join(engines)}: {reason} ({_some(list(titles))})", "dim")
        for reason, (engines, titles) in found.items()
    ]


def _some(names: list[str]) -> str:
    """Up to four names, and how many more there are."""
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more


def _verdict(report: Report) -> Text:
    counts = report.counts()
    checked = [
        check
        for case in report.cases
        for check in case.identities
        if check.identity == OLS_ON_PREDICTED_MEANS.id
    ]
    held = sum(check.verdict == "pass" for check in checked)
    if report.compared == 0:
        return Text("FAIL: nothing was compared.", style="bold red")
    text = (
        f"{'FAIL' if report.exit_status else 'PASS'}: {report.compared} comparisons; "
        f"{counts['pass']} pass, {counts['known']} known, {counts['fail']} fail, "
        f"{counts['skip']} skipped."
    )
    if checked:
        text += f" Fixed effects = OLS on predicted cluster means: {held} of {len(checked)} fits."
    text += f" {report.seconds:.1f} s."
    return Text(text, style="bold red" if report.exit_status else "bold green")
