"""The command line's root; each command is a module that registers itself with it."""

from __future__ import annotations

import typer

UNAVAILABLE = 3
BAD_INPUT = 2

app = typer.Typer(
    help="Verify linear mixed models: lme4, nlme and statsmodels on identical data, against each "
    "other and against a certified optimum.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _root() -> None:
    """Keep the commands as commands."""
