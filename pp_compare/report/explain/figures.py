"""Figures of an explanation: lines of complete and partial pooling, bars and points of clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pp_compare.inferences.explain import ClusterWeights, Explanation, LevelEffects
from pp_compare.inferences.partial_pooling import cluster_design
from pp_compare.report.svg import INK, WIDTH, inline_svg, legend_above, shared_legend, style
from pp_compare.report.verbatim import visible

OBSERVED, PREDICTED, REFIT = "#8aa9c4", "#d9822b", "#d62728"
PANELS = 3
"""Fixed effects whose weights are drawn; the table has all."""
ROWS = 2000
"""Points that are drawn; of more rows, as many evenly spaced ones."""
NAMED = 24
"""With more clusters than this their names are left out: they would overlap."""


@dataclass(frozen=True, eq=False)
class Place:
    """Where clusters stand on the horizontal axis.

    Parameters
    ----------
    cluster : ndarray, shape (m,)
    width : float
        Room of one cluster.
    ends : (float, float) or None
        Where the two levels of a single two-valued predictor stand; lines join them. None: a line
        steps from cluster to cluster.
    """

    cluster: np.ndarray
    width: float
    ends: tuple[float, float] | None


def lines_figure(e: Explanation, name: str = "lines", *, refit: bool = False) -> str:
    """Observed and predicted cluster means as bars, with the lines of both fits.

    With `refit` the line of lm on the shifted rows too, in red.
    """
    place = place_of(e)
    with style():
        figure = Figure(figsize=(WIDTH, 4.2))
        axes = figure.add_subplot()
        _means(axes, e, place)
        _draw_lines(axes, e, place, refit=refit)
        _finish(axes, e, place)
        return inline_svg(figure, name, _description(e, "bars of observed and predicted means"))


def _means(axes: Axes, e: Explanation, place: Place) -> None:
    """Bars where 0 is near enough to start from, else marks: a bar that is cut misleads."""
    half, p = 0.4 * place.width, e.pooling
    both = np.concatenate([p.observed, p.partially_pooled])
    lowest, highest = np.abs(both).min(), np.abs(both).max()
    of_one_sign = both.min() > 0 or both.max() < 0
    if of_one_sign and lowest > 0.75 * highest:
        axes.scatter(
            place.cluster - half / 2, p.observed, 50, color=OBSERVED, label="observed mean"
        )
        axes.scatter(
            place.cluster + half / 2, p.partially_pooled, 50, color=PREDICTED,
            label="predicted mean",
        )  # fmt: skip
        return
    axes.bar(place.cluster - half / 2, p.observed, half, color=OBSERVED, label="observed mean")
    axes.bar(
        place.cluster + half / 2, p.partially_pooled, half, color=PREDICTED, label="predicted mean"
    )
    axes.axhline(0, color=INK, linewidth=0.6)


def points_figure(e: Explanation, name: str = "points") -> str:
    """Every row as a point, means by cluster, and all lines."""
    place = place_of(e)
    block, p = e.design.blocks[0], e.pooling
    step = -(-e.design.n_obs // ROWS)
    with style():
        figure = Figure(figsize=(WIDTH, 4.2))
        axes = figure.add_subplot()
        axes.scatter(
            place.cluster[block.codes[::step]], e.design.y[::step], s=9, color=INK, alpha=0.35,
            linewidths=0, label="rows" if step == 1 else f"every {step}th row",
        )  # fmt: skip
        side = 0.18 * place.width
        size = 30 + 120 * p.sizes / p.sizes.max()
        axes.scatter(place.cluster - side, p.observed, size, color=OBSERVED, label="observed mean")
        axes.scatter(
            place.cluster + side, p.partially_pooled, size, color=PREDICTED, label="predicted mean"
        )
        _draw_lines(axes, e, place, refit=True)
        _finish(axes, e, place)
        return inline_svg(figure, name, _description(e, "rows as points, means sized by rows"))


def weights_figure(e: Explanation, name: str = "weights") -> str:
    """What each cluster says in each fixed effect, in lm and in the mixed model."""
    sizes = e.pooling.sizes
    return level_weights_figure(
        e.title, e.design.labels, e.group, e.pooling.clusters, sizes, e.weights, name
    )


def level_weights_figure(
    title: str,
    labels: Sequence[str],
    group: str,
    levels: Sequence[str],
    sizes: np.ndarray,
    weights: ClusterWeights,
    name: str,
) -> str:
    """What each level of a factor says in the fixed effects whose weights differ most."""
    shown = most_moved(weights)
    y = np.arange(len(levels))
    with style():
        figure = Figure(figsize=(WIDTH, min(1.6 + 0.32 * len(levels), 9)))
        panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        for axes, k in zip(panels, shown, strict=True):
            axes.barh(y - 0.2, weights.lm[k], 0.4, color=OBSERVED, label="lm")
            axes.barh(y + 0.2, weights.mixed[k], 0.4, color=PREDICTED, label="mixed model")
            axes.axvline(0, color=INK, linewidth=0.8)
            axes.set_xlabel(f"weight in\n{visible(labels[k])}")
            axes.locator_params(axis="x", nbins=4)
        named = len(levels) <= NAMED
        texts = [f"{visible(c)} ({n})" for c, n in zip(levels, sizes.tolist(), strict=True)]
        panels[0].set_yticks(y if named else [], texts if named else [])
        panels[0].set_ylabel(visible(f"{group} (rows)" if named else f"{len(levels)} {group}"))
        panels[0].invert_yaxis()
        shared_legend(figure, panels[0], 2)
        return inline_svg(figure, name, f"{title}: weights of the levels of {group}")


def most_moved(weights: ClusterWeights) -> list[int]:
    """The effects whose weights differ most, in the order of the model; at most `PANELS`."""
    largest = np.abs([weights.mixed, weights.lm]).max(axis=(0, 2))
    moved = np.abs(weights.mixed - weights.lm).max(axis=1)
    change = np.divide(moved, largest, out=np.zeros_like(moved), where=largest > 0)
    return sorted(np.argsort(-change, kind="stable")[:PANELS].tolist())


def effects_figure(effects: LevelEffects, title: str, name: str) -> str:
    """What each level says by itself and what it is predicted to be, joined by a line."""
    y = np.arange(len(effects.levels))
    named = len(y) <= NAMED
    with style():
        figure = Figure(figsize=(WIDTH, min(1.6 + 0.26 * len(y), 9)))
        axes = figure.add_subplot()
        axes.hlines(y, effects.own, effects.predicted, color=INK, linewidth=0.8, alpha=0.5)
        size = 20 + 60 * effects.sizes / effects.sizes.max()
        axes.scatter(effects.own, y, size, color=OBSERVED, label="own")
        axes.scatter(effects.predicted, y, size, color=PREDICTED, label="predicted")
        pairs = zip(effects.levels, effects.sizes.tolist(), strict=True)
        texts = [f"{visible(level)} ({n})" for level, n in pairs]
        axes.set_yticks(y if named else [], texts if named else [])
        axes.set_ylabel(visible(f"{effects.group}{' (rows)' if named else ''}"))
        axes.set_xlabel(visible(effects.label))
        axes.invert_yaxis()
        legend_above(axes, 2)
        what = f"{title}: own and predicted {effects.label} by {effects.group}"
        return inline_svg(figure, name, f"{what}; the numbers stand in the tables")


def _sizes(e: Explanation) -> list[int]:
    return [int(size) for size in e.pooling.sizes]


def place_of(e: Explanation) -> Place:
    """Two groups for one two-valued cluster-level predictor, else cluster after cluster."""
    m = len(e.pooling.clusters)
    if not (e.is_cluster_level and len(e.design.labels) == 2 and e.design.labels[0] == "Intercept"):
        return Place(np.arange(m, dtype=float), 1.0, None)
    values = cluster_design(e.design)[:, 1]
    levels = np.unique(values)
    if len(levels) != 2:
        return Place(np.argsort(np.argsort(values, kind="stable")).astype(float), 1.0, None)
    second = values == levels[1]
    largest = max(second.sum(), m - second.sum())
    width = 0.8 / largest
    x = np.empty(m)
    for at, chosen in enumerate((~second, second)):
        count = chosen.sum()
        x[chosen] = at + width * (np.arange(count) - (count - 1) / 2)
    return Place(x, width, (0.0, 1.0))


def _draw_lines(axes: Axes, e: Explanation, place: Place, *, refit: bool) -> None:
    W = cluster_design(e.design)
    drawn = {
        "complete pooling": ("complete pooling (lm)", INK, "-"),
        "partial pooling": ("partial pooling (mixed model)", INK, "--"),
        "shifted rows": ("lm on the shifted rows", REFIT, (0, (1.2, 1.6))),
    }
    for line, (label, colour, dashes) in drawn.items():
        if line == "shifted rows" and not refit:
            continue
        x, y = _path(place, W @ e.lines[line], W[:, -1])
        # The refit lies on lm's line where sizes are balanced: wider, so that both are seen.
        width = 4 if line == "shifted rows" else 1.8
        axes.plot(x, y, color=colour, linestyle=dashes, linewidth=width, label=label)


def _path(place: Place, fitted: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if place.ends is not None:
        return np.array(place.ends), np.array([fitted[values.argmin()], fitted[values.argmax()]])
    order = np.argsort(place.cluster)
    x = place.cluster[order]
    edges = np.column_stack([x - 0.5, x + 0.5]).ravel()
    return edges, np.repeat(fitted[order], 2)


def _finish(axes: Axes, e: Explanation, place: Place) -> None:
    clusters, sizes = e.pooling.clusters, _sizes(e)
    named = len(clusters) <= NAMED
    if named:
        texts = [f"{visible(c)}\n({n})" for c, n in zip(clusters, sizes, strict=True)]
        axes.set_xticks(place.cluster, texts)
        widest = max(len(line) for text in texts for line in text.split("\n"))
        crowded = widest * len(clusters) > 50  # characters that fit the width of a figure
        axes.tick_params(axis="x", rotation=90 if crowded else 0, length=0)
    else:
        axes.set_xticks([])
    axes.set_xlabel(
        visible(f"{e.group} (rows)" if named else f"{len(clusters)} levels of {e.group}")
    )
    if place.ends is not None:
        axes.set_xticks(place.ends, list(map(visible, level_names(e))), minor=True)
        axes.tick_params(axis="x", which="minor", length=0, pad=32 if named else 4)
    axes.set_ylabel(visible(e.design.spec.response))
    axes.grid(visible=False, axis="x")
    legend_above(axes, 2)


def level_names(e: Explanation) -> tuple[str, str]:
    """What the two values of a single two-valued predictor are called."""
    factors = e.design.columns[1].factors
    variable = e.design.variables.get(factors[0].variable) if len(factors) == 1 else None
    if variable is not None and variable.levels is not None and len(variable.levels) == 2:
        return variable.levels[0], variable.levels[1]
    low, high = np.unique(e.design.X[:, 1])
    return f"{e.design.labels[1]} = {low:g}", f"{high:g}"


def _description(e: Explanation, what: str) -> str:
    return f"{e.title}: {what}, by {e.group}; the numbers stand in the tables"
