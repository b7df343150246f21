"""Matplotlib figures as inline SVG that follows the page: its ink, its font, its width."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK = "#010203"
"""Stands for the page's text colour; becomes ``currentColor``."""
PALE = "#040506"
"""Stands for the same at a fifth of its strength: grids and frames."""

# Told apart on white and on black, by the colour-blind, and in print by their markers.
COLOURS = {"lme4": "#3a86c8", "nlme": "#1f9e77", "statsmodels": "#d9822b", "certified": INK}
OTHERS = ("#a66bbf", "#c9527a", "#8a8f2a", "#5f9ea0")
MARKERS = {"lme4": "o", "nlme": "s", "statsmodels": "D", "certified": "*"}
OTHER_MARKERS = ("^", "v", "P", "X")

WIDTH = 5.6
"""Inches of every figure: its text can be read when a phone shrinks it to 360 pixels."""

_STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "svg.fonttype": "none",  # text stays text: searchable, and in the page's own font
    "svg.hashsalt": "pp-compare",
    "text.parse_math": False,  # labels come from data
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": False,
    "grid.color": PALE,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "figure.constrained_layout.use": True,
}


@contextmanager
def style() -> Iterator[None]:
    """The style of all figures; nothing of the caller's own settings comes in."""
    with mpl.rc_context(), warnings.catch_warnings():
        # Text stays text: the page has the fonts for what matplotlib's own cannot draw.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)  # type: ignore[arg-type]  # keys are matplotlib's own
        yield


def look(engine: str, engines: list[str]) -> tuple[str, str]:
    """Colour and marker of an engine among those of a figure; a setting has its own."""
    if engine in COLOURS:
        return COLOURS[engine], MARKERS[engine]
    others = [name for name in engines if name not in COLOURS]
    place = others.index(engine)
    return OTHERS[place % len(OTHERS)], OTHER_MARKERS[place % len(OTHER_MARKERS)]


def legend_above(axes: Axes, columns: int = 3) -> None:
    """A legend above the axes, where it covers no data."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, borderaxespad=0.2)


def shared_legend(figure: Figure, axes: Axes, columns: int) -> None:
    """One legend above all panels, where it takes no panel's width."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=columns)


def offset_into_label(figure: Figure) -> None:
    """Write an axis's common factor or offset into its label: beside it, it meets other text."""
    figure.draw_without_rendering()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            text = axis.get_offset_text()
            if text.get_text():
                axis.set_label_text(f"{axis.get_label_text()} ({text.get_text()})")
                text.set_visible(False)


def inline_svg(figure: Figure, name: str, description: str) -> str:
    """The figure as an ``<svg>`` element.

    Parameters
    ----------
    figure : Figure
    name : str
        Unique in the page: it goes before every id.
    description : str
        What a screen reader says.
    """
    offset_into_label(figure)
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", svg)
    svg = svg.replace(f"{PALE};", "currentColor; opacity: 0.2;").replace(PALE, "currentColor")
    svg = svg.replace(INK, "currentColor")
    # The viewBox gives the shape; the page gives the width.
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(description)}"', 1)


def standalone_svg(svg: str) -> str:
    """The same as a file of its own, on white, for where no page gives it a colour."""
    ink = 'style="background: #ffffff; color: #1a1a1a"'
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + svg.replace("<svg", f"<svg {ink}", 1) + "\n"
