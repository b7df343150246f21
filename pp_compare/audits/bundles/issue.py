"""What is to be filed about one engine on one model: an issue that needs nothing beside it.

Its script is run, by the Python or the R that is here, and what it prints stands in the issue as it
was printed, the engine's own warnings with it.
"""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pp_compare.engines.child_process import leash
from pp_compare.engines.road import find_rscript
from pp_compare.engines.rscript import FLAGS
from pp_compare.engines.source.script import MOST_ROWS, Script, script_of
from pp_compare.engines.source.table import FILE, used_frame
from pp_compare.identities import IDENTITIES, IdentityCheck
from pp_compare.model import Dataset, Fit
from pp_compare.model.design import Design
from pp_compare.report.document import escaped
from pp_compare.report.record import CaseReport, plain_name
from pp_compare.resources import write_text
from pp_compare.verdict.agreement import Comparison

LIMIT = 120.0
"""Seconds that a script may take."""
SAME = 1e-6
"""Relative difference of two runs of one optimiser, which stops within about 1e-8: the data go
through another formula, so that the last bits of its steps differ."""
MOST_LINES = 20
"""Numbers that an issue lists; the worst of a longer list is in it."""
MOST_OUTPUT = 20_000
"""Characters of what a script prints."""
OFF = ("fail", "known")


@dataclass(frozen=True)
class Run:
    """What a script printed, or why it was not run."""

    output: str = ""
    why_not: str = ""


def write_issues(folder: Path, design: Design, case: CaseReport, title: str = "") -> Iterator[Path]:
    """Write an issue, and its script, for each engine of a case that differs from the optimum.

    Parameters
    ----------
    folder : Path
        Where the data are, as `pp_compare.engines.source.table.FILE`.
    design : Design
    case : CaseReport
    title : str
        By default it is made from the judgement.
    """
    for engine, fit in case.fits.items():
        lines = differences(case, engine)
        broken = [c for c in case.identities if c.engine == engine and c.verdict in OFF]
        if engine == "certified" or not (lines or broken):
            continue
        plain = plain_name(engine.replace(":", "-"))
        script = script_of(engine, design)
        ran = Run()
        if isinstance(script, Script):
            path = folder / f"ISSUE-{plain}{script.suffix}"
            write_text(path, script.text)
            ran = run(script, path)
            yield path
        head = escaped(title) or _title(case, fit)
        text = _issue(head, design, case, fit, script, ran, lines, broken)
        write_text(folder / f"ISSUE-{plain}.md", text)
        yield folder / f"ISSUE-{plain}.md"


def differences(case: CaseReport, engine: str) -> list[Comparison]:
    """Where an engine differs from the certified optimum."""
    lines = [x for x in case.comparisons if (x.candidate, x.kind) == (engine, "truth")]
    return [line for line in lines if line.verdict in OFF]


def run(script: Script, path: Path) -> Run:
    """Run a script in its folder, by the Python or R of the engines, with their packages."""
    rscript = find_rscript()
    if script.language == "r" and rscript is None:
        return Run(why_not="there was no Rscript where this was written")
    # -P: a file in the folder of the data must not stand in the place of a module.
    start = [rscript or "", *FLAGS] if script.language == "r" else [sys.executable, "-P"]
    try:
        done = subprocess.run(  # noqa: S603  # a program and its arguments, no shell
            [*leash(start), *start, path.name],
            cwd=path.parent, timeout=LIMIT, check=False, encoding="utf-8", errors="replace",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Run(why_not=f"it was stopped after {LIMIT:g} s")
    except OSError as error:
        return Run(why_not=f"it could not be started: {error.strerror}")
    # Where packages lie is nobody's business.
    shown = re.sub(r"\S*[/\\]site-packages[/\\]", "", done.stdout)
    return Run(shown if len(shown) <= MOST_OUTPUT else f"{shown[:MOST_OUTPUT]}\n[cut here]")


# ---- the text -----------------------------------------------------------------------------------


def _issue(
    title: str,
    design: Design,
    case: CaseReport,
    fit: Fit,
    script: Script | str,
    ran: Run,
    lines: list[Comparison],
    broken: list[IdentityCheck],
) -> str:
    parts = [
        [f"# {title}"],
        _what(case, fit, broken),
        _table(lines),
        _how(design, script),
        _output(ran, lines),
        _own_words(fit, ran),
        [f"Versions: {escaped(_versions(fit.versions))}"],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _title(case: CaseReport, fit: Fit) -> str:
    judgement = next((j for j in case.judgements if j.engine == fit.engine), None)
    standing = judgement.standing if judgement else "differs"
    version = fit.versions.get(fit.engine.partition(":")[0], "")
    name = f"{fit.engine} {version}".strip()
    return f"{escaped(f'{name}: {standing}, {case.method} fit of')} {_code(case.formula)}"


def _code(text: str) -> str:
    """Text as code where nothing in it can end that."""
    return f"`{text}`" if text.isprintable() and "`" not in text else escaped(text)


def _what(case: CaseReport, fit: Fit, broken: list[IdentityCheck]) -> list[str]:
    said = [f"{j.sentence}." for j in case.judgements if j.engine == fit.engine]
    levels = ", ".join(f"{m} levels of {g}" for g, m in case.n_groups.items())
    rows = escaped(f"by {case.method}, {case.n_obs} rows, {levels}.")
    found = [f"{_code(case.formula)} {rows}", *map(escaped, said)]
    statements = {identity.id: identity.statement for identity in IDENTITIES}
    for check in broken:
        found.append(
            escaped(
                f"At its own estimates '{statements[check.identity]}' does not hold: it is off by "
                f"{check.error:.3g}, of which rounding is {check.tolerance:.1g} at most."
            )
        )
    return ["\n\n".join(found)]


def _table(lines: list[Comparison]) -> list[str]:
    numbers = [line for line in lines if line.quantity != "fit"]
    reported = [line for line in numbers if line.quantity in NAMES or line.quantity[:6] == "random"]
    rows = (reported or numbers)[:MOST_LINES]
    if not rows:
        return []
    cells = [
        f"| {escaped(_name(x))} | {seen} | {expected} |"
        for x in rows
        for seen, expected in [_pair(x.candidate_value, x.reference_value)]
    ]
    head = "| number | given | at the optimum, by interval arithmetic |"
    return [head, "| --- | --- | --- |", *cells]


def _pair(value: float, truth: float) -> tuple[str, str]:
    """Both with two digits more than tell them apart, and 8 at least."""
    digits = next((d for d in range(6, 16) if f"{value:.{d}g}" != f"{truth:.{d}g}"), 15) + 2
    return f"{value:.{digits}g}", f"{truth:.{digits}g}"


def _how(design: Design, script: Script | str) -> list[str]:
    if isinstance(script, str):
        return ["## How to see it", "", escaped(f"There is no script: {script}."), *_data(design)]
    beside = [] if design.n_obs <= MOST_ROWS else [f"With `{FILE}`, attached:", ""]
    return ["## How to see it", "", *beside, *_fenced(script.text.rstrip("\n"), script.language)]


def _data(design: Design) -> list[str]:
    """The data as they are read, where they are few."""
    if design.n_obs > MOST_ROWS:
        return ["", f"The data are in `{FILE}`, attached."]
    text = Dataset("data", used_frame(design)).exact_csv()
    return [
        "",
        *_fenced("".join(c if c.isprintable() or c == "\n" else " " for c in text).rstrip()),
    ]


def _output(ran: Run, lines: list[Comparison]) -> list[str]:
    if ran.why_not:
        return ["## What it prints", "", f"It was not seen: {ran.why_not}."]
    if not ran.output:
        return []
    text = ["## What it prints", "", *_fenced(ran.output.rstrip("\n"))]
    missing = [x for x in lines if x.quantity in SHOWN and not _shows(ran.output, x)]
    if missing:
        names = ", ".join(_name(x) for x in missing[:MOST_LINES])
        other = (
            f"The script gives other numbers than the fit above for: {names}. That fit was made in "
            "another way, which its record does not say."
        )
        text += ["", escaped(other)]
    return text


NAMES = {
    "criterion": "-2 log-likelihood at its variances",
    "beta": "fixed effect",
    "beta_se": "standard error of",
    "loglik": "log-likelihood that it reports",
    "sigma": "residual standard deviation",
}


def _name(line: Comparison) -> str:
    return f"{NAMES.get(line.quantity, line.quantity)} {line.label}".rstrip()


SHOWN = ("beta", "beta_se", "sigma", "loglik")
"""Quantities that every script prints, under no other scale."""


def _shows(output: str, line: Comparison) -> bool:
    found = re.findall(r"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?", output)
    value = line.candidate_value
    if not math.isfinite(value):
        return True  # no number is claimed
    return any(abs(float(text) - value) <= SAME * abs(value) for text in found)


def _own_words(fit: Fit, ran: Run) -> list[str]:
    """What the engine says of itself, where its output does not show it."""
    said = [] if ran.output else [f"- {escaped(message)}" for message in fit.messages]
    return ["## Its own warnings", "", *said] if said else []


def _fenced(text: str, language: str = "") -> list[str]:
    """Code: a fence longer than any within, so that nothing in it ends it."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}{language}", text, fence]


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
