"""The command line: ``pp-compare`` and ``python -m pp_compare``.

Exit status: 0 all pass or known; 1 something unexpected; 2 bad usage or bad input; 3 something
asked for is not available here. Results go to stdout, progress and messages to stderr.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pp_compare.audit import DEFAULT_ENGINES, Selection, audit
from pp_compare.corpus import all_cases, case
from pp_compare.design import Design, NaPolicy, build_design
from pp_compare.deviations import load_deviations
from pp_compare.doctor import diagnose
from pp_compare.errors import InputError, PPCompareError, UnavailableError
from pp_compare.explain import explain
from pp_compare.files import read_dataset, write_text
from pp_compare.formula import parse_formula
from pp_compare.model import Method
from pp_compare.r_inference import all_inference, first_factor
from pp_compare.record import ENGINES as RECORDED_ENGINES
from pp_compare.record import record
from pp_compare.report.explain_terminal import print_explanation, print_inference
from pp_compare.report.json import to_json
from pp_compare.report.record import CaseReport, Report
from pp_compare.report.terminal import print_report
from pp_compare.reproduce import write_bundle

app = typer.Typer(
    help="Verify linear mixed models: lme4, nlme and statsmodels on identical data, against each "
    "other and against a certified optimum.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Engines = Annotated[
    list[str] | None,
    typer.Option("--engine", help="Engine id, as in statsmodels:lbfgs; repeatable."),
]
Methods = Annotated[
    list[str] | None, typer.Option("--method", help="reml or ml; repeatable. Default: both.")
]


@app.callback()
def _root() -> None:
    """Keep the commands as commands."""


@app.command("audit")
def audit_command(
    cases: Annotated[
        list[str] | None, typer.Argument(help="Named cases; all but the large ones by default.")
    ] = None,
    engine: Engines = None,
    tight: Annotated[
        bool, typer.Option("--tight", help="Beside each default the engine's closest settings.")
    ] = False,
    method: Methods = None,
    data: Annotated[Path | None, typer.Option(help="CSV file with a header line.")] = None,
    formula: Annotated[str | None, typer.Option(help="As in lme4: 'y ~ x + (1|g)'.")] = None,
    na: Annotated[str, typer.Option(help="Rows with missing values: raise or drop.")] = "raise",
    tag: Annotated[
        list[str] | None, typer.Option(help="Only cases with this tag; repeatable.")
    ] = None,
    large: Annotated[bool, typer.Option("--large", help="The large cases too.")] = False,
    limit: Annotated[float, typer.Option(help="Seconds that one fit may take.")] = 60.0,
    out: Annotated[Path | None, typer.Option(help="Folder for the reports and the data.")] = None,
    json: Annotated[str | None, typer.Option(help="File for report.json; - for stdout.")] = None,
    bundle: Annotated[
        Path | None, typer.Option(help="Folder for one bundle a failing case, as by reproduce.")
    ] = None,
) -> None:
    """Fit every model with every engine, and say how well they agree, who is right, and why not."""
    policy = _na_policy(na)
    selections = _selections(cases, _methods(method), data, formula, tag, large)
    with _progress() as progress:
        task = progress.add_task("audit", total=len(selections), title="")
        report = audit(
            selections,
            _engines(engine, tight),
            na=policy,
            limit=limit,
            processes=os.cpu_count() or 1,
            command=shlex.join(["pp-compare", *sys.argv[1:]]),
            progress=lambda title: progress.update(task, advance=1, title=title),
        )
    chosen: dict[tuple[str, str], Selection] = {(s.case, s.method): s for s in selections}
    _deliver(report, out, json, lambda c: _design(chosen[c.case, c.method], policy))
    if bundle is not None:
        for failing in (c for c in report.cases if c.failing):
            write_bundle(
                bundle / failing.file_name,
                _design(chosen[failing.case, failing.method], policy),
                failing,
            )
    raise typer.Exit(report.exit_status)


@app.command("reproduce")
def reproduce_command(
    subject: Annotated[str, typer.Argument(help="A named case, or a CSV file with --formula.")],
    formula: Annotated[str | None, typer.Option(help="As in lme4: 'y ~ x + (1|g)'.")] = None,
    engine: Engines = None,
    method: Methods = None,
    na: Annotated[str, typer.Option(help="Rows with missing values: raise or drop.")] = "raise",
    out: Annotated[Path, typer.Option(help="Folder for the bundles.")] = Path("bundles"),
) -> None:
    """Write data, scripts and an issue with which anybody can see what the audit sees."""
    if formula is None:
        selections = _selections([subject], _methods(method), None, None, None, True)
    else:
        selections = _selections(None, _methods(method), Path(subject), formula, None, True)
    policy = _na_policy(na)
    report = audit(selections, (*(engine or DEFAULT_ENGINES), "certified"), na=policy)
    for selection, judged in zip(selections, report.cases, strict=True):
        folder = out / judged.file_name
        for path in write_bundle(folder, _design(selection, policy), judged):
            _stdout().print(_escape(str(path)), soft_wrap=True)


@app.command("search")
def search_command(
    engine: Annotated[str, typer.Option(help="Engine id.")] = "statsmodels",
    seconds: Annotated[float, typer.Option(help="For the whole search.")] = 600.0,
    seed: Annotated[int, typer.Option(help="Of the generated data.")] = 1,
    bundle: Annotated[Path | None, typer.Option(help="Folder for one bundle a finding.")] = None,
) -> None:
    """Look for trouble on generated data, without a registry: find, shrink, and bundle."""
    # Hypothesis, which only this command needs, is not part of a plain installation.
    try:
        from pp_compare import search as hunting  # noqa: PLC0415
    except ImportError as error:
        raise UnavailableError(f"{error}; 'pip install hypothesis' brings it") from error
    console = _stdout()
    found = 0
    for finding in hunting.search(engine, seconds, seed, _say):
        found += 1
        title = finding.hunt.title.format(engine=finding.engine)
        console.print(
            f"[bold]{finding.hunt.id}[/] {_escape(title)}: {len(finding.example[0].frame)} rows, "
            f"first after {finding.seconds:.1f} s, {finding.tried} data sets"
        )
        if bundle is not None:
            hunting.bundle(bundle, finding)
    raise typer.Exit(1 if found else 0)


@app.command("explain")
def explain_command(
    name: Annotated[str | None, typer.Argument(help="A named case.")] = None,
    data: Annotated[Path | None, typer.Option(help="CSV file with a header line.")] = None,
    formula: Annotated[
        str | None, typer.Option(help="One random intercept: 'y ~ x + (1|g)'.")
    ] = None,
    method: Methods = None,
    engine: Annotated[str, typer.Option(help="Whose estimates to explain.")] = "certified",
    na: Annotated[str, typer.Option(help="Rows with missing values: raise or drop.")] = "raise",
    inference: Annotated[
        bool, typer.Option("--inference", help="Tests and intervals too, by their definitions.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for explain.html and figures.")] = None,
) -> None:
    """Show the steps of partial pooling with a model's own numbers, and why its line lies there."""
    if (name is None) == (data is None):
        raise InputError("give either a named case or --data with --formula")
    selection = _selections([name] if name else None, _methods(method), data, formula, None, True)[
        0
    ]
    design = _design(selection, _na_policy(na))
    explanation = explain(design, engine, selection.case)
    tables, remarks = (
        all_inference(design, selection.case, first_factor(design)) if inference else ([], [])
    )
    print_explanation(_stdout(), explanation)
    if inference:
        print_inference(_stdout(), tables, remarks)
    if out is not None:
        from pp_compare.report.folder import write_explanation  # noqa: PLC0415  # as in _deliver

        write_explanation(out, explanation, tables, remarks)


@app.command("cases")
def cases_command() -> None:
    """List the named cases, each with its model and the reason it exists."""
    console = _stdout()
    for known in all_cases():
        tags = f" [{', '.join(sorted(known.tags))}]" if known.tags else ""
        console.print(f"[bold]{known.name}[/]  {_escape(known.formula)}{_escape(tags)}")
        console.print(f"    {_escape(known.why)}")


@app.command("record")
def record_command(
    folder: Annotated[
        Path, typer.Argument(help="Folder of the stack, named after it; made if it is not there.")
    ],
    cases: Annotated[list[str] | None, typer.Argument(help="Named cases; all by default.")] = None,
    rscript: Annotated[
        str, typer.Option(help="Command that starts R: Rscript, 'chroot DIR Rscript', ...")
    ] = "Rscript",
    engine: Engines = None,
    limit: Annotated[float, typer.Option(help="Seconds that one fit may take.")] = 600.0,
) -> None:
    """Record what an R answers to the named cases, to be played back where there is none."""
    chosen = [case(name) for name in cases] if cases else list(all_cases())
    with _progress() as progress:
        task = progress.add_task("record", total=sum(len(c.methods) for c in chosen), title="")
        written = record(
            shlex.split(rscript),
            chosen,
            folder,
            tuple(engine or RECORDED_ENGINES),
            limit,
            progress=lambda title: progress.update(task, advance=1, title=title),
        )
    _stdout().print(f"{len(written)} files in {_escape(str(folder))}")


@app.command("doctor")
def doctor_command() -> None:
    """Say which engines run here, in which versions, and what to do about the others."""
    console = _stdout()
    findings = diagnose()
    for finding in findings:
        mark = "[green]ok[/]     " if finding.ok else "[red]missing[/]"
        console.print(f"{mark} {_escape(finding.subject)}: {_escape(finding.text)}")
    raise typer.Exit(0 if all(finding.ok for finding in findings) else UNAVAILABLE)


HAVE_TIGHT = frozenset({"lme4", "nlme", "statsmodels"})
UNAVAILABLE = 3
BAD_INPUT = 2


def main() -> None:
    """Entry point: every error of ours becomes one line on stderr and an exit status."""
    try:
        app()
    except InputError as error:
        _die(error, BAD_INPUT)
    except UnavailableError as error:
        _die(error, UNAVAILABLE)
    except PPCompareError as error:
        _die(error, 1)
    except BrokenPipeError:
        # The reader of our output went away; Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _die(error: PPCompareError, status: int) -> None:
    sys.stderr.write(f"pp-compare: {error}\n")
    sys.exit(status)


def _engines(names: list[str] | None, tight: bool) -> tuple[str, ...]:
    """What was asked for, with ``tight`` each engine's closest setting behind its default."""
    chosen = tuple(names or DEFAULT_ENGINES)
    if not tight:
        return chosen
    pairs = [(e, f"{e}:tight") if e in HAVE_TIGHT else (e,) for e in chosen]
    return tuple(dict.fromkeys(engine for pair in pairs for engine in pair))


def _methods(names: list[str] | None) -> tuple[Method, ...] | None:
    if not names:
        return None
    known: dict[str, Method] = {"reml": "REML", "ml": "ML"}
    for name in names:
        if name.lower() not in known:
            raise InputError(f"--method is reml or ml, not '{name}'")
    return tuple(dict.fromkeys(known[name.lower()] for name in names))


def _selections(
    names: list[str] | None,
    methods: tuple[Method, ...] | None,
    data: Path | None,
    formula: str | None,
    tags: list[str] | None,
    large: bool,
) -> list[Selection]:
    if (data is None) != (formula is None):
        raise InputError("--data and --formula belong together")
    if data is not None and formula is not None:
        if names:
            raise InputError("give either named cases or --data, not both")
        parse_formula(formula)
        dataset = read_dataset(data)
        return [Selection(dataset.name, dataset, formula, m) for m in methods or ("REML", "ML")]
    chosen = [case(name) for name in names] if names else list(all_cases())
    if not names and not large:
        chosen = [known for known in chosen if "large" not in known.tags]
    if tags:
        chosen = [known for known in chosen if set(tags) & known.tags]
    found = [
        Selection(known.name, known.dataset, known.formula, method, known.why)
        for known in chosen
        for method in known.methods
        if methods is None or method in methods
    ]
    if not found:
        raise InputError("no case is left to audit; see pp-compare cases")
    return found


def _na_policy(na: str) -> NaPolicy:
    if na not in ("raise", "drop"):
        raise InputError(f"--na is raise or drop, not '{na}'")
    return "drop" if na == "drop" else "raise"


def _design(selection: Selection, na: NaPolicy) -> Design:
    return build_design(selection.dataset, parse_formula(selection.formula, selection.method), na)


def _deliver(
    report: Report, out: Path | None, json: str | None, designs: Callable[[CaseReport], Design]
) -> None:
    text = to_json(report)
    if json == "-":
        sys.stdout.write(text)
    else:
        print_report(_stdout(), report, load_deviations())
    if json and json != "-":
        write_text(Path(json), text)
    if out is not None:
        # Figures need matplotlib, which takes half a second to load.
        from pp_compare.report.folder import write_report  # noqa: PLC0415

        write_report(out, report, load_deviations(), designs)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}?\n")


def _stdout() -> Console:
    """A terminal has its own width; a file or a pipe gets lines of 120."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[title]}"),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


def _escape(text: str) -> str:
    """Square brackets are rich's markup."""
    return text.replace("[", r"\[")
