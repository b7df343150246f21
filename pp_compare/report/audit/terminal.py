"""The report in a terminal: the judgements first, then estimates, then everything else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from pp_compare.report.audit.estimates import (
    LEGEND,
    MARK_STYLE,
    estimates_of,
    identified_line,
    optima_lines,
)
from pp_compare.report.audit.findings import (
    Finding,
    findings,
    known_lines,
    unexpected,
    worst_first,
)
from pp_compare.report.audit.outcome import SHORT_LEGEND, STYLE, counted, outcome, told
from pp_compare.report.audit.terminal_tables import (
    STYLES,
    Titled,
    digits_tables,
    estimates_tables,
    models_tables,
    standings_tables,
)
from pp_compare.report.digest import DETAILED
from pp_compare.report.record import CaseReport, Report, RSource
from pp_compare.report.verbatim import verbatim
from pp_compare.verdict.deviations import Deviation
from pp_compare.verdict.judgement import Judgement

MOST_LINES = 20
"""Of what is in no registry; the page has all."""


def print_report(console: Console, report: Report, registry: Iterable[Deviation]) -> None:
    """Print the whole report."""
    if report.provenance.r_source != "live":
        console.print(verbatim(sources_line(report)))
        console.print()
    if len(report.cases) <= DETAILED:
        _print_models(console, report)
    else:
        _print_survey(console, report)
    _print_titled(console, digits_tables(report, console.width))
    print_rest(console, report, registry)
    console.print()
    if report.provenance.r_source == "live":
        console.print(verbatim(sources_line(report), "dim"))
    _print_outcome(console, report)


def sources_line(report: Report) -> str:
    """Where R's numbers come from, by which road, or what was not found."""
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
    *others, last = (source.engine for source in alike)
    names = f"{', '.join(others)} and {last}" if others else last
    are, they = ("is", "it does") if len(alike) == 1 else ("are", "they do")
    why = f", for {they} not run here: {first.missing}" if first.missing else ""
    if not packages:
        return f"{names} gave no answer{why}; recorded:{first.stack} has none to these models"
    told = ", ".join([r, *packages])
    return f"{names} {are} played back from recorded:{first.stack} ({told}){why}"


# ---- up to a few models -------------------------------------------------------------------------


def _print_models(console: Console, report: Report) -> None:
    """The judgements of all models, then their estimates."""
    for i, case in enumerate(report.cases):
        if i:
            console.print()
        console.print(heading(case))
        if limits := identified_line(case):
            console.print(verbatim(limits, "yellow"))
        for judgement in worst_first(case):
            print_judgement(console, judgement)
    for case in report.cases:
        estimates = estimates_of(case)
        if estimates.rows:
            console.print()
            console.print(verbatim(case.title, "bold"))
            for table in estimates_tables(estimates, console.width):
                console.print(table)
        for mark in estimates.marks:
            console.print(Text(f"{mark} {LEGEND[mark]}", STYLES[MARK_STYLE[mark]]))
        for line in optima_lines(case):
            console.print(verbatim(line, "dim"))


def heading(case: CaseReport) -> Text:
    """A model in one line."""
    groups = ", ".join(f"{count} {name}" for name, count in case.n_groups.items())
    dropped = f", {case.rows_dropped} rows dropped" if case.rows_dropped else ""
    if case.columns_dropped:
        dropped += f", columns that the others span dropped: {', '.join(case.columns_dropped)}"
    rest = f"   {case.formula}   {case.n_obs} rows{dropped}, {groups}"
    return Text.assemble(verbatim(case.title, "bold"), verbatim(rest))


INDENT = 4
"""Of what belongs to a judgement, below it."""


def print_judgement(console: Console, judgement: Judgement) -> None:
    """Its sentence, what to do, and what the engine says of itself."""
    sentence, style = verbatim(judgement.sentence), STYLES[STYLE[judgement.standing]]
    sentence.stylize(style, 0, len(sentence) if judgement.bad else len(judgement.engine))
    console.print(sentence)
    if judgement.remedy:
        what = verbatim(f"What to do: {judgement.remedy.sentence}", "bold")
        console.print(Padding(what, (0, 0, 0, INDENT)))
        for line in judgement.remedy.code.splitlines():
            # To be pasted: a line of code is broken by nobody but the terminal.
            console.print(verbatim(f"{' ' * (INDENT + 2)}{line}"), soft_wrap=True)
    for said in told(judgement):
        console.print(Padding(verbatim(said, "dim"), (0, 0, 0, INDENT)))


# ---- many models --------------------------------------------------------------------------------


def _print_survey(console: Console, report: Report) -> None:
    """Standings, what is off by harm, and the models, worst first."""
    _print_titled(console, standings_tables(report, console.width))
    found = findings(report)
    if found:
        console.print()
        console.print(Text("What is off, worst first", "bold"))
    for finding in found:
        first, worst = _finding_lines(finding, len(report.cases))
        console.print(Padding(first, (0, 0, 0, 2)))
        console.print(Padding(worst, (0, 0, 0, 6)))
    _print_titled(console, models_tables(report, console.width))
    console.print(Text(SHORT_LEGEND, "dim"))


def _finding_lines(finding: Finding, models: int) -> tuple[Text, Text]:
    known = f", known as {', '.join(finding.deviations)}" if finding.deviations else ""
    new = f", {'partly ' if known else ''}in no registry" if finding.news else ""
    cause = f" ({finding.why})" if finding.why else ""
    first = verbatim(
        f"{finding.engine}: {finding.standing}{cause} on {finding.models} of {models} models"
        f"{known}{new}",
        STYLES[STYLE[finding.standing]],
    )
    return first, verbatim(f"worst on {finding.title}: {finding.worst.sentence}")


def _print_titled(console: Console, titled: Titled) -> None:
    if titled.tables:
        console.print()
        console.print(Text(titled.title, "bold"))
    for table in titled.tables:
        console.print(table)


# ---- the rest -----------------------------------------------------------------------------------


def print_rest(console: Console, report: Report, registry: Iterable[Deviation]) -> None:
    """Print what is in no registry, what is known, what was not compared."""
    for title, lines in _rest(report, registry):
        console.print()
        console.print(title)
        for line in lines:
            console.print(Padding(line, (0, 0, 0, 2)))


def _rest(report: Report, registry: Iterable[Deviation]) -> Iterator[tuple[Text, list[Text]]]:
    """Titles with lines."""
    new = [verbatim(line) for line in unexpected(report)]
    if len(new) > MOST_LINES:
        rest = Text(f"and {len(new) - MOST_LINES} more; --out DIR writes the page, which has all")
        new = [*new[:MOST_LINES], rest]
    if new:
        yield Text("In no registry", "bold red"), new
    if report.stale:
        gone = [verbatim(name, "bold red") for name in report.stale]
        yield Text("No longer seen where they are pinned; retire them", "bold red"), gone
    known = [verbatim(line, STYLES["known"]) for line in known_lines(report, registry)]
    if known:
        yield Text("Known deviations", "bold"), known
    skipped = _skipped(report)
    if skipped:
        yield Text("Not compared", "bold"), skipped


def _skipped(report: Report) -> list[Text]:
    """Reasons, each with the engines and the models that it is about."""
    found: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for case in report.cases:
        for line in case.comparisons:
            if line.verdict == "skip":
                engines, titles = found.setdefault(line.reason, ({}, {}))
                engines[line.candidate] = titles[case.title] = None
    return [
        verbatim(f"{', '.join(engines)}: {reason} ({_some(list(titles))})", "dim")
        for reason, (engines, titles) in found.items()
    ]


def _some(names: list[str]) -> str:
    """Up to four names, and how many more there are."""
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more


def _print_outcome(console: Console, report: Report) -> None:
    """The counts, and last, where it is read first, what the run comes to."""
    console.print(verbatim(f"{counted(report)} {report.seconds:.1f} s.", "dim"))
    said = outcome(report)
    console.print(verbatim(f"{said.word}: {said.sentence}", f"bold {STYLES[said.style]}"))
