"""Figures of an audit: predictions, criterion, digits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pp_compare.model import Fit
from pp_compare.report.digest import Digits, Scatter
from pp_compare.report.svg import INK, WIDTH, inline_svg, look, shared_legend, style
from pp_compare.report.verbatim import visible

CATERPILLAR = 40
"""Levels that a caterpillar shows; of more, as many evenly spaced by rank."""
PANELS = 3
"""Random effects that a caterpillar shows."""


def caterpillar(fits: Mapping[str, Fit], group: str, name: str) -> str:
    """Predicted random effects by engine, ordered by the first engine's."""
    blups = {
        e: f.quantities[f"blup[{group}]"]
        for e, f in fits.items()
        if f"blup[{group}]" in f.quantities
    }
    engines = list(blups)
    first = blups["certified" if "certified" in blups else engines[0]]
    effects = first.columns[:PANELS]
    order = np.argsort(first.values[:, 0])
    if len(order) > CATERPILLAR:
        order = order[np.linspace(0, len(order) - 1, CATERPILLAR).round().astype(int)]
    levels = [first.rows[i] for i in order]
    with style():
        figure = Figure(figsize=(WIDTH, 1.5 + 0.22 * len(levels)))
        panels = figure.subplots(1, len(effects), sharey=True, squeeze=False)[0]
        for k, (axes, effect) in enumerate(zip(panels, effects, strict=True)):
            for engine in engines:
                _blup_points(
                    axes, engine, engines, blups[engine].rows, blups[engine].values[:, k], levels
                )
            axes.axvline(0, color=INK, linewidth=0.8)
            axes.set_xlabel(visible(f"predicted {effect}"))
            axes.locator_params(axis="x", nbins=5)
        shown = (
            f"{len(levels)} of {len(first.rows)} levels, by rank"
            if len(levels) < len(first.rows)
            else ""
        )
        panels[0].set_yticks(range(len(levels)), list(map(visible, levels)))
        panels[0].set_ylabel(visible(f"{group}{', ' + shown if shown else ''}"))
        shared_legend(figure, panels[0], 4 if len(engines) <= 4 else 3)
        return inline_svg(figure, name, f"Predicted random effects of {group} by engine")


def _blup_points(
    axes: Axes,
    engine: str,
    engines: list[str],
    rows: Sequence[str],
    values: np.ndarray,
    levels: list[str],
) -> None:
    by_level = dict(zip(rows, values.tolist(), strict=True))
    shift = 0.5 * (engines.index(engine) / max(len(engines) - 1, 1) - 0.5)
    colour, marker = look(engine, engines)
    x = [by_level.get(level, np.nan) for level in levels]
    axes.scatter(x, np.arange(len(levels)) + shift, 20, color=colour, marker=marker, label=engine)


def heatmap(digits: Digits, name: str = "digits") -> str:
    """Median and smallest number of right digits, an engine a row, a quantity a column."""
    with style():
        figure = Figure(figsize=(WIDTH, 1.3 + 0.62 * len(digits.engines)))
        axes = figure.add_subplot()
        colours = colormaps["viridis"]
        axes.imshow(digits.median, cmap=colours, vmin=0, vmax=15, aspect="auto")
        for i, row in enumerate(digits.median):
            for j, value in enumerate(row):
                if np.isnan(value):
                    axes.text(j, i, "-", ha="center", va="center", color=INK)
                    continue
                ink = "#ffffff" if value < 9 else "#1a1a1a"
                text = f"{value:.1f}\nmin {digits.least[i, j]:.1f}"
                axes.text(j, i, text, ha="center", va="center", color=ink, fontsize=8.5)
        axes.set_xticks(range(len(digits.kinds)), [kind.replace("_", " ") for kind in digits.kinds])
        axes.tick_params(axis="both", length=0)
        axes.tick_params(axis="x", labelsize=9, rotation=40)
        for label in axes.get_xticklabels():
            label.set_horizontalalignment("right")
            label.set_rotation_mode("anchor")
        axes.set_yticks(range(len(digits.engines)), digits.engines)
        axes.grid(visible=False)
        axes.set_xlabel("quantity (digits right: median, and minimum)")
        axes.set_ylabel("engine")
        return inline_svg(figure, name, "Digits right by engine and quantity")


def agreement_figure(points: Scatter, name: str = "agreement") -> str:
    """Digits of the variance components against the size of the data and the ICC."""
    with style():
        figure = Figure(figsize=(WIDTH, 3.6))
        left, right = figure.subplots(1, 2, sharey=True)
        for engine in points.engines:
            colour, marker = look(engine, points.engines)
            chosen = np.array(points.engine) == engine
            for axes, x in ((left, points.rows), (right, points.icc)):
                axes.scatter(
                    x[chosen], points.digits[chosen], 26, color=colour, marker=marker, alpha=0.75,
                    linewidths=0, label=engine,
                )  # fmt: skip
        left.set_xscale("log")
        left.xaxis.set_major_formatter(lambda rows, _: f"{rows:g}")
        left.minorticks_off()
        left.set_xlabel("rows N")
        right.set_xlabel("intraclass correlation")
        left.set_ylabel("digits right,\nleast of the variance components")
        left.set_ylim(-0.5, 15.5)
        shared_legend(figure, left, 3)
        return inline_svg(figure, name, "Digits of the variance components against N and ICC")
