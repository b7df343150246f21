"""Relations between two fits of one engine of generalised models.

The data are changed, the model is fitted again, the answers are taken back, and both fits are held
against each other. Each may be as far from the optimum as its criterion allows, so twice the
tolerances of the first model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import gammaln

from pp_compare.certified.glmm.model import GlmmModel
from pp_compare.model import Dataset, Fit, Quantity
from pp_compare.model.expression import written
from pp_compare.model.formula import sides
from pp_compare.model.glmm import GlmmDesign, build_glmm_design
from pp_compare.verdict.agreement import Comparison
from pp_compare.verdict.digits import lre
from pp_compare.verdict.glmm_tolerance import criterion_tolerance, glmm_tolerances, rounding_of

ALL = ("beta", "beta_se", "random_cov", "loglik")
UNCODED = ("random_cov", "loglik")
"""Quantities that do not depend on how the fixed part is coded."""

MOST_TRIALS = 2000
"""Rows that one row a trial may make."""


@dataclass(frozen=True, eq=False)
class Changed:
    """A changed model, and by kind the way back from its numbers to those of the first."""

    design: GlmmDesign
    back: Mapping[str, Callable[[np.ndarray], np.ndarray]]


@dataclass(frozen=True)
class GlmmRelation:
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
    change: Callable[[GlmmDesign], Changed | None]


def check_relation(
    relation: GlmmRelation, fit: Callable[[GlmmDesign], Fit], first: Fit, model: GlmmModel
) -> list[Comparison]:
    """Fit the changed model and compare; empty where the relation says nothing here.

    A fit that fails on the changed model only is a failed comparison of the quantity ``fit``.
    """
    changed = relation.change(model.design)
    if changed is None or model.why_not(first.definition):
        return []
    second = fit(changed.design)
    if second.status == "unsupported":
        return []
    if second.status != "ok":
        return [_one_sided(first, second)]
    loglik = float(model.optimum(first.definition).quantities["loglik"].values)
    rounding = rounding_of(model, loglik)
    tolerances = {
        name: (2 * t.values, f"twice {t.reason}")
        for name, t in glmm_tolerances(model, first.definition, rounding).items()
    }
    allowed = np.array(criterion_tolerance(rounding))
    tolerances["loglik"] = (allowed, "twice half the criterion's tolerance")
    return [
        line
        for name, (tolerance, why) in tolerances.items()
        if (kind := name.partition("[")[0]) in relation.kinds
        and name in first.quantities
        and name in second.quantities
        for line in _lines(first, second, changed.back.get(kind, _same), name, tolerance, why)
    ]


def _same(values: np.ndarray) -> np.ndarray:
    return values


def _lines(
    first: Fit,
    second: Fit,
    back: Callable[[np.ndarray], np.ndarray],
    name: str,
    tolerance: np.ndarray,
    why: str,
) -> list[Comparison]:
    one = first.quantities[name]
    other = Quantity(name, back(second[name]), one.rows, one.columns)
    bounds = Quantity(name, np.broadcast_to(tolerance, one.values.shape), one.rows, one.columns)
    found = []
    triples = zip(other.entries(), one.entries(), bounds.entries(), strict=True)
    for (label, value), (_, best), (_, bound) in triples:
        error = abs(value - best)
        verdict = "pass" if error <= bound else "fail"
        found.append(
            Comparison(
                f"{first.engine} on the changed data", first.engine, name, label, value, best,
                error, lre(value, best), bound, why, verdict,  # type: ignore[arg-type]  # two words of Verdict
            )
        )  # fmt: skip
    return found


def _one_sided(first: Fit, second: Fit) -> Comparison:
    nan, sides_ = float("nan"), (f"{second.engine} on the changed data", first.engine)
    why = "; ".join(second.messages) or second.status
    return Comparison(*sides_, "fit", "", nan, nan, nan, 0.0, 0.0, why, "fail", cause="failure")


# ---- the relations ------------------------------------------------------------------------------


def _rebuilt(
    design: GlmmDesign,
    frame: pd.DataFrame,
    y: np.ndarray,
    trials: np.ndarray,
) -> GlmmDesign:
    """The model on changed rows, its response written anew: 0/1, cbind(s, f) or counts."""
    names = [_free(frame, word) for word in ("seen", "missed")]
    right = written(sides(design.formula)[1])
    left, values = names[0], {names[0]: y}
    if design.family == "binomial" and (trials != 1).any():
        left, values[names[1]] = f"cbind({names[0]}, {names[1]})", trials - y
    dataset = Dataset(design.design.dataset.name, frame.assign(**values))
    return build_glmm_design(dataset, f"{left} ~ {right}", design.family)


def _free(frame: pd.DataFrame, word: str) -> str:
    while word in frame:
        word += "_"
    return word


def _frame(design: GlmmDesign) -> pd.DataFrame | None:
    """The data, where every row of them is a row of the model."""
    frame = design.design.dataset.frame.reset_index(drop=True)
    return frame.copy() if len(frame) == len(design.y) else None


def _swapped(design: GlmmDesign) -> Changed | None:
    frame = _frame(design)
    if frame is None or design.family != "binomial" or design.offset.any():
        return None
    other = _rebuilt(design, frame, design.trials - design.y, design.trials)
    return Changed(other, {"beta": np.negative})


def _permuted(design: GlmmDesign) -> Changed | None:
    frame = _frame(design)
    if frame is None:
        return None
    order = np.random.default_rng(20).permutation(len(frame))
    rows = frame.iloc[order].reset_index(drop=True)
    return Changed(_rebuilt(design, rows, design.y[order], design.trials[order]), {})


def _recoded(design: GlmmDesign) -> Changed | None:
    """The last level of every factor of the fixed part becomes the reference."""
    frame, inner = _frame(design), design.design
    if frame is None or not inner.spec.intercept:
        return None
    factors = {
        name: variable
        for name, variable in inner.variables.items()
        if variable.levels is not None and name in frame and name not in inner.groups
    }
    if not factors or any(block.term.terms for block in inner.blocks):
        return None
    for name, variable in factors.items():
        levels = list(variable.levels or ())
        text = np.array(levels, dtype=object)[variable.values]
        frame[name] = pd.Categorical(text, categories=levels[::-1])
    return Changed(_rebuilt(design, frame, design.y, design.trials), {})


def _scaled(design: GlmmDesign, factor: float = 128.0) -> Changed | None:
    """A power of 2, so that rounding has no part in it."""
    frame, inner = _frame(design), design.design
    name = next((n for n in _plain_predictors(design) if frame is not None and n in frame), None)
    if frame is None or name is None:
        return None
    frame[name] = frame[name] * factor
    unit = np.where([label == name for label in inner.labels], factor, 1.0)

    def back(values: np.ndarray) -> np.ndarray:
        return np.asarray(values * unit)

    other = _rebuilt(design, frame, design.y, design.trials)
    return Changed(other, {"beta": back, "beta_se": back})


def _plain_predictors(design: GlmmDesign) -> Sequence[str]:
    """Numeric columns that stand in one fixed term by themselves, and nowhere else."""
    spec = design.design.spec
    terms = [*spec.fixed, *(t for random in spec.random for t in random.terms)]
    return [
        name
        for (name,) in (term for term in spec.fixed if len(term) == 1)
        if sum(any(name in factor for factor in term) for term in terms) == 1
        and (variable := design.design.variables.get(name)) is not None
        and variable.levels is None
    ]


def _twice(design: GlmmDesign) -> Changed | None:
    frame, inner = _frame(design), design.design
    columns = {name for block in inner.blocks for name in block.term.group}
    if frame is None or not columns <= set(frame) or columns & set(inner.variables):
        return None
    copies = [
        frame.assign(**{c: [f"{value} {k}" for value in frame[c].astype(str)] for c in columns})
        for k in "ab"
    ]
    y, trials = np.tile(design.y, 2), np.tile(design.trials, 2)
    other = _rebuilt(design, pd.concat(copies, ignore_index=True), y, trials)
    return Changed(
        other, {"beta_se": lambda se: np.sqrt(2) * se, "loglik": lambda value: value / 2}
    )


def _apart(design: GlmmDesign) -> Changed | None:
    """One row a trial; a random effect for every row of the data keeps its rows together."""
    frame, total = _frame(design), int(design.trials.sum())
    if frame is None or design.family != "binomial" or design.binary or total > MOST_TRIALS:
        return None
    rows = np.repeat(np.arange(len(frame)), design.trials)
    first = np.concatenate([[0], np.cumsum(design.trials)[:-1]])
    place = np.arange(total) - np.repeat(first, design.trials)
    y = (place < design.y[rows]).astype(np.int64)
    other = _rebuilt(design, frame.iloc[rows].reset_index(drop=True), y, np.ones(total, np.int64))
    constant = _constant(design)
    return Changed(other, {"loglik": lambda value: value + constant})


def _constant(design: GlmmDesign) -> float:
    """Sum of log C(n, y): what the order of the trials within a row counts for."""
    y, n = design.y, design.trials
    return float((gammaln(n + 1) - gammaln(y + 1) - gammaln(n - y + 1)).sum())


RELATIONS: tuple[GlmmRelation, ...] = (
    GlmmRelation(
        "outcome-swapped",
        "successes called failures: the fixed effects change their signs, and nothing else",
        ALL,
        _swapped,
    ),
    GlmmRelation(
        "trials-apart",
        "one row a trial: nothing changes but the constant of the log-likelihood",
        ALL,
        _apart,
    ),
    GlmmRelation(
        "clusters-twice",
        "every cluster twice: the same estimates, half the covariance, twice the log-likelihood",
        ALL,
        _twice,
    ),
    GlmmRelation(
        "contrasts-recoded",
        "another reference level changes no variance and no log-likelihood",
        UNCODED,
        _recoded,
    ),
    GlmmRelation("predictor-scaled", "a predictor times c: its coefficient over c", ALL, _scaled),
    GlmmRelation("rows-permuted", "the order of the rows changes nothing", ALL, _permuted),
)


def relation_of(id_: str) -> GlmmRelation | None:
    """The relation of that id; None where there is none."""
    return next((relation for relation in RELATIONS if relation.id == id_), None)
