"""`pp-compare record`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from pp_compare.audits.record import ENGINES as RECORDED_ENGINES
from pp_compare.audits.record import GLMM_ENGINES, record, record_glmm
from pp_compare.cli.app import app
from pp_compare.cli.console import progress_bar, stdout
from pp_compare.cli.options import Engines, Limit, words_of
from pp_compare.data.corpus import Case, all_cases, case
from pp_compare.data.glmm_corpus import GlmmCase, glmm_case, glmm_cases
from pp_compare.engines.glmm.r import definition_of
from pp_compare.engines.r_stack import r_dialect
from pp_compare.errors import InputError
from pp_compare.report.verbatim import verbatim


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
    limit: Limit = 600.0,
) -> None:
    """Record what an R answers to the named cases, to be played back where there is none."""
    command = words_of(rscript, "--rscript")
    linear, generalised = _chosen(cases, engine)
    with progress_bar() as progress:
        total = sum(len(each.methods) for each in linear) + len(generalised)
        task = progress.add_task("record", total=total, title="")

        def tell(title: str) -> None:
            progress.update(task, advance=1, title=title)

        written: list[Path] = []
        if linear:
            engines = tuple(engine or RECORDED_ENGINES)
            written += record(command, linear, folder, engines, limit, tell)
        if generalised:
            engines = tuple(engine or GLMM_ENGINES)
            written += record_glmm(command, generalised, folder, engines, limit, tell)
    stdout().print(verbatim(f"{len(written)} files in {folder}"))


def _chosen(
    names: list[str] | None, engines: list[str] | None
) -> tuple[list[Case], list[GlmmCase]]:
    """Named cases, linear and generalised; without names all that the engines are for."""
    if names:
        of_glmm = {known.name for known in glmm_cases()}
        linear = [case(name) for name in names if name not in of_glmm]
        return linear, [glmm_case(name) for name in names if name in of_glmm]
    asked = engines or []
    return (
        list(all_cases()) if _are(r_dialect, asked) else [],
        list(glmm_cases()) if _are(definition_of, asked) else [],
    )


def _are(known: Callable[[str], object], engines: list[str]) -> bool:
    try:
        for engine in engines:
            known(engine)
    except InputError:
        return False
    return True
