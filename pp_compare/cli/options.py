"""Options that several commands share, and what they select."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, cast, get_args

import typer

from pp_compare.audits.selection import Selection
from pp_compare.data.bounds import check_numbers
from pp_compare.data.corpus import all_cases, case
from pp_compare.data.doubts import questions, remarks, types_line
from pp_compare.data.files import read_dataset
from pp_compare.data.types import AS_R, Kind, ReadAs
from pp_compare.errors import DataError, InputError, quoted
from pp_compare.model import Method
from pp_compare.model.design import Design, RankPolicy
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
Data = Annotated[
    Path | None,
    typer.Option(
        help="Table with a header line: CSV, TSV, .gz, Parquet, Feather, .xlsx, .sav, .dta, .rds; "
        "- for standard input."
    ),
]
Types = Annotated[
    list[str] | None,
    typer.Option("--type", help="A column as factor or number, as in plot=factor; repeatable."),
]
NaValues = Annotated[
    list[str] | None,
    typer.Option("--na-value", help="A value that is a missing one, as in -999; repeatable."),
]
Formula = Annotated[str | None, typer.Option(help="As in lme4: 'y ~ x + (1|g)'.")]
Na = Annotated[str, typer.Option(help="Rows with missing values: raise or drop.")]
Rank = Annotated[
    str,
    typer.Option(
        "--rank",
        help="Fixed effects that the others span: raise, or drop those that lmer drops, for all.",
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        help="A column of prior weights w: the residual variance of a row is sigma^2 / w.",
    ),
]

FamilyName = Annotated[
    str | None,
    typer.Option(
        "--family",
        help="A generalised model: binomial (logit) or poisson (log); the response as in lme4, "
        "cbind(successes, failures), 0/1, or proportions with their trials as --weights.",
    ),
]

Text = Annotated[
    bool, typer.Option("--text", help="A paragraph for the paper too, made from the numbers.")
]

MOST_SECONDS = 1e7
"""Four months."""

LONGEST_FORMULA = 10_000
"""Characters; the longest that people publish have some hundreds."""


def _seconds(option: typer.CallbackParam, value: float) -> float:
    """A time limit that is one: not ``nan``, which no time exceeds."""
    if not 0 < value <= MOST_SECONDS:
        raise InputError(
            f"--{option.name} is a number of seconds above 0, up to {MOST_SECONDS:g}, not {value:g}"
        )
    return value


Limit = Annotated[
    float, typer.Option("--limit", help="Seconds that one fit may take.", callback=_seconds)
]
Seconds = Annotated[
    float, typer.Option("--seconds", help="For the whole search.", callback=_seconds)
]


def words_of(command: str, option: str) -> list[str]:
    """A command that was typed as one option, as a program and its arguments; no shell reads it.

    Raises
    ------
    InputError
        For an open quote, or nothing.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise InputError(f"{option} {quoted(command)}: {str(error).lower()}") from None
    if not words:
        raise InputError(f"{option} is empty; it takes a command, as in 'chroot DIR Rscript'")
    return words


def read_as(types: list[str] | None, missing: list[str] | None) -> ReadAs:
    """What is told of a file by ``--type`` and ``--na-value``.

    Raises
    ------
    InputError
        For a type that is not NAME=factor or NAME=number.
    """
    kinds: dict[str, Kind] = {}
    for text in types or ():
        name, equals, kind = text.rpartition("=")
        if not equals or not name:
            raise InputError(f"--type is NAME=factor or NAME=number, not {quoted(text)}")
        kinds[name] = cast(Kind, kind)
    return ReadAs(kinds, tuple(missing or ()))


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
    told: ReadAs = AS_R,
) -> list[Selection]:
    """The models that the options name: of the user's file, or of the named cases.

    Raises
    ------
    InputError
        For options that contradict each other or leave nothing; FormulaError, DataError for
        what they name, and for what has to be said of the data before anything is fitted.
    """
    if (data is None) != (formula is None):
        raise InputError("--data and --formula belong together")
    if data is not None and formula is not None:
        if names:
            raise InputError("give either named cases or --data, not both")
        return _own(data, formula, methods, told)
    if told != AS_R and (told.kinds or told.missing):
        raise InputError("--type and --na-value are about --data; named cases have their types")
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


def asked_of(selections: Sequence[Selection], weights: str | None, rank: str) -> list[Selection]:
    """The selections with prior weights, and what to do with columns that the others span.

    Raises
    ------
    InputError
        For another word than raise or drop.
    """
    for policy in get_args(RankPolicy):
        if rank == policy:
            return [replace(each, weights=weights, rank=policy) for each in selections]
    raise InputError(f"--rank is {' or '.join(get_args(RankPolicy))}, not {quoted(rank)}")


def designs_of(selections: Sequence[Selection], na: NaPolicy) -> Callable[[CaseReport], Design]:
    """Gives the design of each reported case."""
    chosen: dict[tuple[str, str], Selection] = {(s.case, s.method): s for s in selections}
    return lambda report: design_of(chosen[report.case, report.method], na)


def design_of(selection: Selection, na: NaPolicy) -> Design:
    """Rows and matrices of one selection."""
    return selection.design(na)


def _own(
    data: Path, formula: str, methods: tuple[Method, ...] | None, told: ReadAs
) -> list[Selection]:
    """The models of a user's file, where nothing has to be asked about it."""
    if len(formula) > LONGEST_FORMULA:
        raise InputError(
            f"the formula has {len(formula)} characters; {LONGEST_FORMULA} are read at most"
        )
    spec = parse_formula(formula)
    dataset = read_dataset(data, told)
    open_questions = questions(dataset, spec, told)
    if open_questions:
        raise DataError("; and ".join(open_questions))
    check_numbers(dataset, spec)
    return [Selection(dataset.name, dataset, formula, m) for m in methods or ("REML", "ML")]


def reading_of(selection: Selection, told: ReadAs) -> list[str]:
    """What the columns of a model were read as, in one line, and one for each remark."""
    spec = parse_formula(selection.formula, selection.method)
    notes = [f"Note: {remark}." for remark in remarks(selection.dataset, spec, told)]
    return [types_line(selection.dataset, spec), *notes]
