"""What R is asked and what it answers, whichever way the two travel.

`r/fit.R` says what is in a request and an answer. A `Session` carries them (rpy2 in this process,
or an Rscript command); a `Dialect` writes the request of one R package and reads its names back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pp_compare.engines.alignment import align, design_error
from pp_compare.errors import EngineError, UnavailableError
from pp_compare.model import Fit, Term
from pp_compare.model.answer import labelled, predicted
from pp_compare.model.design import Block, Design
from pp_compare.model.matrices import Column
from pp_compare.model.variables import Variable

Request = dict[str, Any]
"""Plain values: bool, float, str, arrays of float64 and int32, lists and mappings of these."""
WEIGHTS, OFFSET = "pp.weights", "pp.offset"
"""Columns of ``r/fit.R``; names with a dot are no alias, so no column of the data has them."""
Answer = dict[str, Any]
"""What R returned: arrays of float64, lists of str or of bool and None, mappings of these."""


class Session(Protocol):
    """Something that calls a function of ``r/fit.R``."""

    @property
    def road(self) -> str:
        """How R is reached, as in ``rpy2 3.6.4``."""

    def call(self, function: str, request: Request) -> Answer:
        """Call the R function.

        Raises
        ------
        EngineError
            Where R did not answer, in R's words.
        """


@dataclass(frozen=True, eq=False)
class Effects:
    """Numbers of some random effects of one grouping factor, under our labels.

    `rows` are levels for predicted effects, and `columns` again for covariances.
    """

    group: str
    rows: Sequence[str]
    columns: Sequence[str]
    values: np.ndarray


class Dialect(Protocol):
    """How one R package is asked for a model, and how it names what it found."""

    @property
    def function(self) -> str:
        """The function of ``r/fit.R``."""

    @property
    def settings(self) -> Mapping[str, str]:
        """What is asked beyond the package's defaults."""

    def unsupported(self, design: Design) -> str | None:
        """Why the package cannot express the model; None where it can."""

    def request(self, design: Design) -> Request:
        """Everything R needs for the fit."""

    def covariances(self, design: Design, answer: Answer) -> list[Effects]:
        """Covariance of each random term."""

    def predictions(self, design: Design, answer: Answer) -> list[Effects]:
        """Predicted random effects of each grouping factor."""


@dataclass(frozen=True)
class REngine:
    """An R package as an Engine.

    Parameters
    ----------
    name : str
        Engine id.
    dialect : Dialect
    session : Session
    seconds : float
        Elapsed time after which R stops its own code; compiled code runs on to its end.
    """

    name: str
    dialect: Dialect
    session: Session
    seconds: float = float("inf")
    weighted = True

    @property
    def road(self) -> str:
        """How R is reached."""
        return self.session.road

    def unsupported(self, design: Design) -> str | None:
        """Why the package cannot express the model; None where it can."""
        return self.dialect.unsupported(design)

    def fit(self, design: Design) -> Fit:
        """Fit the model in R; an R error becomes a Fit with status ``"error"`` in R's words."""
        asked = ask(self.name, self.dialect, design, self.seconds)
        if isinstance(asked, Fit):
            return asked
        try:
            answer = self.session.call(self.dialect.function, asked)
        except (EngineError, UnavailableError) as error:
            return Fit.failed(self.name, str(error), settings=self.dialect.settings)
        return read_fit(self.name, self.dialect, design, answer)


def ask(name: str, dialect: Dialect, design: Design, seconds: float) -> Request | Fit:
    """The request of a fit; a Fit that says why where there can be none."""
    reason = dialect.unsupported(design)
    if reason is not None:
        return Fit.unsupported(name, reason)
    try:
        return dialect.request(design) | {"limit": seconds}
    except EngineError as error:
        return Fit.failed(name, str(error), settings=dialect.settings)


def base_request(design: Design) -> Request:
    """Data, fixed part and criterion: what both dialects ask alike."""
    spec = design.spec
    refuse_ambiguous(design)
    columns = {variable.alias: variable for variable in design.variables.values()}
    columns |= {group_column(design, block): _group_variable(block) for block in design.blocks}
    data = {name: _vector(variable) for name, variable in columns.items()}
    if design.weights is not None:
        data[WEIGHTS] = np.ascontiguousarray(design.weights)
    return {
        "data": data,
        "levels": {n: list(v.levels) for n, v in columns.items() if v.levels is not None},
        "response": design.alias(spec.response),
        "intercept": design.intercept,
        "fixed": terms_of(design, design.fixed),
        "REML": spec.method == "REML",
    }


def _group_variable(block: Block) -> Variable:
    return Variable(block.group, block.group, block.codes, block.levels)


def _vector(variable: Variable) -> np.ndarray:
    if variable.levels is None:
        return np.ascontiguousarray(variable.values, dtype=np.float64)
    return np.ascontiguousarray(variable.values + 1, dtype=np.int32)


def group_column(design: Design, block: Block) -> str:
    """Name of a grouping factor's column in R; aliases hold no dot, so ``a.b`` is nobody else's."""
    return ".".join(design.groups[name].alias for name in block.term.group)


def terms_of(design: Design, terms: Sequence[Term]) -> list[list[str]]:
    """Terms by the aliases of their variables."""
    return [[design.alias(name) for name in term] for term in terms]


def r_name(design: Design, column: Column, terms: Sequence[Term]) -> str:
    """The name that R's model.matrix() gives to a column of the model with these terms.

    Within an interaction R orders variables by their first appearance (terms.formula).
    """
    order = list(dict.fromkeys(name for term in terms for name in term))
    factors = sorted(column.factors, key=lambda factor: order.index(factor.variable))
    return ":".join(design.alias(f.variable) + (f.level or "") for f in factors) or "(Intercept)"


def fixed_names(design: Design) -> list[str]:
    """R's name of each column of the fixed part."""
    return [r_name(design, column, design.fixed) for column in design.columns]


def effect_names(design: Design, block: Block) -> list[str]:
    """R's name of each random effect of a block."""
    return [r_name(design, column, block.term.terms) for column in block.columns]


def our_names(design: Design, column: str) -> tuple[str, dict[str, str]]:
    """Our name of the grouping factor in a column, and our labels of its effects by R's names."""
    blocks = [block for block in design.blocks if group_column(design, block) == column]
    if not blocks:
        raise KeyError(column)
    pairs = [pair for b in blocks for pair in zip(effect_names(design, b), b.labels, strict=True)]
    return blocks[0].group, dict(pairs)


def covariance(design: Design, term: Answer) -> Effects:
    """The covariance of the effects of one grouping factor, under our labels."""
    group, labels = our_names(design, term["group"][0])
    ours = [labels[name] for name in term["effects"]]
    return Effects(group, ours, ours, term["values"].reshape(len(ours), len(ours)))


def prediction(
    design: Design, table: Answer, levels: Callable[[str], Mapping[str, str]] | None = None
) -> Effects:
    """Predicted effects of one grouping factor; `levels` gives our level by R's name of it."""
    group, labels = our_names(design, table["group"][0])
    ours = [labels[name] for name in table["columns"]]
    ours_of = levels(group) if levels else {name: name for name in table["rows"]}
    rows = [ours_of[name] for name in table["rows"]]
    return Effects(group, rows, ours, table["values"].reshape(-1, len(ours), order="F"))


def refuse_ambiguous(design: Design) -> None:
    """Refuse two columns or two levels that R would call alike.

    Raises
    ------
    EngineError
        With the name: level "1" of factor x and column x1 are both ``x1`` to R.
    """
    groups = dict.fromkeys(design.group_levels)
    of_group = [
        [n for b in design.blocks if b.group == g for n in effect_names(design, b)] for g in groups
    ]
    for names in [fixed_names(design), *of_group, *map(list, design.group_levels.values())]:
        repeated = next((name for name in names if names.count(name) > 1), None)
        if repeated is not None:
            raise EngineError(
                f"R would call two columns or two levels '{repeated}'; rename a column or a level"
            )


def read_fit(name: str, dialect: Dialect, design: Design, answer: Answer) -> Fit:
    """Make the Fit of an answer, every number aligned by label.

    An answer of ``r/batch.R`` has no predictions and no design of R's own; so has its Fit.
    """
    messages = tuple(dict.fromkeys(answer["messages"]))
    versions = dict(zip(answer["versions"]["names"], answer["versions"]["values"], strict=True))
    if "error" in answer:
        said = (*answer["error"], *messages)
        return Fit(name, "error", messages=said, settings=dialect.settings, versions=versions)
    whole = "fitted" in answer
    try:
        values = _estimates(dialect, design, answer)
        if whole:
            values |= blup(design, dialect.predictions(design, answer))
            values |= predicted(design, answer["fitted"])
    except KeyError as error:
        reason = f"R names {error} differently, or has dropped it"
        said = (reason, *messages)
        return Fit(name, "error", messages=said, settings=dialect.settings, versions=versions)
    return Fit(
        name,
        "ok",
        labelled(design, values),
        converged=answer["converged"][0],
        singular=answer["singular"][0],
        messages=messages,
        settings=dialect.settings,
        versions=versions,
        seconds=float(answer["seconds"][0]),
        design_error=_design_error(design, answer) if whole else None,
    )


def _design_error(design: Design, answer: Answer) -> float:
    theirs = answer["X"]["columns"]
    ours = dict(zip(fixed_names(design), design.labels, strict=True))
    X = answer["X"]["values"].reshape(-1, len(theirs), order="F")
    return design_error(design, [ours.get(name, name) for name in theirs], X, answer["y"])


def _estimates(dialect: Dialect, design: Design, answer: Answer) -> dict[str, np.ndarray]:
    names, wanted = answer["beta"]["names"], fixed_names(design)
    p = len(names)
    cov = align(names, align(names, answer["beta_cov"].reshape(p, p), wanted).T, wanted)
    return {
        "beta": align(names, answer["beta"]["values"], wanted),
        "beta_cov": cov,
        "beta_se": align(names, answer["beta_se"], wanted),
        "sigma": answer["sigma"][0],
        "loglik": answer["loglik"][0],
        **random_cov(design, dialect.covariances(design, answer)),
    }


def random_cov(design: Design, pieces: Sequence[Effects]) -> dict[str, np.ndarray]:
    """One block-diagonal matrix a grouping factor; nan where R gave no variance."""
    found = {}
    for group in design.group_levels:
        labels = design.random_labels(group)
        matrix = np.diag(np.full(len(labels), np.nan))
        for piece in (piece for piece in pieces if piece.group == group):
            at = [labels.index(label) for label in piece.columns]
            matrix[np.ix_(at, at)] = piece.values
        found[f"random_cov[{group}]"] = matrix
    return found


def blup(design: Design, pieces: Sequence[Effects]) -> dict[str, np.ndarray]:
    """One table a grouping factor, (m, q); nan where R gave no effect."""
    found = {}
    for group, levels in design.group_levels.items():
        labels = design.random_labels(group)
        values = np.full((len(levels), len(labels)), np.nan)
        for piece in (piece for piece in pieces if piece.group == group):
            rows = align(piece.rows, piece.values.T, levels).T
            values[:, [labels.index(label) for label in piece.columns]] = rows
        found[f"blup[{group}]"] = values
    return found
