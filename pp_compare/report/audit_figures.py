"""Figures of an audit: predictions, criterion, digits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pp_compare.model import Fit
from pp_compare.profile import CriterionProfile
from pp_compare.report.digest import Digits, Scatter
from pp_compare.report.svg import INK, WIDTH, inline_svg, look, shared_legend, style

CATERPILLAR = 40
"""Levels that a caterpillar shows; of more, as many evenly spaced by rank."""
PANELS = 3
"""Random effects that a caterpillar shows."""
VISIBLE_RISE = 6.0
"""Deviance above the optimum that a profile shows: a likelihood interval of 98.6 %."""


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
            axes.set_xlabel(f"predicted {effect}")
            axes.locator_params(axis="x", nbins=5)
        shown = (
            f"{len(levels)} of {len(first.rows)} levels, by rank"
            if len(levels) < len(first.rows)
            else ""
        )
        panels[0].set_yticks(range(len(levels)), levels)
        panels[0].set_ylabel(f"{group}{', ' + shown if shown else ''}")
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


def profile_figure(profile: CriterionProfile, name: str, method: str) -> str:
    """The criterion along the variance ratio, with the stops of the engines and all optima."""
    with style():
        figure = Figure(figsize=(WIDTH, 3.8))
        axes = figure.add_subplot()
        lowest = float(profile.optima[0].deviance)
        axes.plot(profile.axis(profile.ratio), profile.deviance - lowest, color=INK, linewidth=1.4)
        _stops(axes, profile, lowest)
        for i, point in enumerate(profile.optima):
            x, y = profile.axis(float(point.position[0])), float(point.deviance) - lowest
            label, marker, size = ("certified optimum", "*", 110) if not i else _OTHER_OPTIMUM
            axes.scatter(x, y, size, color=INK, marker=marker, zorder=5, label=label)
        _frame_profile(axes, profile, lowest)
        axes.set_ylabel(f"-2 log-likelihood ({method}),\nabove the optimum")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, markerscale=0.6)
        return inline_svg(
            figure, name, "The criterion along tau2 / sigma2, with the engines' stops"
        )


_OTHER_OPTIMUM = ("other local optimum", ".", 110)


def _stops(axes: Axes, profile: CriterionProfile, lowest: float) -> None:
    engines = list(profile.stops)
    for engine, (ratio, deviance) in profile.stops.items():
        colour, marker = look(engine, engines)
        # Hollow, and each larger than the next: stops at one place are all seen.
        size = 60 + 70 * (len(engines) - engines.index(engine))
        axes.scatter(
            profile.axis(ratio), deviance - lowest, size, facecolors="none", edgecolors=colour,
            marker=marker, linewidths=1.8, zorder=4, label=f"{engine}: {_above(deviance - lowest)}",
        )  # fmt: skip


def _frame_profile(axes: Axes, profile: CriterionProfile, lowest: float) -> None:
    """Show what lies within `VISIBLE_RISE`, all optima and stops; label the axis by the ratio."""
    heights = [d - lowest for _, d in profile.stops.values()]
    heights += [float(point.deviance) - lowest for point in profile.optima]
    # Of two optima the ridge between them is what matters, however low.
    high = max(heights)
    top = 4 * high if len(profile.optima) > 1 and high > 0 else max(VISIBLE_RISE, 1.3 * high)
    shown = profile.axis(profile.ratio)[profile.deviance - lowest <= top]
    room = 0.06 * (np.ptp(shown) or 1.0)
    axes.set_xlim(shown.min() - room, shown.max() + room)
    rise = (profile.deviance - lowest)[profile.deviance - lowest <= top].max()
    axes.set_ylim(-0.06 * rise, 1.04 * rise)
    ticks = np.linspace(shown.min(), shown.max(), 6)
    axes.set_xticks(ticks, [f"{x:.2g}" for x in np.expm1(ticks) / profile.mean_size])
    axes.set_xlabel("tau2 / sigma2 (logarithmic far from 0)")


def _above(rise: float) -> str:
    return f"+{rise:.2g}" if abs(rise) >= 1e-12 else "+0"


def heatmap(digits: Digits, name: str = "digits") -> str:
    """Median and smallest number of right digits, an engine a row, a quantity a column."""
    with style():
        figure = Figure(figsize=(WIDTH, 1.3 + 0.62 * len(digits.engines)))
        axes = figure.add_subplot()
        colours = colormaps["viridis"]
        axes.imshow(digits.median, cmap=colours, vmin=0, vmax=15, aspect="auto")
        for i, row in enumerate(digits.median):
            for j, value in enumerate(row):
                if not np.isnan(value):
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
