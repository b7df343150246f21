"""`pp-compare releases`."""

from __future__ import annotations

import os
import platform as machine
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from pp_compare.audits.audit import RECORDED_STACK
from pp_compare.audits.glmm_asked import are_generalised, generalised
from pp_compare.audits.judging import PARITY_REFERENCES
from pp_compare.audits.selection import Selection
from pp_compare.cli import options
from pp_compare.cli.app import app
from pp_compare.cli.console import follow, stdout
from pp_compare.data.types import ReadAs
from pp_compare.errors import InputError
from pp_compare.releases.candidate import Candidate, Effort
from pp_compare.releases.check import Broken, Plan, check
from pp_compare.releases.environment import Recipe
from pp_compare.releases.generated import generated
from pp_compare.releases.named import (
    check_labels,
    choose_dialects,
    glmm_r_candidates,
    parse_sources,
    python_candidates,
    r_candidates,
    recorded_candidates,
)
from pp_compare.releases.platform import pinned, variants
from pp_compare.releases.store import Store, cache_folder, uv_cache
from pp_compare.releases.subject import AnySubject, GlmmSubject, Subject
from pp_compare.report.document import to_markdown, to_page
from pp_compare.report.release.document import release_document
from pp_compare.report.release.json import releases_json
from pp_compare.report.release.junit import releases_junit
from pp_compare.report.release.record import ReleaseReport
from pp_compare.report.release.terminal import print_releases
from pp_compare.resources import require_folder, write_text
from pp_compare.verdict.deviations import load_deviations, load_glmm_deviations

FAIL_ON = ("worse", "any", "none")
GENERATED = 100
"""Models beside the named cases, where no number of them is asked for."""


@app.command("releases")
def releases_command(
    candidates: Annotated[
        list[str] | None,
        typer.Argument(help="Versions, requirements, wheels, sdists, folders, git addresses."),
    ] = None,
    package: Annotated[str, typer.Option(help="The package under test.")] = "statsmodels",
    adapter: Annotated[
        Path | None, typer.Option(help="File that fits with a package other than statsmodels.")
    ] = None,
    rscript: Annotated[
        list[str] | None,
        typer.Option(help="Command that starts an R with lme4 and nlme; repeatable."),
    ] = None,
    recorded: Annotated[
        list[str] | None,
        typer.Option(help="Stack of recorded references, as sid: its lme4 and nlme; repeatable."),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(help="Of the engine, as lbfgs; repeatable. 'default' is none."),
    ] = None,
    companion: Annotated[
        list[str] | None, typer.Option("--with", help="As numpy==2.*; repeatable.")
    ] = None,
    python: Annotated[str, typer.Option(help="Version or path of Python.")] = sys.executable,
    exclude_newer: Annotated[
        str | None, typer.Option(help="Nothing newer; by default a release's own time.")
    ] = None,
    index: Annotated[
        str | None, typer.Option(help="One more index; its pre-releases and nightlies count.")
    ] = None,
    case: Annotated[list[str] | None, typer.Option(help="Named case; repeatable.")] = None,
    method: options.Methods = None,
    data: options.Data = None,
    formula: options.Formula = None,
    family: options.FamilyName = None,
    types: options.Types = None,
    na_value: options.NaValues = None,
    na: options.Na = "raise",
    large: Annotated[bool, typer.Option("--large", help="The large cases too.")] = False,
    generate: Annotated[
        int | None,
        typer.Option(
            "--generated", help="Generated linear models beside the cases; 100 by default."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the generated models.")] = 1,
    baseline: Annotated[
        str | None, typer.Option(help="Label to compare with; by default the one before.")
    ] = None,
    floor: Annotated[
        list[str] | None,
        typer.Option(help="Noise floor: again, kernel=NAME, threads=N or none; repeatable."),
    ] = None,
    limit: options.Limit = 60.0,
    fail_on: Annotated[str, typer.Option(help="worse, any or none: exit status 1.")] = "worse",
    cache: Annotated[Path | None, typer.Option(help="Folder for environments, results.")] = None,
    json: Annotated[str | None, typer.Option(help="File for releases.json; - for stdout.")] = None,
    markdown: Annotated[
        str | None, typer.Option(help="File for the report in Markdown; - for stdout.")
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="File for JUnit XML.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for all reports.")] = None,
) -> None:
    """Say what a release gained and lost: any versions, each where it runs, on the same models."""
    if fail_on not in FAIL_ON:
        raise InputError(f"--fail-on is {', '.join(FAIL_ON)}, not '{fail_on}'")
    folder, warning = cache_folder(cache)
    for place in (folder, out):
        require_folder(place)
    os.environ.update(uv_cache(folder))
    recipe = Recipe(package, tuple(companion or ()), python, _day(exclude_newer), index)
    asked = parse_sources(candidates or [], recipe)
    commands = [shlex.join(options.words_of(command, "--rscript")) for command in rscript or ()]
    if not asked and not rscript and not recorded:
        raise InputError(
            "name a version, a wheel or another candidate, or give --rscript or --recorded"
        )
    told = options.read_as(types, na_value)
    of_glmm = family is not None or are_generalised(case)
    subjects: list[AnySubject]
    if of_glmm:
        subjects = _generalised(case, data, formula, family, told, na, generate)
    else:
        methods = options.parse_methods(method)
        chosen = options.select(case, methods, data, formula, None, large, told)
        if generate is None:
            # Of what is recorded there are the named cases.
            generate = GENERATED if asked or rscript else 0
        subjects = _subjects(chosen, na, generate, seed)
    dialects = []
    if asked or not of_glmm:
        dialects = choose_dialects(package, adapter, setting, of_glmm)
    # Settings are those of the package under test, and of glmer where there is none.
    of_r = None if asked else setting
    played = [c for name in recorded or () for c in recorded_candidates(name, of_glmm, of_r)]
    plan = _plan(floor, limit, folder, of_glmm)
    if warning:
        sys.stderr.write(f"{warning}\n")
    with follow("") as show:
        named: list[Candidate | Broken] = [*played]
        for source, its_recipe in asked:
            built = ", built here, which may take minutes" if source.kind == "source" else ""
            show(f"environment of {source.label}{built}", 0, None)
            named += python_candidates(source, its_recipe, dialects, folder)
        for command in commands:
            show(command, 0, None)
            named += glmm_r_candidates(command, of_r) if of_glmm else r_candidates(command)
        check_labels(named, baseline)
        report = check(
            named,
            subjects,
            plan,
            _about(),
            baseline=baseline,
            tell=lambda state: show(state.line(), state.done, state.total),
        )
    _deliver(report, fail_on, json, markdown, junit, out)
    raise typer.Exit(report.exit_status(fail_on))


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(f"--exclude-newer is a day as in 2026-01-31, not '{text}'") from None


def _subjects(chosen: Sequence[Selection], na: str, count: int, seed: int) -> list[AnySubject]:
    policy = options.na_policy(na)
    named = [Subject(selection, options.design_of(selection, policy)) for selection in chosen]
    return [*named, *generated(count, seed)]


def _generalised(
    names: list[str] | None,
    data: Path | None,
    formula: str | None,
    family: str | None,
    told: ReadAs,
    na: str,
    count: int | None,
) -> list[AnySubject]:
    if count:
        raise InputError("--generated models are linear ones; this check is of generalised models")
    policy = options.na_policy(na)
    found = generalised(names, data, formula, family, None, told, None, policy, "raise")
    return [GlmmSubject(selection, selection.design()) for selection in found]


def _plan(floor: list[str] | None, limit: float, folder: Path, of_glmm: bool) -> Plan:
    base = pinned()
    references = {name: f"recorded:{RECORDED_STACK}/{name}" for name in PARITY_REFERENCES}
    return Plan(
        platform=base,
        variants=() if floor == ["none"] else variants(base, floor),
        effort=Effort(limit, os.cpu_count() or 1),
        references={} if of_glmm else references,
        registry=load_glmm_deviations() if of_glmm else load_deviations(),
        store=Store(folder / "results"),
        probes=not of_glmm,
    )


def _about() -> dict[str, str]:
    return {
        "pp-compare": version("pp-compare"),
        "python": sys.version.split()[0],
        "machine": machine.platform(),
        "command": shlex.join(["pp-compare", *sys.argv[1:]]),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _deliver(
    report: ReleaseReport,
    fail_on: str,
    json: str | None,
    markdown: str | None,
    junit: Path | None,
    out: Path | None,
) -> None:
    document = release_document(report)
    texts = {"json": releases_json(report), "md": to_markdown(document)}
    asked = {"json": json, "md": markdown}
    for kind, place in asked.items():
        if place == "-":
            sys.stdout.write(texts[kind])
        elif place:
            write_text(Path(place), texts[kind])
    if "-" not in asked.values():
        print_releases(stdout(), report)
    xml = releases_junit(report, fail_on)
    if junit:
        write_text(junit, xml)
    if out:
        texts |= {"html": to_page(document), "xml": xml}
        for kind, text in texts.items():
            write_text(out / f"releases.{kind}", text)
