"""`pp-compare cases`."""

from __future__ import annotations

from pp_compare.cli.app import app
from pp_compare.cli.console import stdout
from pp_compare.data.corpus import all_cases
from pp_compare.data.glmm_corpus import glmm_cases
from pp_compare.report.verbatim import verbatim


@app.command("cases")
def cases_command() -> None:
    """List the named cases, each with its model and the reason it exists."""
    console = stdout()
    for known in all_cases():
        tags = f" [{', '.join(sorted(known.tags))}]" if known.tags else ""
        console.print(verbatim(known.name, "bold") + verbatim(f"  {known.formula}{tags}"))
        console.print(verbatim(f"    {known.why}"))
    for generalised in glmm_cases():
        tags = f" [{', '.join([generalised.family, *sorted(generalised.tags)])}]"
        line = verbatim(generalised.name, "bold") + verbatim(f"  {generalised.formula}{tags}")
        console.print(line)
        console.print(verbatim(f"    {generalised.why}"))
