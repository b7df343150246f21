"""`pp-compare search`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pp_compare.cli.app import app
from pp_compare.cli.console import stdout
from pp_compare.cli.options import Seconds
from pp_compare.errors import UnavailableError
from pp_compare.report.verbatim import verbatim


@app.command("search")
def search_command(
    engine: Annotated[str, typer.Option(help="Engine id.")] = "statsmodels",
    seconds: Seconds = 600.0,
    seed: Annotated[int, typer.Option(help="Of the generated data.")] = 1,
    bundle: Annotated[Path | None, typer.Option(help="Folder for one bundle a finding.")] = None,
) -> None:
    """Look for trouble on generated data, without a registry: find, shrink, and bundle."""
    # Hypothesis, which only this command needs, is not part of a plain installation.
    try:
        from pp_compare.search import run as hunting  # noqa: PLC0415
    except ImportError as error:
        raise UnavailableError(f"{error}; 'pip install hypothesis' brings it") from error
    console = stdout()
    found = 0
    for finding in hunting.search(engine, seconds, seed, _say):
        found += 1
        title = finding.hunt.title.format(engine=finding.engine)
        rest = (
            f" {title}: {len(finding.example[0].frame)} rows, first after {finding.seconds:.1f} s, "
            f"{finding.tried} data sets"
        )
        console.print(verbatim(finding.hunt.id, "bold") + verbatim(rest))
        if bundle is not None:
            hunting.bundle(bundle, finding)
    raise typer.Exit(1 if found else 0)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}?\n")
