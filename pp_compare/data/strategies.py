"""Hypothesis strategies: clustered data sets with a model that can be fitted to them.

Every example is a (Dataset, ModelSpec) whose variances can all be told apart (`_identified`), by
construction and not by filtering: a predictor that would spoil that is left out, and a response
that the model would fit exactly is moved in one row. Examples shrink to few clusters, few rows,
small whole numbers, no predictors, rows in the order of the clusters and a scale of 1. (Hypothesis
takes fewer choices to be simpler, so a simple kind of value must not need more choices than a
complicated one: all of them draw the same, and use what they need.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from pp_compare.model import Dataset, Method, ModelSpec
from pp_compare.model.formula import parse_formula

Example = tuple[Dataset, ModelSpec]
METHODS: tuple[Method, ...] = ("REML", "ML")

# Beyond this the normalised design has lost so many digits that little is left to compare.
_LARGEST_CONDITION = 1e6
# Drawn one by one they shrink well, but Hypothesis has a budget of choices for each example.
_MOST_DRAWN_VALUES = 24


@dataclass(frozen=True)
class Ranges:
    """How far generated data go.

    Parameters
    ----------
    clusters, rows : int
        Largest number of clusters, and of rows in one of them.
    crowd : int
        Rows that one cluster may have on top: the strong imbalance.
    predictors : int
        Largest number of predictors on each level.
    scale_decades : int
        The response is multiplied by a power of ten up to this, up or down.
    offset_decades : int
        A power of ten up to this, times the scale, is added to the response.
    """

    clusters: int = 12
    rows: int = 10
    crowd: int = 200
    predictors: int = 3
    scale_decades: int = 6
    offset_decades: int = 4


@dataclass
class _Draft:
    """An example in the making: a row each of `columns`, `X` and every `Z`."""

    draw: Any
    ranges: Ranges
    rng: np.random.Generator
    groups: dict[str, np.ndarray]
    columns: dict[str, Any] = field(default_factory=dict)
    X: np.ndarray = field(init=False)
    Z: list[np.ndarray] = field(init=False)
    fixed: list[str] = field(default_factory=list)
    factors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.X = np.ones((self.n, 1))
        self.Z = [_indicators(codes) for codes in self.groups.values()]

    @property
    def n(self) -> int:
        return len(next(iter(self.groups.values())))

    def add_predictor(self, name: str, values: Any, coded: np.ndarray) -> bool:
        """Add a predictor if it varies and the model stays identified with it."""
        X = np.column_stack([self.X, coded])
        if not coded.size or not _identified(X, self.Z):
            return False
        self.X, self.columns[name] = X, values
        self.fixed.append(name)
        return True


@st.composite
def clustered_datasets(
    draw: st.DrawFn,
    *,
    cluster_level: bool = True,
    within: bool = False,
    slopes: bool = False,
    methods: Sequence[Method] = METHODS,
    ranges: Ranges = Ranges(),
) -> Example:
    """One grouping factor ``g`` with a random intercept or more.

    Parameters
    ----------
    cluster_level : bool
        Predictors that are constant within clusters (binary, categorical, whole, continuous).
    within : bool
        Predictors that vary within clusters.
    slopes : bool
        A random slope for a within-cluster predictor ``x``, correlated with the intercept or not.
    methods : sequence of {"REML", "ML"}
    ranges : Ranges
    """
    sizes = _sizes(draw, ranges, smallest=2 if slopes else 1)
    draft = _draft(draw, ranges, {"g": np.repeat(np.arange(len(sizes)), sizes)})
    random = _add_slope(draft) if slopes else "(1|g)"
    if cluster_level:
        _add_predictors(draft, "w", draft.groups["g"])
    if within:
        _add_predictors(draft, "x" if not slopes else "z", np.arange(draft.n))
    return _example(draft, random, methods)


def random_intercept_cluster_level(**options: Any) -> st.SearchStrategy[Example]:
    """``y ~ w1 + ... + (1|g)``, every column of X constant within clusters: the core identity."""
    return clustered_datasets(cluster_level=True, within=False, **options)


def random_intercept(**options: Any) -> st.SearchStrategy[Example]:
    """``y ~ w1 + ... + x1 + ... + (1|g)``, with predictors on both levels."""
    return clustered_datasets(cluster_level=True, within=True, **options)


def random_slopes(**options: Any) -> st.SearchStrategy[Example]:
    """``y ~ x + ... + (x|g)`` or ``(x||g)``."""
    return clustered_datasets(cluster_level=True, slopes=True, **options)


@st.composite
def nested(
    draw: st.DrawFn,
    *,
    methods: Sequence[Method] = METHODS,
    ranges: Ranges = Ranges(clusters=6, rows=5),
) -> Example:
    """``y ~ w1 + ... + (1|a/b)``: clusters in clusters, b labelled afresh in each a or not."""
    parts = _list(draw, st.integers(2, ranges.clusters), st.integers(1, 4))
    parts[0] = max(parts[0], 2)  # else a and a:b are the same
    outer = np.repeat(np.arange(len(parts)), parts)
    sizes = _list(draw, st.just(len(outer)), st.integers(1, ranges.rows))
    sizes[0] = max(sizes[0], 2)
    inner = np.arange(len(outer)) - np.searchsorted(outer, outer)
    unique = draw(st.booleans())
    draft = _draft(
        draw,
        ranges,
        {"a": np.repeat(outer, sizes), "b": np.repeat(np.arange(len(outer)), sizes)},
    )
    if not unique:
        draft.columns["b"] = np.repeat(inner, sizes) + 1
    _add_predictors(draft, "w", draft.groups["a"])
    return _example(draft, "(1|a) + (1|b)" if unique else "(1|a/b)", methods)


@st.composite
def crossed(
    draw: st.DrawFn, *, methods: Sequence[Method] = METHODS, ranges: Ranges = Ranges(clusters=6)
) -> Example:
    """``y ~ x1 + ... + (1|a) + (1|b)``: a table whose cells have any number of rows, also none."""
    shape = draw(st.integers(2, ranges.clusters)), draw(st.integers(2, ranges.clusters))
    cells = shape[0] * shape[1]
    counts = np.array(_list(draw, st.just(cells), st.integers(0, 3))).reshape(shape)
    # A full first row and column connect all levels; the spare row tells the residual variance.
    counts[0], counts[:, 0] = np.maximum(counts[0], 1), np.maximum(counts[:, 0], 1)
    counts[0, 0] += 1
    a, b = (np.repeat(index.ravel(), counts.ravel()) for index in np.indices(shape))
    draft = _draft(draw, ranges, {"a": a, "b": b})
    _add_predictors(draft, "x", np.arange(draft.n))
    return _example(draft, "(1|a) + (1|b)", methods)


def _sizes(draw: st.DrawFn, ranges: Ranges, smallest: int) -> np.ndarray:
    sizes = _list(draw, st.integers(2, ranges.clusters), st.integers(smallest, ranges.rows))
    # One row more than the smallest somewhere, or no row is left for the residual variance.
    sizes[0] = max(sizes[0], smallest + 1)
    sizes[-1] += draw(st.sampled_from((0, 0, 0, ranges.crowd // 10, ranges.crowd)))
    return np.array(sizes)


def _list(
    draw: st.DrawFn, length: st.SearchStrategy[int], each: st.SearchStrategy[int]
) -> list[int]:
    """A list whose length is drawn evenly; Hypothesis' own are mostly short."""
    n = draw(length)
    return draw(st.lists(each, min_size=n, max_size=n))


def _draft(draw: st.DrawFn, ranges: Ranges, groups: dict[str, np.ndarray]) -> _Draft:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    draft = _Draft(draw, ranges, rng, groups)
    style = draw(st.sampled_from(("{}", "c{}", "B a {}", "é{}")))
    for name, codes in groups.items():
        labels = [j + 1 if style == "{}" else style.format(j + 1) for j in range(codes.max() + 1)]
        draft.columns[name] = np.array(labels)[codes]
    return draft


def _add_slope(draft: _Draft) -> str:
    """A predictor x within clusters with a random slope; returns the random term."""
    codes = draft.groups["g"]
    x = np.arange(draft.n) - np.searchsorted(codes, codes).astype(float)  # 0, 1, 2, ... in each
    if draft.draw(st.booleans()):
        x += draft.rng.normal(0, 0.2, draft.n)
    draft.columns["x"], draft.X = x, np.column_stack([draft.X, x])
    draft.fixed.append("x")
    draft.Z.append(draft.Z[0] * x[:, None])
    return str(draft.draw(st.sampled_from(("(x|g)", "(x||g)"))))


def _add_predictors(draft: _Draft, letter: str, units: np.ndarray) -> None:
    """Up to so many predictors, each constant within the units (clusters, or single rows)."""
    kinds = st.sampled_from(("binary", "arm", "categorical", "whole", "continuous"))
    for i in range(draft.draw(st.integers(0, draft.ranges.predictors))):
        name, kind = f"{letter}{i + 1}", draft.draw(kinds)
        if kind in ("arm", "categorical"):
            levels = ["control", "intervention"] if kind == "arm" else ["low", "mid", "high", "10"]
            codes = _whole(draft, units, len(levels) - 1)
            coded = _indicators(codes)[:, np.unique(codes)[1:]]
            values: Any = pd.Categorical([levels[code] for code in codes], categories=levels)
            if draft.add_predictor(name, values, coded):
                draft.factors.append(name)
        else:
            values = _numbers(draft, units, kind)
            draft.add_predictor(name, values, values[:, None])


def _numbers(draft: _Draft, units: np.ndarray, kind: str) -> np.ndarray:
    whole = _whole(draft, units, 1 if kind == "binary" else 9).astype(float)
    if kind != "continuous":
        return whole
    offset = draft.draw(st.sampled_from((0.0, 10.0, -1000.0)))
    scale = 10.0 ** draft.draw(st.integers(-4, 4))
    return np.asarray((draft.rng.normal(size=units.max() + 1)[units] + offset) * scale)


def _whole(draft: _Draft, units: np.ndarray, largest: int) -> np.ndarray:
    """A whole number from 0 to `largest` for each unit, the first of them drawn one by one."""
    m = int(units.max()) + 1
    drawn = _list(draft.draw, st.just(min(m, _MOST_DRAWN_VALUES)), st.integers(0, largest))
    rest = draft.rng.integers(0, largest + 1, m - len(drawn))
    return np.asarray(np.append(np.array(drawn, dtype=np.int64), rest)[units])


def _example(draft: _Draft, random: str, methods: Sequence[Method]) -> Example:
    """Draw the response, put the columns together, write the formula."""
    y = _leave_a_residual(draft, _response(draft))
    scale = 10.0 ** _signed(draft, draft.ranges.scale_decades)
    decades = _signed(draft, draft.ranges.offset_decades)  # the offset's sign and power of ten
    frame = pd.DataFrame({"y": (y + np.sign(decades) * 10.0 ** abs(decades)) * scale})
    frame = frame.assign(**draft.columns)
    if draft.draw(st.booleans()):
        frame = frame.iloc[draft.rng.permutation(draft.n)].reset_index(drop=True)
    # A factor first spans the intercept, so that leaving the intercept out changes nothing else.
    first = sorted(draft.fixed, key=lambda name: name not in draft.factors)
    leave_out = draft.factors and draft.draw(st.sampled_from((False, False, False, True)))
    fixed = ["0", *first] if leave_out else first or ["1"]
    formula = f"y ~ {' + '.join([*fixed, random])}"
    method = draft.draw(st.sampled_from(tuple(methods)))
    return Dataset("generated", frame, "generated"), parse_formula(formula, method)


def _signed(draft: _Draft, largest: int) -> int:
    return int(draft.draw(st.integers(-largest, largest)))


def _response(draft: _Draft) -> np.ndarray:
    """Small whole numbers, or normal values of a drawn ICC, rounded to few decimals or not."""
    kind = draft.draw(st.sampled_from(("whole", "rounded", "continuous")))
    whole = _whole(draft, np.arange(draft.n), 9).astype(float)
    icc = draft.draw(st.sampled_from((0.0, 0.001, 0.05, 0.3, 0.8, 0.99, 0.9999)))
    decimals = draft.draw(st.integers(0, 2))
    if kind == "whole":
        return whole
    y = np.sqrt(1 - icc) * draft.rng.normal(size=draft.n)
    for Z in draft.Z:
        y += np.sqrt(icc / len(draft.Z)) * (Z @ draft.rng.normal(size=Z.shape[1]))
    y += draft.X @ (draft.rng.normal(size=draft.X.shape[1]) / np.abs(draft.X).max(axis=0))
    return np.asarray(y if kind == "continuous" else y.round(decimals))


def _leave_a_residual(draft: _Draft, y: np.ndarray) -> np.ndarray:
    """Move one row by 1 where the fixed and random effects would fit the response exactly."""
    basis, values, _ = np.linalg.svd(np.hstack([_unit(draft.X), *draft.Z]), full_matrices=False)
    basis = basis[:, values > values[0] * draft.n * np.finfo(float).eps]
    residual = y - basis @ (basis.T @ y)
    if np.abs(residual).max() > 1e-6 * np.abs(y).max():
        return y
    freest = np.argmin((basis**2).sum(axis=1))  # least leverage: what it moves by stays residual
    return np.asarray(y + (np.arange(draft.n) == freest))


def _identified(X: np.ndarray, Z: list[np.ndarray]) -> bool:
    """Whether every fixed effect and every variance can be told from the others.

    X is well conditioned; the matrices P and P Z Z' P of the random terms, with P the projection
    off X, are linearly independent, which makes the REML information regular at equal variances
    (Searle, Casella and McCulloch 1992, section 6.6); and a residual is left.
    """
    scaled, (n, p) = _unit(X), X.shape
    if n <= p or np.linalg.cond(scaled) > _LARGEST_CONDITION:
        return False
    if np.linalg.matrix_rank(np.hstack([scaled, *Z])) == n:
        return False
    Q = np.linalg.qr(scaled)[0]
    R = [block - Q @ (Q.T @ block) for block in Z]
    inner = [[np.sum((a.T @ b) ** 2) for a in R] for b in R]
    traces = [np.sum(block**2) for block in R]
    information = np.array(
        [[n - p, *traces], *([t, *row] for t, row in zip(traces, inner, strict=True))]
    )
    norms = np.sqrt(np.diag(information))
    if norms.min() < 1e-6:  # a term inside the span of X, up to rounding
        return False
    return bool(np.linalg.cond(information / np.outer(norms, norms)) < _LARGEST_CONDITION)


def _unit(X: np.ndarray) -> np.ndarray:
    """X with columns of length 1; a column of zeros stays one."""
    return np.asarray(X / np.maximum(np.linalg.norm(X, axis=0), np.finfo(float).tiny))


def _indicators(codes: np.ndarray) -> np.ndarray:
    return np.asarray(codes[:, None] == np.arange(codes.max() + 1), dtype=float)


@st.composite
def one_cluster_and_singletons(draw: st.DrawFn, *, methods: Sequence[Method] = METHODS) -> Example:
    """``y ~ 1 + (1|g)``: one cluster of 2 to 8 rows, the rest of one row; small whole numbers.

    Next to nothing is known of the variance between clusters here: the criterion may have two
    optima, and both sit where rounding is no excuse.
    """
    inside = _list(draw, st.integers(2, 8), st.integers(-2, 2))
    outside = _list(draw, st.integers(2, 4), st.integers(-4, 4))
    y = np.array([*inside, *outside], dtype=float)
    if len(set(inside)) == 1:
        y[0] += 1.0
    g = [1] * len(inside) + list(range(2, len(outside) + 2))
    frame = pd.DataFrame({"y": y, "g": g})
    method = draw(st.sampled_from(tuple(methods)))
    return Dataset("generated", frame, "generated"), parse_formula("y ~ 1 + (1|g)", method)
