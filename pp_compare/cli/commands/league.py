"""`pp-compare league`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from pp_compare.audits.league import run_league
from pp_compare.cli.app import app
from pp_compare.cli.console import fits_bar, stdout
from pp_compare.cli.options import Engines, Limit, Methods, designs_of, parse_methods, select
from pp_compare.report.document import to_markdown
from pp_compare.report.league.tables import league_document
from pp_compare.report.league.terminal import print_league
from pp_compare.resources import require_folder, write_text
from pp_compare.verdict.deviations import load_deviations


@app.command("league")
def league_command(
    cases: Annotated[
        list[str] | None, typer.Argument(help="Named cases; all but the large ones by default.")
    ] = None,
    engine: Engines = None,
    method: Methods = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="Only cases with this tag; repeatable.")
    ] = None,
    limit: Limit = 60.0,
    out: Annotated[
        Path | None, typer.Option(help="Folder for league.md and the report of the run.")
    ] = None,
    markdown: Annotated[Path | None, typer.Option(help="File for the league alone.")] = None,
) -> None:
    """Rank every engine that runs here: digits, wrong optima, failures, speed, what it can fit.

    The exit status is 0 where the league was made; what an engine gets wrong is in it.
    """
    require_folder(out)
    selections = select(cases, parse_methods(method), None, None, tag, large=False)
    with fits_bar("league") as progress:
        run = run_league(
            selections,
            engine,
            limit=limit,
            command=shlex.join(["pp-compare", *sys.argv[1:]]),
            progress=progress,
        )
    document = league_document(run.report, run.unavailable)
    print_league(stdout(), document)
    if markdown is not None:
        write_text(markdown, to_markdown(document))
    if out is not None:
        # Figures need matplotlib, which takes half a second to load.
        from pp_compare.report.audit.folder import write_report  # noqa: PLC0415

        write_text(out / "league.md", to_markdown(document))
        write_report(out, run.report, load_deviations(), designs_of(selections, "raise"))
