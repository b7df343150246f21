"""A cluster's integrand, and where each approximation looks at it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from pp_compare.model.glmm import GlmmDesign
from pp_compare.report.svg import INK, OTHERS, WIDTH, inline_svg, legend_above, style

REACH = 5.0
"""How far the picture goes from the mode, in widths of Laplace's normal curve."""


@dataclass(frozen=True, eq=False)
class Integrand:
    """One group's exp(h(u)) for a random intercept, on the scale of its mode.

    Parameters
    ----------
    mode : float
        Of u, the random effect in standard deviations.
    spread : float
        (-h'')^-1/2 at the mode: the width of Laplace's normal curve.
    u, height : ndarray, shape (k,)
        The integrand over its value at the mode.
    share : float
        Laplace's integral over the exact one.
    nodes : ndarray, shape (nodes,)
        Of adaptive Gauss-Hermite quadrature.
    """

    mode: float
    spread: float
    u: np.ndarray
    height: np.ndarray
    share: float
    nodes: np.ndarray


def integrand(
    design: GlmmDesign, beta: np.ndarray, sd: float, level: str, nodes: int = 5
) -> Integrand:
    """The integrand of one group at given numbers, in double precision.

    Parameters
    ----------
    design : GlmmDesign
        With one random intercept.
    beta : ndarray, shape (p,)
    sd : float
    level : str
        Of the grouping factor.
    nodes : int
    """
    block = design.design.blocks[0]
    rows = block.codes == block.levels.index(level)
    base = design.offset[rows] + design.design.X[rows] @ beta
    y, n = design.y[rows], design.trials[rows]

    def log(u: np.ndarray) -> np.ndarray:
        eta = base[:, None] + sd * u
        cumulant = np.exp(eta) if design.family == "poisson" else np.logaddexp(0, eta)
        return np.asarray(y @ eta - n @ cumulant - u**2 / 2)

    grid = np.linspace(-12, 12, 48_001)
    values = log(grid)
    top = int(np.argmax(values))
    mode, step = grid[top], grid[1] - grid[0]
    eta = base + sd * mode
    p = np.exp(eta) if design.family == "poisson" else 1 / (1 + np.exp(-eta))
    variance = p if design.family == "poisson" else n * p * (1 - p)
    spread = float(1 / np.sqrt(1 + sd**2 * variance.sum()))
    height = np.exp(values - values[top])
    exact = height.sum() * step
    near = np.abs(grid - mode) <= REACH * spread
    places = np.polynomial.hermite_e.hermegauss(nodes)[0]
    laplace = spread * np.sqrt(2 * np.pi)
    return Integrand(
        float(mode), spread, grid[near], height[near], float(laplace / exact),
        mode + spread * places,
    )  # fmt: skip


def integrand_figure(found: Integrand, name: str, title: str) -> str:
    """The integrand, Laplace's normal curve, and the nodes of adaptive quadrature."""
    with style():
        figure = Figure(figsize=(WIDTH, 3.4))
        axes = figure.add_subplot()
        axes.plot(found.u, found.height, color=INK, linewidth=1.6, label="the integrand")
        normal = np.exp(-(((found.u - found.mode) / found.spread) ** 2) / 2)
        share = f"Laplace: {100 * found.share:.0f} % of its area"
        axes.fill_between(found.u, normal, color=OTHERS[0], alpha=0.25, linewidth=0)
        axes.plot(found.u, normal, color=OTHERS[0], linewidth=1.2, linestyle="--", label=share)
        at_nodes = np.interp(found.nodes, found.u, found.height)
        axes.scatter(
            found.nodes, at_nodes, 36, color=OTHERS[1], zorder=4,
            label=f"{len(found.nodes)} nodes of quadrature",
        )  # fmt: skip
        axes.axvline(found.mode, color=INK, linewidth=0.8, linestyle=":")
        axes.set_xlabel("random effect of the group, in its standard deviations")
        axes.set_ylabel("integrand, over its top")
        axes.set_ylim(0, 1.05)
        legend_above(axes, 2)
        return inline_svg(figure, name, title)
