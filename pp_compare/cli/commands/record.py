"""`pp-compare record`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pp_compare.audits.record import ENGINES as RECORDED_ENGINES
from pp_compare.audits.record import record
from pp_compare.cli.app import app
from pp_compare.cli.console import progress_bar, stdout
from pp_compare.cli.options import Engines, Limit, words_of
from pp_compare.data.corpus import all_cases, case
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
    chosen = [case(name) for name in cases] if cases else list(all_cases())
    with progress_bar() as progress:
        task = progress.add_task("record", total=sum(len(c.methods) for c in chosen), title="")
        written = record(
            words_of(rscript, "--rscript"),
            chosen,
            folder,
            tuple(engine or RECORDED_ENGINES),
            limit,
            progress=lambda title: progress.update(task, advance=1, title=title),
        )
    stdout().print(verbatim(f"{len(written)} files in {folder}"))
