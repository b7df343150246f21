"""Figures of a campaign: rates over the axes of the plan, and coverage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from pp_compare.report.campaign.record import LEVEL, CampaignReport, Map
from pp_compare.report.campaign.words import MAP_NOTE
from pp_compare.report.svg import INK, WIDTH, inline_svg, look, shared_legend, style


def map_figure(found: Map, name: str) -> str:
    """Rates over two axes as a table of colours with the numbers in it."""
    rates = np.array([[rate.value for rate in line] for line in found.cells])
    with style():
        figure = Figure(figsize=(WIDTH, 1.3 + 0.36 * len(found.rows)))
        axes = figure.add_subplot()
        axes.grid(visible=False)
        axes.imshow(rates, cmap=colormaps["OrRd"], vmin=0, vmax=1, aspect="auto")
        for i, line in enumerate(rates):
            for j, value in enumerate(line):
                text = "-" if np.isnan(value) else f"{100 * value:.3g}"
                ink = "#ffffff" if value > 0.6 else "#1a1a1a"
                axes.text(j, i, text, ha="center", va="center", color=ink, fontsize=8.5)
        axes.set_xticks(range(len(found.columns)), found.columns)
        axes.set_yticks(range(len(found.rows)), found.rows)
        axes.tick_params(axis="both", length=0)
        if max(map(len, found.columns)) > 6:
            axes.tick_params(axis="x", rotation=25)
        axes.set_xlabel(found.across)
        axes.set_ylabel(found.down)
        axes.set_title(f"{found.engine}, %", loc="left", fontsize=10)
        return inline_svg(figure, name, f"{MAP_NOTE}: {found.engine}, by {found.across}")


def line_figure(maps: Sequence[Map], name: str) -> str:
    """Rates of all engines along a single axis, with their intervals."""
    engines = [found.engine for found in maps]
    with style():
        figure = Figure(figsize=(WIDTH, 3.2))
        axes = figure.add_subplot()
        for k, found in enumerate(maps):
            colour, marker = look(found.engine, engines)
            x = np.arange(len(found.columns)) + 0.12 * (k - (len(maps) - 1) / 2)
            share = np.array([rate.value for rate in found.cells[0]])
            ends = np.array([rate.interval for rate in found.cells[0]]).T
            bars = np.abs(ends - share)
            axes.errorbar(
                x, share, bars, color=colour, marker=marker, ls="none", label=found.engine
            )
        axes.set_xticks(range(len(maps[0].columns)), maps[0].columns)
        if max(map(len, maps[0].columns)) > 6:
            axes.tick_params(axis="x", rotation=25)
        axes.set_ylim(bottom=0)
        axes.set_xlabel(maps[0].across)
        axes.set_ylabel("off the optimum or failed")
        shared_legend(figure, axes, 4)
        return inline_svg(figure, name, f"{MAP_NOTE}, by {maps[0].across}")


def coverage_figure(report: CampaignReport, name: str) -> str:
    """Coverage of each engine's intervals, with its own interval, against the nominal level."""
    shown = [c for c in report.coverage if c.covered is not None]
    engines = list(dict.fromkeys(c.engine for c in shown))
    labels = list(dict.fromkeys(c.label for c in shown))
    with style():
        figure = Figure(figsize=(WIDTH, 1.4 + 0.16 * len(shown) + 0.2 * len(labels)))
        axes = figure.add_subplot()
        for k, engine in enumerate(engines):
            of_engine = [c for c in shown if c.engine == engine and c.covered is not None]
            colour, marker = look(engine, engines)
            y = [labels.index(c.label) + 0.14 * (k - (len(engines) - 1) / 2) for c in of_engine]
            x = np.array([c.covered.value for c in of_engine if c.covered])
            ends = np.array([c.covered.interval for c in of_engine if c.covered]).T
            bars = np.abs(ends - x)
            axes.errorbar(
                x, y, xerr=bars, color=colour, marker=marker, ls="none", label=engine, markersize=5
            )
        axes.axvline(LEVEL, color=INK, linewidth=0.8)
        axes.margins(x=0.08)
        axes.set_yticks(range(len(labels)), labels)
        axes.set_ylim(len(labels) - 0.5, -0.5)
        axes.set_xlabel("share of 95 % intervals that hold the truth")
        shared_legend(figure, axes, 4 if len(engines) <= 4 else 3)
        return inline_svg(figure, name, "Coverage of the engines' intervals by fixed effect")
