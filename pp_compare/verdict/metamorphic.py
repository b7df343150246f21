"""Relations between two fits of one engine: what a change of the data must do to the answers.

Data or formula are changed, the model is fitted again, the answers are taken back to the first
units and labels, and both fits are compared. The tolerance is that of the first model (curvature
and rounding), once for each fit: an engine that is sound on both stays within it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from pp_compare.certified.models import certified_model
from pp_compare.engines import Engine
from pp_compare.model import Dataset, Fit, Quantity
from pp_compare.model.design import Design, build_design
from pp_compare.verdict.agreement import Comparison, compare
from pp_compare.verdict.tolerance import derive_tolerances

ALL = (
    "beta",
    "beta_cov",
    "beta_se",
    "random_cov",
    "sigma",
    "loglik",
    "blup",
    "cluster_mean",
    "fitted",
)
UNCODED = ("random_cov", "sigma", "loglik", "blup", "cluster_mean", "fitted")
"""Quantities that do not depend on how the fixed part is coded."""

Back = Callable[[Fit], dict[str, Quantity]]


@dataclass(frozen=True, eq=False)
class Changed:
    """A changed model, and the way back from its answers to those of the first."""

    design: Design
    back: Back


@dataclass(frozen=True)
class Relation:
    """One relation.

    Parameters
    ----------
    id : str
    statement : str
    kinds : tuple of str
        The kinds of quantities it is about.
    change : callable
        The changed model, or None where the relation does not apply.
    """

    id: str
    statement: str
    kinds: tuple[str, ...]
    change: Callable[[Design], Changed | None]


def check_relation(relation: Relation, engine: Engine, design: Design) -> list[Comparison] | None:
    """Fit both models and compare; None where the relation does not apply to the model.

    A fit that fails on one of the two only is a failed comparison of the quantity ``fit``.
    """
    changed = relation.change(design)
    if changed is None:
        return None
    first, second = engine.fit(design), engine.fit(changed.design)
    if first.status != "ok" or second.status != "ok":
        return [] if first.status == second.status else [_one_sided(first, second)]
    taken_back = replace(second, quantities=changed.back(second))
    wanted = {n: q for n, q in first.quantities.items() if n.partition("[")[0] in relation.kinds}
    tolerances = derive_tolerances(design, certified_model(design))
    return compare(taken_back, replace(first, quantities=wanted), tolerances)


def _one_sided(first: Fit, second: Fit) -> Comparison:
    nan, sides = float("nan"), (second.engine, first.engine)
    why = "; ".join((*first.messages, *second.messages))
    return Comparison(*sides, "fit", "", nan, nan, nan, 0.0, 0.0, why, "fail", cause="failure")


# ---- taking answers back ------------------------------------------------------------------------


def _with(fit: Fit, **change: Callable[[np.ndarray], np.ndarray]) -> dict[str, Quantity]:
    """The quantities of a fit with some kinds changed."""
    found = {}
    for name, q in fit.quantities.items():
        kind = name.partition("[")[0]
        values = change[kind](q.values) if kind in change else q.values
        found[name] = Quantity(name, values, q.rows, q.columns)
    return found


def _same(fit: Fit) -> dict[str, Quantity]:
    return dict(fit.quantities)


def _changed(design: Design, frame: pd.DataFrame, back: Back) -> Changed:
    return Changed(build_design(Dataset(design.dataset.name, frame), design.spec), back)


def _degrees(design: Design) -> int:
    reml = design.spec.method == "REML"
    return design.n_obs - len(design.labels) * reml


def _frame(design: Design) -> pd.DataFrame:
    return design.dataset.frame.copy()


# ---- the relations ------------------------------------------------------------------------------


def _plain_response(design: Design) -> bool:
    """Whether the response is a column and nothing is taken from it: it can then be changed."""
    return design.spec.response in design.dataset.frame and design.offset is None


def _response_scaled(design: Design, factor: float = 1000.0) -> Changed | None:
    if not _plain_response(design):
        return None
    frame = _frame(design)
    frame[design.spec.response] = design.y * factor

    def once(x: np.ndarray) -> np.ndarray:
        return x / factor

    def twice(x: np.ndarray) -> np.ndarray:
        return x / factor**2

    def loglik(x: np.ndarray) -> np.ndarray:
        return np.asarray(x + _degrees(design) * np.log(factor))

    linear = dict.fromkeys(("beta", "beta_se", "sigma", "blup", "cluster_mean", "fitted"), once)
    squared = {"beta_cov": twice, "random_cov": twice, "loglik": loglik}
    return _changed(design, frame, lambda fit: _with(fit, **linear, **squared))


def _response_shifted(design: Design) -> Changed | None:
    """By as much as the response is large, so that it costs no more than one bit."""
    if not design.spec.intercept or not _plain_response(design):
        return None
    frame, by = _frame(design), float(2.0 ** np.floor(np.log2(np.abs(design.y).max())))
    frame[design.spec.response] = design.y + by

    def down(x: np.ndarray) -> np.ndarray:
        return x - by

    def intercept(beta: np.ndarray) -> np.ndarray:
        return beta - by * np.array([label == "Intercept" for label in design.labels])

    return _changed(
        design, frame, lambda fit: _with(fit, beta=intercept, fitted=down, cluster_mean=down)
    )


def _plain_predictor(design: Design) -> str | None:
    """A numeric column that stands in one fixed term by itself, and nowhere else."""
    spec = design.spec
    terms = [*spec.fixed, *(t for random in spec.random for t in random.terms)]
    for (name,) in (term for term in spec.fixed if len(term) == 1):
        alone = sum(any(name in factor for factor in term) for term in terms) == 1
        variable = design.variables.get(name)
        if alone and name in design.dataset.frame and variable and variable.levels is None:
            return name
    return None


def _predictor_scaled(design: Design, factor: float = 128.0) -> Changed | None:
    name = _plain_predictor(design)
    if name is None:
        return None
    frame = _frame(design)
    frame[name] = frame[name] * factor
    unit = np.where([label == name for label in design.labels], factor, 1.0)
    reml = float(np.log(factor)) if design.spec.method == "REML" else 0.0

    def back(fit: Fit) -> dict[str, Quantity]:
        return _with(
            fit,
            beta=lambda b: b * unit,
            beta_se=lambda s: s * unit,
            beta_cov=lambda c: c * np.outer(unit, unit),
            loglik=lambda x: x + reml,  # -log|X'V^-1X| / 2 loses log(factor)
        )

    return _changed(design, frame, back)


def _predictor_shifted(design: Design) -> Changed | None:
    name = _plain_predictor(design)
    if name is None or not design.spec.intercept:
        return None
    frame = _frame(design)
    by = float(np.std(frame[name]))
    frame[name] = frame[name] + by
    at, k = design.labels.index("Intercept"), design.labels.index(name)

    def beta(b: np.ndarray) -> np.ndarray:
        return b + np.where(np.arange(len(b)) == at, by * b[k], 0.0)

    return _changed(design, frame, lambda fit: _with(fit, beta=beta))


def _rows_permuted(design: Design) -> Changed:
    order = np.random.default_rng(20).permutation(design.n_obs)
    frame = _frame(design).iloc[order].reset_index(drop=True)
    return _changed(design, frame, lambda fit: _with(fit, fitted=lambda x: x[np.argsort(order)]))


_NAMES = ("zeta {}", "É{}", "a{}", "B{}", "10{}", "9 {}", "ß{}", "_{}")
"""R sorts these by the locale, Python by code point, people by the number."""


def _labels_renamed(design: Design) -> Changed | None:
    if any(len(block.term.group) > 1 for block in design.blocks):
        return None
    frame, names = _frame(design), {}
    for group, levels in design.group_levels.items():
        new = {old: _NAMES[i % len(_NAMES)].format(i) for i, old in enumerate(levels)}
        frame[group] = [new[levels[code]] for code in design.group_codes[group]]
        names[group] = {name: old for old, name in new.items()}
    return _changed(design, frame, lambda fit: _relabelled(fit, names))


def _relabelled(fit: Fit, names: Mapping[str, Mapping[str, str]]) -> dict[str, Quantity]:
    found = dict(fit.quantities)
    for group, old in names.items():
        for kind in ("blup", "cluster_mean"):
            q = found.get(f"{kind}[{group}]")
            if q is not None:
                rows = tuple(old[row] for row in q.rows)
                found[q.name] = Quantity(q.name, q.values, rows, q.columns)
    return found


def _contrasts_recoded(design: Design) -> Changed | None:
    """The last level of every factor becomes the reference."""
    frame, found = _frame(design), False
    for name, variable in design.variables.items():
        if variable.levels is not None and name in frame and name not in design.groups:
            text = np.array(variable.levels, dtype=object)[variable.values]
            frame[name] = pd.Categorical(text, categories=list(variable.levels[::-1]))
            found = True
    return _changed(design, frame, _same) if found and design.spec.intercept else None


def _formula_reordered(design: Design) -> Changed | None:
    if len(design.spec.fixed) < 2 or not design.spec.intercept:
        return None
    other = build_design(design.dataset, replace(design.spec, fixed=design.spec.fixed[::-1]))
    if set(other.labels) != set(design.labels):
        return None  # which factor is coded in full may depend on the order
    order = [other.labels.index(label) for label in design.labels]

    def back(fit: Fit) -> dict[str, Quantity]:
        cov = fit.quantities["beta_cov"]
        aligned = Quantity(cov.name, cov.values[np.ix_(order, order)], design.labels, design.labels)
        return {**fit.quantities, cov.name: aligned}

    return Changed(other, back)


def _column_added(design: Design) -> Changed:
    return _changed(design, _frame(design).assign(constant_that_no_term_names=1.0), _same)


def _clusters_twice(design: Design) -> Changed | None:
    """Under ML a second copy of every cluster doubles the information and changes no estimate."""
    groups = list(design.group_levels)
    if design.spec.method != "ML" or len(groups) > 1 or len(design.blocks[0].term.group) > 1:
        return None
    text = np.array(design.group_levels[groups[0]], dtype=object)[design.group_codes[groups[0]]]
    copies = [_frame(design).assign(**{groups[0]: [f"{t} {k}" for t in text]}) for k in "ab"]

    def back(fit: Fit) -> dict[str, Quantity]:
        return _with(
            fit,
            beta_cov=lambda c: 2 * c,
            beta_se=lambda s: np.sqrt(2) * s,
            loglik=lambda x: x / 2,
        )

    return _changed(design, pd.concat(copies, ignore_index=True), back)


RELATIONS: tuple[Relation, ...] = (
    Relation(
        "response-scaled",
        "the response times c: every answer in units of c, loglik less df log c",
        ALL,
        _response_scaled,
    ),
    Relation(
        "response-shifted",
        "the response plus c: the intercept and all predictions plus c, nothing else",
        ALL,
        _response_shifted,
    ),
    Relation(
        "predictor-scaled", "a predictor times c: its coefficient over c", ALL, _predictor_scaled
    ),
    Relation(
        "predictor-shifted",
        "a predictor plus c: the intercept less c times its coefficient",
        ("beta", *UNCODED),
        _predictor_shifted,
    ),
    Relation("rows-permuted", "the order of the rows changes nothing", ALL, _rows_permuted),
    Relation("labels-renamed", "the names of the clusters change nothing", ALL, _labels_renamed),
    Relation(
        "contrasts-recoded",
        "another reference level changes no prediction, variance or loglik",
        UNCODED,
        _contrasts_recoded,
    ),
    Relation(
        "formula-reordered", "the order of the terms changes nothing", ALL, _formula_reordered
    ),
    Relation("column-added", "a column that no term names changes nothing", ALL, _column_added),
    Relation(
        "clusters-twice",
        "under ML every cluster twice: the same estimates, half the covariance, twice the loglik",
        ("beta", "beta_cov", "beta_se", "random_cov", "sigma", "loglik"),
        _clusters_twice,
    ),
)
