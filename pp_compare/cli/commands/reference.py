"""`pp-compare reference`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pp_compare.cli.app import app
from pp_compare.cli.console import print_lines, progress_bar, stdout
from pp_compare.reference.answers import record_answers
from pp_compare.reference.make import make_set
from pp_compare.report.verbatim import verbatim


@app.command("reference")
def reference_command(
    folder: Annotated[Path, typer.Argument(help="Of the set: reference/ in the sources.")],
    items: Annotated[
        list[str] | None, typer.Argument(help="Ids, as sleepstudy.reml; all by default.")
    ] = None,
    record: Annotated[
        list[str] | None,
        typer.Option(
            help="Record what an engine answers, or a release as statsmodels==0.14.6, into FOLDER; "
            "makes no items."
        ),
    ] = None,
) -> None:
    """Write the reference set: certified values of mixed models for any language, with proofs."""
    for engine in record or ():
        stdout().print(verbatim(f"{record_answers(engine, folder)}"))
    if record:
        return
    with progress_bar() as progress:
        task = progress.add_task("reference", total=None, title="")
        left_out = make_set(
            folder, items or (), lambda title: progress.update(task, advance=1, title=title)
        )
    print_lines([f"no item {line}" for line in left_out], to_stderr=True)
    made = sum(1 for _ in folder.rglob("items*/*/item.json"))
    stdout().print(verbatim(f"{made} items in {folder}"))
