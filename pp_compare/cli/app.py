"""The command line's root; each command is a module that registers itself with it."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from pp_compare.version import __version__

COMMANDS = {
    "at": "Evaluate any criterion at anybody's numbers, enclosed: what settles a dispute.",
    "audit": "Fit every model with every engine, and say how well they agree, who is right, and "
    "why not.",
    "campaign": "Fit a plan's data sets, as many as it takes, and say how often each engine is "
    "wrong, where.",
    "cases": "List the named cases, each with its model and the reason it exists.",
    "check": "Judge a fit that was made, from R's file or its printout, and fit nothing again.",
    "compare": "Hold numbers from paper against a reference, each to the digits that it shows.",
    "doctor": "Say which engines run here, in which versions, and what to do about the others.",
    "explain": "Show the steps of partial pooling with a model's own numbers, and why its line "
    "lies there.",
    "league": "Rank every engine that runs here: digits, wrong optima, failures, speed, what it "
    "can fit.",
    "record": "Record what an R answers to the named cases, to be played back where there is none.",
    "reference": "Write the reference set: certified values of mixed models for any language, with "
    "proofs.",
    "releases": "Say what a release gained and lost: any versions, each where it runs, on the same "
    "models.",
    "reproduce": "Write data, scripts and an issue with which anybody can see what the audit sees.",
    "search": "Look for trouble on generated data, without a registry: find, shrink, and bundle.",
}
"""What ``--help`` says of each command; its module in ``cli.commands`` has the same name."""


class Commands(TyperGroup):
    """Loads the module of a command where it is run, and none to list them: some take seconds."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that was typed, whole."""
        if args[0] in COMMANDS:
            import_module(f"pp_compare.cli.commands.{args[0]}")
            self.commands = typer.main.get_group(app).commands
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=Commands,
    help="Verify mixed models, linear and generalised: lme4, nlme and statsmodels on identical "
    "data, against each other and against a certified optimum.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _cite(asked: bool) -> None:
    if asked:
        from pp_compare.report.citation import citation  # noqa: PLC0415  # where it is asked for

        typer.echo(citation(), nl=False)
        raise typer.Exit


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"pp-compare {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    cite: Annotated[
        bool,
        typer.Option("--cite", help="How to cite this package.", callback=_cite, is_eager=True),
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_tell_version, help="Say which it is."),
    ] = False,
) -> None:
    """Keep the commands as commands."""


def _listed() -> None:
    """Stands for a command until its module, which registers the same name, is loaded."""


for _name, _help in COMMANDS.items():
    app.command(_name, help=_help)(_listed)
