"""Digits right, engines by items: a map on which one sees where each engine stops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from pp_compare.report.svg import WIDTH, inline_svg, style

BOUNDS = (0, 2, 4, 6, 8, 10, 15.01)
"""Digits between which the colour changes; 4 are what is printed, 8 what a double's root has."""
NO_ANSWER = -1.0
_REFUSED = "#d1495b"
_SHADES = [colormaps["cividis"](x) for x in np.linspace(0.0, 1.0, len(BOUNDS) - 1)]


def digits_map(panels: Mapping[str, np.ndarray], engines: Sequence[str], name: str) -> str:
    """One panel a quantity: a row an engine, a column an item, a colour its digits.

    Parameters
    ----------
    panels : mapping of str to array, (engines, items)
        Digits; nan where an engine has none, `NO_ANSWER` where it failed. Columns are in one order
        in all panels.
    engines : sequence of str
    name : str
        Of the figure in its page.
    """
    colours = ListedColormap([_REFUSED, *_SHADES])
    norm = BoundaryNorm([NO_ANSWER - 0.5, *BOUNDS], colours.N)
    with style():
        figure = Figure(figsize=(WIDTH, 0.5 + len(panels) * (0.35 + 0.17 * len(engines))))
        axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
        for ax, (title, digits) in zip(axes, panels.items(), strict=True):
            shown = np.ma.masked_invalid(digits)
            ax.imshow(shown, colours, norm, aspect="auto", interpolation="nearest")
            _frame(ax, title, engines)
        figure.legend(handles=_keys(), loc="outside upper left", ncols=4)
        return inline_svg(figure, name, "Digits right by engine and item, in shades")


def _frame(axes: Axes, title: str, engines: Sequence[str]) -> None:
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_yticks(range(len(engines)), engines, fontsize=8)
    axes.set_xticks([])
    axes.grid(visible=False)


def _keys() -> list[Patch]:
    words = [f"{low} to {high}" for low, high in pairwise(BOUNDS[:-1])]
    words.append(f"{BOUNDS[-2]} and more")
    shades = zip(_SHADES, words, strict=True)
    return [Patch(color=_REFUSED, label="no answer"), *(Patch(color=c, label=w) for c, w in shades)]
