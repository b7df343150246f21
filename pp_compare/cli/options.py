"""Options that several commands share, and what they select."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from pp_compare.audits.selection import Selection
from pp_compare.data.corpus import all_cases, case
from pp_compare.data.files import read_dataset
from pp_compare.errors import InputError
from pp_compare.model import Method
from pp_compare.model.design import Design, build_design
from pp_compare.model.formula import parse_formula
from pp_compare.model.variables import NaPolicy
from pp_compare.report.record import CaseReport

Engines = Annotated[
    list[str] | None,
    typer.Option("--engine", help="Engine id, as in statsmodels:lbfgs; repeatable."),
]
Methods = Annotated[
    list[str] | None, typer.Option("--method", help="reml or ml; repeatable. Default: both.")
]
Data = Annotated[Path | None, typer.Option(help="CSV file with a header line.")]
Formula = Annotated[str | None, typer.Option(help="As in lme4: 'y ~ x + (1|g)'.")]
Na = Annotated[str, typer.Option(help="Rows with missing values: raise or drop.")]


def parse_methods(names: list[str] | None) -> tuple[Method, ...] | None:
    """REML, ML or both, from what was typed; None where nothing was.

    Raises
    ------
    InputError
        For another word.
    """
    if not names:
        return None
    known: dict[str, Method] = {"reml": "REML", "ml": "ML"}
    for name in names:
        if name.lower() not in known:
            raise InputError(f"--method is reml or ml, not '{name}'")
    return tuple(dict.fromkeys(known[name.lower()] for name in names))


def select(
    names: list[str] | None,
    methods: tuple[Method, ...] | None,
    data: Path | None,
    formula: str | None,
    tags: list[str] | None,
    large: bool,
) -> list[Selection]:
    """The models that the options name: of the user's file, or of the named cases.

    Raises
    ------
    InputError
        For options that contradict each other or leave nothing; FormulaError, DataError for
        what they name.
    """
    if (data is None) != (formula is None):
        raise InputError("--data and --formula belong together")
    if data is not None and formula is not None:
        if names:
            raise InputError("give either named cases or --data, not both")
        parse_formula(formula)
        dataset = read_dataset(data)
        return [Selection(dataset.name, dataset, formula, m) for m in methods or ("REML", "ML")]
    chosen = [case(name) for name in names] if names else list(all_cases())
    if not names and not large:
        chosen = [known for known in chosen if "large" not in known.tags]
    if tags:
        chosen = [known for known in chosen if set(tags) & known.tags]
    found = [
        Selection(known.name, known.dataset, known.formula, method, known.why)
        for known in chosen
        for method in known.methods
        if methods is None or method in methods
    ]
    if not found:
        raise InputError("no case is left to audit; see pp-compare cases")
    return found


def na_policy(na: str) -> NaPolicy:
    """What to do with missing values; InputError for another word than raise or drop."""
    if na not in ("raise", "drop"):
        raise InputError(f"--na is raise or drop, not '{na}'")
    return "drop" if na == "drop" else "raise"


def designs_of(selections: Sequence[Selection], na: NaPolicy) -> Callable[[CaseReport], Design]:
    """Gives the design of each reported case."""
    chosen: dict[tuple[str, str], Selection] = {(s.case, s.method): s for s in selections}
    return lambda report: design_of(chosen[report.case, report.method], na)


def design_of(selection: Selection, na: NaPolicy) -> Design:
    """Rows and matrices of one selection."""
    return build_design(selection.dataset, parse_formula(selection.formula, selection.method), na)
