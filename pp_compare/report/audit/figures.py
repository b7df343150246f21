"""Figures of an audit: intervals, predictions, digits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pp_compare.model import Fit
from pp_compare.report.audit.estimates import Estimates, Interval
from pp_compare.report.digest import Scatter
from pp_compare.report.svg import INK, WIDTH, inline_svg, look, shared_legend, style
from pp_compare.report.verbatim import visible

CATERPILLAR = 40
"""Levels that a caterpillar shows; of more, as many evenly spaced by rank."""
PANELS = 3
"""Random effects that a caterpillar shows."""
EFFECTS = 6
"""Fixed effects whose intervals are drawn; the table has all."""


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


def has_intervals(estimates: Estimates) -> bool:
    """Whether there is anything to draw."""
    return any(_is_finite(x) for found in estimates.intervals.values() for x in found)


def intervals_figure(estimates: Estimates, name: str) -> str:
    """Fixed effects with their 95 % intervals, an engine a line; the certified one as a band."""
    engines = list(estimates.engines)
    drawn = {x: y for x, y in estimates.intervals.items() if any(map(_is_finite, y))}
    effects = list(drawn.items())[:EFFECTS]
    with style():
        figure = Figure(figsize=(WIDTH, 0.5 + (0.75 + 0.24 * len(engines)) * len(effects)))
        panels = figure.subplots(len(effects), 1, squeeze=False)[:, 0]
        for axes, (label, intervals) in zip(panels, effects, strict=True):
            _interval_lines(axes, engines, intervals)
            axes.set_xlabel(visible(label))
        return inline_svg(figure, name, "Fixed effects with 95 % intervals by engine")


def _interval_lines(axes: Axes, engines: list[str], intervals: Sequence[Interval]) -> None:
    low, high = _window(intervals)
    for i, (engine, interval) in enumerate(zip(engines, intervals, strict=True)):
        colour, marker = look(engine, engines)
        if engine == "certified":
            axes.axvspan(interval.lower, interval.upper, color=INK, alpha=0.08, linewidth=0)
        axes.plot([interval.lower, interval.upper], [i, i], color=colour, linewidth=1.6)
        if low <= interval.estimate <= high:
            axes.scatter([interval.estimate], [i], 28, color=colour, marker=marker, zorder=3)
        elif np.isfinite(interval.estimate):
            right = interval.estimate > high
            text = f"{interval.estimate:.3g} >" if right else f"< {interval.estimate:.3g}"
            side = "right" if right else "left"
            axes.text(high if right else low, i, text, ha=side, va="bottom", fontsize=8.5)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_xlim(low, high)
    axes.set_ylim(len(engines) - 0.5, -0.5)
    named = [f"{engine} {x.mark}".rstrip() for engine, x in zip(engines, intervals, strict=True)]
    axes.set_yticks(range(len(engines)), list(map(visible, named)))
    axes.locator_params(axis="x", nbins=5)
    axes.grid(visible=False, axis="y")


def _is_finite(interval: Interval) -> bool:
    return bool(np.isfinite([interval.lower, interval.upper]).all())


def _window(intervals: Sequence[Interval]) -> tuple[float, float]:
    """What is drawn: the first interval with as much again on either side.

    An interval a thousand times as wide would make points of all others.
    """
    finite = [interval for interval in intervals if _is_finite(interval)]
    first = finite[0]
    reach = max(first.upper - first.lower, 1e-12 * abs(first.estimate), 1e-300)
    return (
        max(first.lower - reach, min(x.lower for x in finite) - 0.05 * reach),
        min(first.upper + reach, max(x.upper for x in finite) + 0.05 * reach),
    )


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
