"""What every adapter owes, whatever it estimates: one Clause a promise of the Engine protocol.

The numbers are not judged here. A clause that is broken makes reports wrong or runs end: a label
that is not ours, an exception that leaves `fit`, data that were changed on the way.
"""

from __future__ import annotations

import math
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import pandas as pd

from pp_compare.conformance.checks import ConformanceError
from pp_compare.data.corpus import case
from pp_compare.model import Dataset, Fit, Method
from pp_compare.model.answer import labels_of, quantities_of
from pp_compare.model.design import Design, build_design
from pp_compare.model.formula import parse_formula
from pp_compare.model.glmm import GlmmDesign
from pp_compare.verdict.agreement import Comparison
from pp_compare.verdict.metamorphic import RELATIONS, check_relation

USUAL = ("seed_case1", "sleepstudy", "Penicillin", "Pastes", "cake_additive")
"""One model of each kind: intercept, slopes, crossed, nested, factors."""

UNDER_ML = frozenset({"sleepstudy", "smallest"})

EDGES = ("no_between_variance", "equal_means", "smallest", "large_ratio", "large_offset")
"""Where programs raise: variances of 0, three rows, numbers far apart."""

ODD = ("a'quote", 'b"quotes"', "c, comma", "d[T.x]", "e\\n", "f ~ (1|g)", "é", "NA", "nan", "TRUE")
"""Names of clusters that mean something in R, in a Python formula, in CSV."""

ODD_COLUMNS = ("lambda", "if", "T")


AnyDesign = Design | GlmmDesign


class Adapter:
    """An engine under contract, with the designs it is asked for and its answers to them."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine

    @cached_property
    def designs(self) -> tuple[AnyDesign, ...]:
        """The usual models and the edges; engines get copies of them."""
        return tuple(_named(name, "ML" if name in UNDER_ML else "REML") for name in USUAL + EDGES)

    def owed(self, design: AnyDesign) -> tuple[str, ...]:
        """Names of the quantities that an answer has."""
        return quantities_of(inner_of(design))

    def arrays(self, design: AnyDesign) -> dict[str, np.ndarray]:
        """What nobody may change."""
        inner = inner_of(design)
        found = {"y": inner.y, "X": inner.X}
        found |= {f"Z of block {i}": block.Z for i, block in enumerate(inner.blocks)}
        return found | {f"codes of block {i}": b.codes for i, b in enumerate(inner.blocks)}

    def ten_clusters(self, names: Sequence[str], y: str, x: str, group: str) -> AnyDesign:
        """Four rows a cluster, a predictor within, with names as given."""
        rng = np.random.default_rng(20)
        codes = np.repeat(np.arange(len(names)), 4)
        values = rng.normal(size=len(codes))
        effects, noise = rng.normal(size=len(names))[codes], rng.normal(size=len(codes))
        response = 1 + 0.5 * values + effects + noise
        frame = pd.DataFrame({y: response, x: values, group: np.repeat(names, 4)})
        spec = parse_formula(f"`{y}` ~ `{x}` + (1|`{group}`)", "REML")
        return build_design(Dataset("odd names", frame), spec)

    def contradictions(self) -> Iterator[str]:
        """Where names and order matter, on a model whose optimum is well defined."""
        design = deepcopy(_named("seed_case1", "REML"))
        for relation in RELATIONS:
            if relation.id in {"labels-renamed", "rows-permuted", "column-added"}:
                for line in check_relation(relation, self.engine, design) or []:
                    if line.verdict == "fail":
                        yield contradiction(relation.statement, line)

    @cached_property
    def fits(self) -> tuple[tuple[AnyDesign, Fit], ...]:
        """What `fit` returns for each design.

        Raises
        ------
        ConformanceError
            Where it raises, or returns something else than a Fit.
        """
        return tuple((design, self.fit(deepcopy(design))) for design in self.designs)

    @property
    def answers(self) -> list[tuple[AnyDesign, Fit]]:
        """The fits with status ``"ok"``.

        Raises
        ------
        ConformanceError
            Where there is none.
        """
        found = [(design, fit) for design, fit in self.fits if fit.status == "ok"]
        if not found:
            said = {f"{_title(d)}: {fit.status}: {'; '.join(fit.messages)}" for d, fit in self.fits}
            raise ConformanceError(f"it fits none of the models:\n  {_lines(sorted(said))}")
        return found

    def fit(self, design: AnyDesign) -> Fit:
        """Fit a design, and be sure that a Fit comes back."""
        try:
            fit = self.engine.fit(design)
        except Exception as error:
            raise ConformanceError(
                f"fit raised {type(error).__name__}: {error} on {_title(design)}; "
                "return Fit.failed(name, reason)"
            ) from error
        if not isinstance(fit, Fit):
            raise ConformanceError(f"fit returned a {type(fit).__name__}, not a Fit")
        return fit


@dataclass(frozen=True)
class Clause:
    """One promise.

    Parameters
    ----------
    id : str
    promise : str
        In one line.
    broken : callable
        Every way in which an adapter breaks it, in words.
    """

    id: str
    promise: str
    broken: Callable[[Adapter], Iterator[str]]

    def __call__(self, adapter: Adapter) -> None:
        """Hold an adapter to the promise.

        Raises
        ------
        ConformanceError
            With every way in which it is broken.
        """
        found = list(dict.fromkeys(self.broken(adapter)))
        if found:
            raise ConformanceError(
                f"{adapter.engine.name!r} breaks the contract '{self.id}': {self.promise}\n"
                f"  {_lines(found)}"
            )


@cache
def _named(name: str, method: Method) -> Design:
    known = case(name)
    return build_design(known.dataset, known.spec(method))


def inner_of(design: AnyDesign) -> Design:
    """Rows, matrices and labels of a model, linear or generalised."""
    return design.design if isinstance(design, GlmmDesign) else design


def contradiction(statement: str, line: Comparison) -> str:
    """Two fits of one engine that should be one."""
    return (
        f"{statement}: {line.quantity} {line.label} goes from {line.reference_value!r} to "
        f"{line.candidate_value!r}"
    )


def _title(design: AnyDesign) -> str:
    inner = inner_of(design)
    of = design.family if isinstance(design, GlmmDesign) else inner.spec.method
    return f"{inner.dataset.name} {of} '{inner.spec.formula}'"


def _lines(found: list[str]) -> str:
    return "\n  ".join(found)


# ---- the clauses --------------------------------------------------------------------------------


def _name(adapter: Adapter) -> Iterator[str]:
    name = adapter.engine.name
    if not isinstance(name, str) or not name or name != "".join(name.split()):
        yield f"name is {name!r}; it is a word, as in 'statsmodels' or 'statsmodels:lbfgs'"
    for _, fit in adapter.fits:
        if fit.engine != name:
            yield f"its Fit says that engine '{fit.engine}' made it"


def _unsupported(adapter: Adapter) -> Iterator[str]:
    for design, fit in adapter.fits:
        reason = adapter.engine.unsupported(design)
        if reason is not None and (not isinstance(reason, str) or not reason.strip()):
            yield f"unsupported gives {reason!r} for {_title(design)}; it is None or a reason"
        elif (reason is None) == (fit.status == "unsupported"):
            yield f"unsupported gives {reason!r} for {_title(design)}, but its Fit is {fit.status}"


def _never_raises(adapter: Adapter) -> Iterator[str]:
    for design, fit in adapter.fits:
        if fit.status not in ("ok", "error", "unsupported"):
            yield f"status is {fit.status!r} for {_title(design)}"
        if fit.status != "ok" and not any(text.strip() for text in fit.messages):
            yield f"{_title(design)}: status {fit.status} without a reason in messages"
        if fit.status != "ok" and fit.quantities:
            yield f"{_title(design)}: status {fit.status} with quantities"


def _quantities(adapter: Adapter) -> Iterator[str]:
    for design, fit in adapter.answers:
        for name in adapter.owed(design):
            if name not in fit.quantities and name.partition("[")[0] not in fit.not_given:
                yield f"{_title(design)}: no {name}, and not_given does not say why"
        for name in set(fit.quantities) - set(adapter.owed(design)):
            yield f"{_title(design)}: no model has a quantity '{name}'"


def _labels(adapter: Adapter) -> Iterator[str]:
    for design, fit in adapter.answers:
        for name in set(fit.quantities) & set(adapter.owed(design)):
            quantity, wanted = fit.quantities[name], labels_of(inner_of(design), name)
            if (quantity.rows, quantity.columns) != wanted:
                axes = zip((quantity.rows, quantity.columns), wanted, strict=True)
                shown = " and ".join(f"{_few(a)}, not {_few(b)}" for a, b in axes if a != b)
                yield f"{_title(design)}: {name} is labelled {shown}"


def _few(labels: tuple[str, ...]) -> str:
    more = ", ..." if len(labels) > 3 else ""
    return f"({', '.join(map(repr, labels[:3]))}{more})"


def _leaves_data(adapter: Adapter) -> Iterator[str]:
    for known in adapter.designs:
        design, frame = deepcopy(known), inner_of(known).dataset.frame
        adapter.fit(design)
        before = adapter.arrays(known)
        for name, now in adapter.arrays(design).items():
            if now.tobytes() != before[name].tobytes():
                yield f"{_title(design)}: fit changed the design's {name}"
        if not inner_of(design).dataset.frame.equals(frame):
            yield f"{_title(design)}: fit changed the data"


def _deterministic(adapter: Adapter) -> Iterator[str]:
    for design, first in adapter.fits:
        second = adapter.fit(deepcopy(design))
        if first.status != second.status:
            yield f"{_title(design)}: first {first.status}, then {second.status}"
        for name in set(first.quantities) & set(second.quantities):
            if first[name].tobytes() != second[name].tobytes():
                yield f"{_title(design)}: {name} is not the same bits the second time"


def _odd_labels(adapter: Adapter) -> Iterator[str]:
    usual = [f"g{i}" for i in range(len(ODD))]
    plain = adapter.fit(adapter.ten_clusters(usual, "y", "x", "g"))
    odd = adapter.fit(adapter.ten_clusters(ODD, *ODD_COLUMNS))
    if odd.status != plain.status:
        called = f"columns {', '.join(ODD_COLUMNS)} and clusters {', '.join(ODD)}"
        yield f"with {called}: {odd.status}: {'; '.join(odd.messages)}"
    for name in plain.quantities if odd.status == "ok" else ():
        other = odd.quantities.get(name.replace("[g]", f"[{ODD_COLUMNS[2]}]"))
        if other is None or other.values.shape != plain[name].shape:
            yield f"{name} is missing, or of another shape, with odd names"
        elif name in {"blup[g]", "cluster_mean[g]"} and set(other.rows) != set(ODD):
            yield f"{name} is labelled {_few(other.rows)}, not by the names of the clusters"


def _keeps_relations(adapter: Adapter) -> Iterator[str]:
    yield from adapter.contradictions()


def _pickles(adapter: Adapter) -> Iterator[str]:
    for design, fit in adapter.fits:
        try:
            back = pickle.loads(pickle.dumps(fit))  # noqa: S301  # bytes made one call earlier
        except Exception as error:  # whatever pickle meets
            yield f"{_title(design)}: its Fit does not pickle: {type(error).__name__}: {error}"
            return
        for name in fit.quantities:
            if back[name].tobytes() != fit[name].tobytes():
                yield f"{_title(design)}: {name} is not the same after pickling"


def _versions(adapter: Adapter) -> Iterator[str]:
    package = adapter.engine.name.partition(":")[0]
    for design, fit in adapter.answers:
        if package.lower() not in map(str.lower, fit.versions):
            known = ", ".join(fit.versions) or "nothing"
            yield (
                f"{_title(design)}: versions tells of {known}, not of '{package}'; "
                "known deviations are found by it"
            )


def _facts(adapter: Adapter) -> Iterator[str]:
    for design, fit in adapter.answers:
        if fit.converged not in (True, False, None) or fit.singular not in (True, False, None):
            yield f"{_title(design)}: converged {fit.converged!r}, singular {fit.singular!r}"
        if not (math.isfinite(fit.seconds) and fit.seconds >= 0):
            yield f"{_title(design)}: seconds is {fit.seconds!r}"
        error = fit.design_error
        if error is not None and not (math.isfinite(error) and error == 0):
            yield f"{_title(design)}: its model matrix is not ours (design_error {error!r})"


def _leaves_process(adapter: Adapter) -> Iterator[str]:
    for design in adapter.designs:
        before = _process()
        adapter.fit(deepcopy(design))
        for name, now in _process().items():
            if now != before[name]:
                yield f"{_title(design)}: fit changed {name}"


def _process() -> dict[str, object]:
    state = np.random.get_state(legacy=False)  # noqa: NPY002  # the one that others share
    return {
        "the state of numpy.random": pickle.dumps(state),
        "numpy's error handling": np.geterr(),
        "the working directory": os.getcwd(),  # noqa: PTH109  # a string
        "the environment": dict(os.environ),
    }


CONTRACT: tuple[Clause, ...] = (
    Clause("name", "name is its engine id, and that of its Fits", _name),
    Clause(
        "unsupported", "unsupported gives None or the reason, and fit answers alike", _unsupported
    ),
    Clause("fit-never-raises", "fit returns a Fit whatever happens, with a reason", _never_raises),
    Clause("all-quantities", "an answer has every quantity of the model", _quantities),
    Clause("labels", "every number stands under the design's labels", _labels),
    Clause("leaves-data-alone", "fit changes neither the data nor the design", _leaves_data),
    Clause("deterministic", "the same model gives the same bits", _deterministic),
    Clause("odd-labels", "clusters and columns may have any name", _odd_labels),
    Clause("names-do-not-matter", "names and order of rows change no number", _keeps_relations),
    Clause("pickles", "a Fit goes to another process and comes back", _pickles),
    Clause("versions", "a Fit tells the version of the package it is named after", _versions),
    Clause("facts", "convergence, seconds and design_error are what they should be", _facts),
    Clause("leaves-process-alone", "fit changes no state that others share", _leaves_process),
)
"""All clauses, in the order in which it helps to mend them."""
