"""Figures of a generalised explanation: own effects and modes, curves of levels, their average."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from matplotlib.figure import Figure

from pp_compare.inferences.explain_glmm import GlmmEffects, GlmmExplanation, averaged_curve
from pp_compare.report.explain.figures import NAMED, OBSERVED, PREDICTED
from pp_compare.report.svg import INK, WIDTH, inline_svg, legend_above, style
from pp_compare.report.verbatim import visible

CURVES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantiles of the levels whose curves are drawn."""


def glmm_figures(e: GlmmExplanation) -> dict[str, str]:
    """Figures by the name of their file."""
    found = {f"modes_{i}": modes_figure(e, x, f"modes_{i}") for i, x in enumerate(e.effects, 1)}
    if e.design.family == "binomial" and e.random_intercept and e.deviations[0] > 0:
        found["average"] = average_figure(e, "average")
    return found


def modes_figure(e: GlmmExplanation, x: GlmmEffects, name: str) -> str:
    """What each level says by itself and its mode, joined; an arrow where own is infinite."""
    y = np.arange(len(x.levels))
    named = len(y) <= NAMED
    finite = np.isfinite(x.own)
    values = np.concatenate([x.own[finite], x.mode, [0.0]])
    room = 0.12 * max(float(np.ptp(values)), 1e-6)
    low, high = values.min() - room, values.max() + room
    own = np.clip(np.where(np.isnan(x.own), x.mode, x.own), low, high)
    with style():
        figure = Figure(figsize=(WIDTH, min(1.6 + 0.26 * len(y), 9)))
        axes = figure.add_subplot()
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.hlines(y, own, x.mode, color=INK, linewidth=0.8, alpha=0.5)
        size = 20 + 60 * x.trials / x.trials.max()
        axes.scatter(x.own[finite], y[finite], size[finite], color=OBSERVED, label="own")
        for mark, at in (("<", x.own == -np.inf), (">", x.own == np.inf)):
            if at.any():
                axes.scatter(own[at], y[at], 40, color=OBSERVED, marker=mark)
        axes.scatter(x.mode, y, size, color=PREDICTED, label="mode")
        pairs = zip(x.levels, x.seen.tolist(), x.trials.tolist(), strict=True)
        texts = [f"{visible(level)} ({seen}/{of})" for level, seen, of in pairs]
        axes.set_yticks(y if named else [], texts if named else [])
        axes.set_ylabel(visible(f"{x.group}{' (seen/trials)' if named else ''}"))
        axes.set_xlabel(visible(f"{x.label}, {e.design.link} scale"))
        axes.invert_yaxis()
        legend_above(axes, 2)
        what = f"{e.title}: own effects and modes, {x.label} by {x.group}"
        return inline_svg(figure, name, f"{what}; the numbers stand in the tables")


def average_figure(e: GlmmExplanation, name: str) -> str:
    """Logistic curves of levels that lie apart, and their average, which is what glm sees."""
    sd = e.deviations[0]
    reach = 3 + 1.5 * sd
    fixed = np.linspace(-reach, reach, 201)
    with style():
        figure = Figure(figsize=(WIDTH, 3.4))
        axes = figure.add_subplot()
        for i, quantile in enumerate(CURVES):
            p = 1 / (1 + np.exp(-fixed - sd * NormalDist().inv_cdf(quantile)))
            label = f"levels at {', '.join(f'{100 * q:.0f}' for q in CURVES)} %" if i == 0 else None
            axes.plot(fixed, p, color=OBSERVED, linewidth=1.2, label=label)
        average = averaged_curve(fixed, sd)
        axes.plot(fixed, average, color=PREDICTED, linewidth=2.4, label="average over all levels")
        axes.set_xlabel("fixed part, on the scale of the link")
        axes.set_ylabel("probability")
        axes.set_ylim(0, 1)
        legend_above(axes, 2)
        what = f"{e.title}: curves of levels of {e.effects[0].group} and their average"
        return inline_svg(figure, name, what)
