"""`pp-compare campaign`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pp_compare.campaign.plan import Plan, read_plan
from pp_compare.cli.app import app
from pp_compare.cli.console import follow, stdout
from pp_compare.cli.options import Limit
from pp_compare.errors import InputError
from pp_compare.resources import require_folder, resource, write_text

if TYPE_CHECKING:
    from pp_compare.campaign.run import Fleet
    from pp_compare.campaign.sandbox import Limits

MOST_PROCESSES = 1024
MOST_MEGABYTES = 1e8


@app.command("campaign")
def campaign_command(
    plan: Annotated[
        Path | None, typer.Argument(help="Plan, a TOML file; left out, that of --out.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for rows and report.")] = None,
    processes: Annotated[int, typer.Option(help="Processes that fit here; 0 for one a core.")] = 0,
    scheduler: Annotated[
        str | None, typer.Option(help="Fit on the workers of a dask scheduler, tcp://host:port.")
    ] = None,
    limit: Limit = 60.0,
    memory: Annotated[
        float, typer.Option(help="Megabytes that one process may take on top; 0 for no limit.")
    ] = 2000.0,
    allow_engine: Annotated[
        list[str] | None,
        typer.Option(help="An engine package.module:factory that the plan may name; repeatable."),
    ] = None,
    report_only: Annotated[
        bool, typer.Option("--report-only", help="Fit nothing; report what is there.")
    ] = False,
    bundles: Annotated[
        bool, typer.Option("--bundles", help="Bundles of the worst cases, as by reproduce.")
    ] = False,
    json: Annotated[str | None, typer.Option(help="File for the report; - for stdout.")] = None,
) -> None:
    """Fit a plan's data sets, as many as it takes, and say how often each engine is wrong, where.

    Killed at any moment and started again, it does what is missing and nothing twice.
    """
    # pyarrow and, with --scheduler, dask are no part of a plain installation.
    from pp_compare.campaign.run import read_campaign_plan, run_campaign  # noqa: PLC0415

    require_folder(out)
    chosen, folder = _plan_and_folder(plan, out, allow_engine or (), read_campaign_plan)
    if not report_only:
        with follow("the first processes start", keep=True) as show:
            fleet = _fleet(chosen, processes, scheduler, _limits(limit, memory))
            run_campaign(
                chosen,
                folder,
                fleet,
                report=lambda state: show(state.line(), state.done, state.total),
                say=_say,
            )
    _deliver(chosen, folder, json, bundles)


def _plan_and_folder(
    plan: Path | None,
    out: Path | None,
    allow: Collection[str],
    read: Callable[[Path, Collection[str]], Plan],
) -> tuple[Plan, Path]:
    if plan is None:
        if out is None:
            raise InputError("give a plan, or with --out the folder of a campaign that has one")
        return read(out, allow), out
    ours = resource("fixtures", "plans", f"{plan.name}.toml")
    chosen = read_plan(ours if plan == Path(plan.name) and ours.is_file() else plan, allow)
    return chosen, out or Path(f"{plan.stem}-campaign")


def _limits(seconds: float, megabytes: float) -> Limits:
    from pp_compare.campaign.sandbox import Limits  # noqa: PLC0415

    if not 0 <= megabytes <= MOST_MEGABYTES:
        raise InputError(f"--memory is from 0 to {MOST_MEGABYTES:g} megabytes, not {megabytes:g}")
    return Limits(seconds, megabytes or None)


def _fleet(plan: Plan, processes: int, scheduler: str | None, limits: Limits) -> Fleet:
    if not 0 <= processes <= MOST_PROCESSES:
        raise InputError(f"--processes is from 0 to {MOST_PROCESSES}, not {processes}")
    if scheduler is not None:
        from pp_compare.campaign.cluster import DaskFleet  # noqa: PLC0415

        return DaskFleet(plan, scheduler, limits)
    from pp_compare.campaign.local import LocalFleet  # noqa: PLC0415

    return LocalFleet(plan, processes or os.cpu_count() or 1, limits)


def _deliver(plan: Plan, folder: Path, json: str | None, bundles: bool) -> None:
    # Figures need matplotlib, which takes half a second to load.
    from pp_compare.campaign.statistics import summarize  # noqa: PLC0415
    from pp_compare.report.campaign.html import campaign_html  # noqa: PLC0415
    from pp_compare.report.campaign.json import campaign_json  # noqa: PLC0415
    from pp_compare.report.campaign.terminal import print_campaign  # noqa: PLC0415

    report = summarize(plan, folder / "rows")
    text = campaign_json(report)
    write_text(folder / "report.json", text)
    write_text(folder / "report.html", campaign_html(report))
    if bundles:
        from pp_compare.campaign.bundles import write_worst  # noqa: PLC0415

        write_worst(plan, report, folder / "worst", lambda title: _say(f"bundle of {title}"))
    if json == "-":
        sys.stdout.write(text)
    else:
        print_campaign(stdout(), report)
    if json and json != "-":
        write_text(Path(json), text)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
