"""The criterion of a random intercept along the variance ratio, drawn."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pp_compare.inferences.profile import CriterionProfile
from pp_compare.report.svg import INK, WIDTH, inline_svg, look, style

VISIBLE_RISE = 6.0
"""Deviance above the optimum that a profile shows: a likelihood interval of 98.6 %."""


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
