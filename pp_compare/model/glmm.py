"""A generalised mixed model: binomial with logit, Poisson with log; lme4's way of writing it.

The response of a binomial model is ``cbind(successes, failures)``, a proportion with a column of
trials as ``weights``, or a column of two values: 0 and 1, or a factor whose first level is the
failure, as in R's ``binomial``. That of a Poisson model is a column of counts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from pp_compare.errors import DataError, FormulaError, InputError, quoted
from pp_compare.model import Dataset
from pp_compare.model.design import Design, RankPolicy, build_design
from pp_compare.model.evaluate import data_columns, evaluate
from pp_compare.model.expression import Call, Name, Node, shown, written
from pp_compare.model.factor import Factor
from pp_compare.model.formula import parse_formula, sides
from pp_compare.model.variables import NaPolicy, column_value
from pp_compare.model.words import Value, as_factor

Family = Literal["binomial", "poisson"]
FAMILIES: tuple[Family, ...] = get_args(Family)
LINKS = {"binomial": "logit", "poisson": "log"}
"""The link of each family: the canonical one, with which the responses enter by their sums."""

WHOLE = 1e-6
"""How far a proportion times its trials may be from a whole number: a proportion written with seven
digits is that of a whole number of up to a million."""


@dataclass(frozen=True, eq=False)
class GlmmDesign:
    """What is fitted, as numbers: the same for every engine.

    Parameters
    ----------
    design : Design
        Rows, fixed part, random terms and labels; its `y` is the successes or counts less the
        offset, which no engine is given.
    family : {"binomial", "poisson"}
    formula : str
        What was typed.
    y : ndarray of int, shape (n,)
        Successes, or counts.
    trials : ndarray of int, shape (n,)
        1 for counts.
    offset : ndarray, shape (n,)
        On the scale of the link.
    """

    design: Design
    family: Family
    formula: str
    y: np.ndarray
    trials: np.ndarray
    offset: np.ndarray

    @property
    def link(self) -> str:
        """``logit`` or ``log``."""
        return LINKS[self.family]

    @property
    def binary(self) -> bool:
        """Whether every row is one trial."""
        return self.family == "binomial" and bool((self.trials == 1).all())

    @property
    def dispersion_rows(self) -> bool:
        """Whether some grouping factor has a level for every row."""
        return any(len(block.levels) == len(self.y) for block in self.design.blocks)


def parse_family(family: str) -> Family:
    """The family of that name, with or without its link: ``binomial``, ``binomial(logit)``.

    Raises
    ------
    InputError
        For another family or another link.
    """
    name, _, rest = family.strip().lower().partition("(")
    link = rest.removesuffix(")").removeprefix("link=").strip("\"' ")
    for known in FAMILIES:
        if name == known and link in ("", LINKS[known]):
            return known
    raise InputError(
        f"--family is {' or '.join(FAMILIES)}, with the link {' or '.join(LINKS.values())}, "
        f"not {quoted(family)}"
    )


def build_glmm_design(
    dataset: Dataset,
    formula: str,
    family: Family,
    weights: str | None = None,
    na: NaPolicy = "raise",
    rank: RankPolicy = "raise",
) -> GlmmDesign:
    """Make the design of a generalised mixed model on a data set.

    Parameters
    ----------
    dataset : Dataset
    formula : str
        In lme4's grammar; the response as above.
    family : {"binomial", "poisson"}
    weights : str, optional
        Column of the trials of a binomial response that is a proportion.
    na, rank
        As in `build_design`.

    Raises
    ------
    FormulaError, DataError
        For what `parse_formula` and `build_design` refuse; a response that is no whole number of
        successes in its trials, or no count; a row without trials.
    """
    left, right = sides(formula)
    response = _binomial if family == "binomial" else _counts
    y, trials = response(dataset, left, weights)
    taken = set(map(str, dataset.frame.columns))
    names = [_free(name, taken) for name in ("successes", "trials")]
    frame = dataset.frame.assign(**dict(zip(names, (y, trials), strict=True)))
    hidden = {*data_columns_of(left), *([weights] if weights else [])}
    columns = [str(column) for column in dataset.frame.columns if column not in hidden]
    spec = parse_formula(f"{names[0]} ~ {written(right)}", "ML", columns=columns)
    spec = replace(spec, weights=names[1])
    design = build_design(replace(dataset, frame=frame), spec, na, rank, residual=False)
    spec = replace(design.spec, formula=formula.strip(), weights=None)
    design = replace(design, dataset=dataset, spec=spec)
    raw = design.y if design.offset is None else design.variables[names[0]].values
    offset = np.zeros(design.n_obs) if design.offset is None else design.offset
    of = np.ones(design.n_obs) if design.weights is None else design.weights
    counts, of = (np.rint(values).astype(np.int64) for values in (raw, of))
    return GlmmDesign(replace(design, weights=None), family, formula.strip(), counts, of, offset)


def data_columns_of(left: Node) -> list[str]:
    """Columns that a response is made of."""
    parts = left.nodes if isinstance(left, Call) and left.function == "cbind" else (left,)
    return [column for part in parts for column in data_columns(part)]


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name


Response = tuple[np.ndarray, np.ndarray]
"""Successes or counts, and trials; floats with nan where a column misses."""


def _binomial(dataset: Dataset, left: Node, weights: str | None) -> Response:
    match left:
        case Call("cbind", ((_, first), (_, second))):
            if weights is not None:
                raise InputError("cbind(successes, failures) has its trials already: no weights")
            successes, failures = (_numbers(dataset, node) for node in (first, second))
            _require_whole(dataset, written(first), successes)
            _require_whole(dataset, written(second), failures)
            return _with_trials(dataset, successes, successes + failures)
        case Call("cbind"):
            raise FormulaError(f"{shown(written(left))}: cbind takes successes and failures")
    if weights is None:
        return _two_values(dataset, left)
    shares, trials = _numbers(dataset, left), _numbers(dataset, Name(weights, quoted=True))
    _require_whole(dataset, weights, trials)
    successes = shares * trials
    near = np.rint(successes)
    _refuse(
        dataset,
        np.abs(successes - near) > WHOLE * np.maximum(trials, 1),
        f"'{written(left)}' times '{weights}' is no whole number of successes",
    )
    return _with_trials(dataset, near, trials)


def _with_trials(dataset: Dataset, successes: np.ndarray, trials: np.ndarray) -> Response:
    _refuse(dataset, trials == 0, "there are no trials; leave the row out, it says nothing")
    _refuse(dataset, successes > trials, "there are more successes than trials")
    return successes, trials


def _two_values(dataset: Dataset, left: Node) -> Response:
    """0 and 1, or a factor of two levels, the first of which is the failure."""
    value, missing = _value(dataset, left)
    if isinstance(value, np.ndarray) and value.dtype != bool:
        _refuse(
            dataset,
            _spread((value != 0) & (value != 1), missing),
            f"'{written(left)}' is neither 0 nor 1; counts of successes are written "
            "cbind(successes, failures), proportions have their trials as weights",
        )
        found = value.astype(float)
    else:
        factor = value if isinstance(value, Factor) else as_factor(value)
        if len(factor.levels) != 2:
            raise DataError(
                f"the response '{written(left)}' has {len(factor.levels)} levels; a binomial one "
                "has two, the first of which is the failure"
            )
        found = factor.codes.astype(float)
    whole = _spread(found, missing)
    return whole, np.where(np.isnan(whole), np.nan, 1.0)


def _counts(dataset: Dataset, left: Node, weights: str | None) -> Response:
    if weights is not None:
        raise InputError(
            "prior weights of counts are not known here; an exposure is an offset(log(x))"
        )
    found = _numbers(dataset, left)
    _require_whole(dataset, written(left), found)
    return found, np.where(np.isnan(found), np.nan, 1.0)


def _numbers(dataset: Dataset, node: Node) -> np.ndarray:
    value, missing = _value(dataset, node)
    if not isinstance(value, np.ndarray):
        raise DataError(f"'{written(node)}' is not numeric")
    return _spread(value.astype(float), missing)


def _value(dataset: Dataset, node: Node) -> tuple[Value, np.ndarray]:
    """An expression over the rows that have what it needs, and where something misses."""
    names = data_columns(node)
    for name in names:
        if name not in dataset.frame.columns:
            known = ", ".join(map(str, dataset.frame.columns))
            raise DataError(f"no column '{name}' in {dataset.name}; its columns are: {known}")
    if not names:
        raise FormulaError(f"{shown(written(node))}: the response is made of no column")
    missing = dataset.frame[names].isna().any(axis=1).to_numpy()
    columns = {name: column_value(dataset.frame[name][~missing]) for name in names}
    if isinstance(node, Name):
        return columns[node.name], missing
    return evaluate(written(node), columns), missing


def _spread(values: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Values of the rows that have them, over all rows."""
    empty = False if values.dtype == bool else np.nan
    found = np.full(len(missing), empty)
    found[~missing] = values
    return found


def _require_whole(dataset: Dataset, name: str, values: np.ndarray) -> None:
    with np.errstate(invalid="ignore"):
        bad = (values < 0) | (values != np.floor(values))
    _refuse(dataset, bad & ~np.isnan(values), f"'{name}' is no whole number of at least 0")


def _refuse(dataset: Dataset, bad: np.ndarray, why: str) -> None:
    if bad.any():
        raise DataError(f"row {int(np.argmax(bad)) + 1} of {dataset.name}: {why}")
