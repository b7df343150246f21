"""The data sets of a plan: each from the plan and its index alone.

Where there is one grouping factor the Design is put together here, as `build_design` would do it
but without parsing the formula anew: a tenth of the time. Tests hold the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from pp_compare.campaign.plan import Plan, Point
from pp_compare.model import Dataset, Method, ModelSpec
from pp_compare.model.design import Block, Design, build_design
from pp_compare.model.formula import parse_formula
from pp_compare.model.matrices import Column
from pp_compare.model.variables import Variable

INNER = 3
"""Inner clusters in each outer one."""

_DESIGN, _RESPONSE = 1, 2
"""Streams of random numbers; 0 draws the points of a random plan."""

_RANDOM = {
    "intercept": "(1|g)",
    "slope": "(1 + x|g)",
    "slopes": "(1 + x||g)",
    "nested": "(1|a/b)",
    "crossed": "(1|a) + (1|b)",
}


@dataclass(frozen=True, eq=False)
class Sample:
    """One data set of a plan.

    Parameters
    ----------
    index, point_number, replicate : int
    point : Point
    design : Design
    beta : ndarray, shape (p,)
        The fixed effects that it was drawn with, in the order of `design.labels`.
    """

    index: int
    point_number: int
    replicate: int
    point: Point
    design: Design
    beta: np.ndarray


def formula_of(point: Point) -> str:
    """The model in the grammar of lme4."""
    fixed = ["w"] * (point.predictors in {"cluster", "both"}) + ["x"] * has_x(point)
    return f"y ~ {' + '.join(fixed or ['1'])} + {_RANDOM[point.model]}"


def has_x(point: Point) -> bool:
    """Whether there is a predictor within clusters; a random slope needs one."""
    return point.predictors in {"within", "both"} or point.model in {"slope", "slopes"}


def generate(plan: Plan, index: int) -> Sample:
    """Draw the data set of an index."""
    number, replicate = divmod(index, plan.replications)
    point = plan.point(number)
    layout = plan.generator(_DESIGN, number if plan.design == "fixed" else index)
    groups = _groups(point, layout)
    columns = _predictors(point, groups, layout)
    y = _response(point, groups, columns, plan.generator(_RESPONSE, index))
    design = _design(point, f"{plan.name}-{index}", {"y": y, **columns}, groups)
    truth = {"Intercept": point.offset, "w": point.effect, "x": point.effect}
    beta = np.array([truth[label] for label in design.labels])
    return Sample(index, number, replicate, point, design, beta)


def _sizes(count: int, point: Point, rng: np.random.Generator) -> np.ndarray:
    """Rows of each cluster: at least one; two and a few more rows than effects in the first."""
    weights = np.exp(point.imbalance * rng.standard_normal(count))
    sizes = np.maximum(np.rint(weights / weights.sum() * (count * point.rows)), 1).astype(np.int64)
    sizes[0] = max(sizes[0], 2, 5 - sizes[1:].sum())
    return np.asarray(sizes)


def _groups(point: Point, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Code of each row in each grouping factor, from 0."""
    if point.model == "nested":
        inner = np.repeat(
            np.arange(INNER * point.clusters), _sizes(INNER * point.clusters, point, rng)
        )
        return {"a": inner // INNER, "b": inner % INNER}
    codes = np.repeat(np.arange(point.clusters), _sizes(point.clusters, point, rng))
    if point.model == "crossed":
        other = rng.permutation(len(codes)) % max(2, point.clusters // 2)
        return {"a": codes, "b": other}
    return {"g": codes}


def _predictors(
    point: Point, groups: Mapping[str, np.ndarray], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    outer = next(iter(groups.values()))
    found = {}
    if point.predictors in {"cluster", "both"}:
        found["w"] = (outer % 2).astype(float)
    if has_x(point):
        found["x"] = rng.standard_normal(len(outer))
    return found


def _response(
    point: Point,
    groups: Mapping[str, np.ndarray],
    columns: Mapping[str, np.ndarray],
    rng: np.random.Generator,
) -> np.ndarray:
    """Fixed part, random effects of one variance each, and the residual."""
    tau = np.sqrt(point.tau2)
    mean = np.full(len(next(iter(groups.values()))), point.offset)
    for x in columns.values():
        mean += point.effect * x
    for codes in _effects(groups, point):
        mean += tau * rng.standard_normal(codes.max() + 1)[codes]
    if point.model in {"slope", "slopes"}:
        codes = groups["g"]
        mean += tau * rng.standard_normal(codes.max() + 1)[codes] * columns["x"]
    return np.asarray(mean + point.noise * rng.standard_normal(len(mean)))


def _effects(groups: Mapping[str, np.ndarray], point: Point) -> list[np.ndarray]:
    """Codes of the levels that have a random intercept."""
    if point.model == "nested":
        return [groups["a"], groups["a"] * INNER + groups["b"]]
    return list(groups.values())


def _design(
    point: Point, name: str, columns: Mapping[str, np.ndarray], groups: Mapping[str, np.ndarray]
) -> Design:
    frame = pd.DataFrame({**columns, **{group: codes + 1 for group, codes in groups.items()}})
    dataset = Dataset(name, frame, "generated by a plan")
    formula = formula_of(point)
    if "g" not in groups:
        return build_design(dataset, parse_formula(formula, point.method))
    spec, pattern, blocks = _pattern(formula, point.method)
    return _assemble(dataset, spec, pattern, blocks, columns, groups["g"])


def _assemble(
    dataset: Dataset,
    spec: ModelSpec,
    pattern: tuple[Column, ...],
    blocks: tuple[Block, ...],
    columns: Mapping[str, np.ndarray],
    codes: np.ndarray,
) -> Design:
    levels = _levels(int(codes.max()) + 1)
    return Design(
        dataset=dataset,
        spec=spec,
        y=columns["y"],
        X=_matrix(pattern, columns, len(codes)),
        columns=pattern,
        blocks=tuple(
            Block(b.term, "g", levels, codes, b.columns, _matrix(b.columns, columns, len(codes)))
            for b in blocks
        ),
        variables={name: Variable(name, name, values) for name, values in columns.items()},
        groups={"g": Variable("g", "g", codes, levels)},
        intercept=spec.intercept,
        fixed=spec.fixed,
    )


def _matrix(pattern: tuple[Column, ...], columns: Mapping[str, np.ndarray], n: int) -> np.ndarray:
    """Intercept and plain columns: all that there is here."""
    found = [columns[c.factors[0].variable] if c.factors else np.ones(n) for c in pattern]
    return np.column_stack(found)


@cache
def _pattern(
    formula: str, method: Method
) -> tuple[ModelSpec, tuple[Column, ...], tuple[Block, ...]]:
    """What a formula makes of any data: its columns and blocks, from a small table."""
    g = np.repeat([1, 2, 3, 4], 3)
    x = np.arange(12.0) ** 2
    frame = pd.DataFrame({"y": np.sin(x), "w": (g - 1) % 2 * 1.0, "x": x, "g": g})
    design = build_design(Dataset("pattern", frame), parse_formula(formula, method))
    return design.spec, design.columns, design.blocks


@cache
def _levels(count: int) -> tuple[str, ...]:
    return tuple(str(j + 1) for j in range(count))
