"""What an engine's error does to a reader: moves in the units in which results are reported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from pp_compare.model import Fit, Quantity
from pp_compare.model.design import Design
from pp_compare.verdict.tolerance import HARMLESS

Z95 = float(ndtri(0.975))
"""Half width of a 95 % interval, in standard errors."""

SMALLEST_SHARE = 0.05
"""An error in a variance that adds less than this share of the residual variance to a row is told
in per cent of that share: then two per cent are a thousandth of the residual variance, and the
spread of a row stays to 0.05 %. An infinite percentage of a variance of 0 would tell nobody."""

BOUNDS: Mapping[str, float] = {
    "beta": HARMLESS,
    "beta_se": HARMLESS,
    "variance": 2 * HARMLESS,
    "prediction": HARMLESS,
    "deviance": HARMLESS,
}
"""How large a move of each kind is harmless, in its unit."""


@dataclass(frozen=True)
class Move:
    """One number of an engine, how far it is from the truth, in a reader's unit.

    Parameters
    ----------
    kind : {"beta", "beta_se", "variance", "prediction", "deviance"}
    quantity, label : str
    value, truth : float
    size : float
        Of a fixed effect in true standard errors; of a standard error or a variance relative to
        the true one; of a prediction in standard deviations of the response; of ``deviance``, the
        reported -2 log-likelihood, as it is. nan is infinite.
    """

    kind: str
    quantity: str
    label: str
    value: float
    truth: float
    size: float

    @property
    def over(self) -> float:
        """The size over what is harmless."""
        return self.size / BOUNDS[self.kind]


@dataclass(frozen=True)
class Conclusion:
    """A 95 % interval (estimate -/+ 1.96 standard errors) that changes sides of 0.

    Parameters
    ----------
    label : str
        The fixed effect.
    ours, theirs : (float, float)
        The interval at the optimum, and by the engine's numbers.
    """

    label: str
    ours: tuple[float, float]
    theirs: tuple[float, float]


@dataclass(frozen=True)
class Harm:
    """What a reader of an engine's numbers would report wrongly.

    Parameters
    ----------
    above : float
        Deviance at the engine's own variances, less that of the optimum; nan where unknown.
    moves : tuple of Move
        The largest of each kind, the most harmful first.
    conclusions : tuple of Conclusion
    beyond : tuple of (str, str)
        Quantity and label of every number that is off by more than is harmless.
    """

    above: float = float("nan")
    moves: tuple[Move, ...] = ()
    conclusions: tuple[Conclusion, ...] = ()
    beyond: tuple[tuple[str, str], ...] = ()

    def of(self, kind: str) -> Move | None:
        """The largest move of a kind; None where nothing of it was compared."""
        return next((move for move in self.moves if move.kind == kind), None)

    @property
    def worst(self) -> float:
        """The largest move over what is harmless; 0 where nothing was compared."""
        return max((move.over for move in self.moves), default=0.0)


def measure_harm(
    design: Design, fit: Fit, truth: Mapping[str, Quantity], above: float = float("nan")
) -> Harm:
    """Measure how far a fit's numbers are from the certified ones.

    Parameters
    ----------
    design : Design
    fit : Fit
        With status ``"ok"``.
    truth : mapping of str to Quantity
        The certified numbers; what is not in it is not measured.
    above : float
        Deviance at the fit's own variances above the optimum.
    """
    worst: dict[str, Move] = {}
    beyond: list[tuple[str, str]] = []
    for quantity, values, kind, unit in _measured(design, fit, truth):
        sizes = _sizes(quantity, values, unit)
        move = _move(kind, quantity, values, sizes, int(np.argmax(sizes)))
        if kind not in worst or move.size > worst[kind].size:
            worst[kind] = move
        beyond += [
            (quantity.name, quantity.label(int(place)))
            for place in np.flatnonzero(sizes / BOUNDS[kind] > 1)
        ]
    moves = sorted(worst.values(), key=lambda move: -move.over)
    return Harm(above, tuple(moves), tuple(_conclusions(fit, truth)), tuple(beyond))


def _measured(
    design: Design, fit: Fit, truth: Mapping[str, Quantity]
) -> Iterator[tuple[Quantity, np.ndarray, str, np.ndarray]]:
    """Quantities that both have: the truth, the fit's numbers, and kind and unit of their moves."""
    for name, quantity in truth.items():
        found = fit.quantities.get(name)
        kind, unit = _unit(design, truth, quantity)
        if found is not None and kind is not None:
            units = Quantity(name, unit, quantity.rows, quantity.columns).numbers
            yield quantity, found.numbers_as(quantity), kind, units


def _sizes(quantity: Quantity, values: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """How far each number is from the truth in its unit; infinite where there is none."""
    values, truths = _as_judged(quantity, values), _as_judged(quantity, quantity.numbers)
    unit = unit**2 if quantity.name == "sigma" else unit
    with np.errstate(all="ignore"):
        error = np.where(values == truths, 0.0, np.abs(values - truths))
        size = np.where(unit > 0, error / unit, np.where(error != 0, np.inf, 0.0))
    return np.where(np.isnan(size), np.inf, size)


def _as_judged(quantity: Quantity, values: np.ndarray) -> np.ndarray:
    """A standard deviation as the variance that it is, a log-likelihood as a deviance."""
    if quantity.name == "sigma":
        return values**2
    return -2 * values if quantity.name == "loglik" else values


def _move(kind: str, quantity: Quantity, values: np.ndarray, sizes: np.ndarray, place: int) -> Move:
    name = "sigma^2" if quantity.name == "sigma" else quantity.name
    value, truth = (float(_as_judged(quantity, x)[place]) for x in (values, quantity.numbers))
    return Move(kind, name, quantity.label(place), value, truth, float(sizes[place]))


def _unit(
    design: Design, truth: Mapping[str, Quantity], quantity: Quantity
) -> tuple[str | None, np.ndarray]:
    """Kind of a quantity, and what each of its numbers is told in units of."""
    name, values = quantity.name.partition("[")[0], np.abs(quantity.values)
    if name == "beta" and "beta_se" in truth:
        return "beta", truth["beta_se"].values
    if name == "beta_se":
        return "beta_se", values
    if name == "sigma":
        return "variance", values
    if name == "random_cov" and "sigma" in truth:
        return "variance", _variance_unit(design, truth, quantity)
    if name == "loglik":
        return "deviance", np.array(1.0)
    if name in {"blup", "cluster_mean", "fitted"} and "sigma" in truth:
        return "prediction", np.full(values.shape, _spread(design, truth)) / _size(design, quantity)
    return None, values


def _variance_unit(design: Design, truth: Mapping[str, Quantity], quantity: Quantity) -> np.ndarray:
    """The true variance, or `SMALLEST_SHARE` of what would add the residual one to a row."""
    group = quantity.name.partition("[")[2][:-1]
    share = float(truth["sigma"].values) ** 2 / _mean_squares(design, group)
    unit = np.sqrt(np.maximum(np.diag(quantity.values), SMALLEST_SHARE * share))
    return np.asarray(np.outer(unit, unit))


def _mean_squares(design: Design, group: str) -> np.ndarray:
    """Mean square of each random effect's column, (q,)."""
    columns = np.hstack([block.Z for block in design.blocks if block.group == group])
    return np.asarray((columns**2).mean(axis=0))


def _size(design: Design, quantity: Quantity) -> np.ndarray:
    """What a predicted effect is multiplied by in a row of middling size; 1 for a prediction."""
    kind, _, group = quantity.name.partition("[")
    return np.sqrt(_mean_squares(design, group[:-1])) if kind == "blup" else np.array(1.0)


def _spread(design: Design, truth: Mapping[str, Quantity]) -> float:
    """Standard deviation of a response about its fixed part."""
    variance = float(truth["sigma"].values) ** 2
    for group in design.group_levels:
        cov = truth.get(f"random_cov[{group}]")
        if cov is not None:
            variance += float(np.diag(cov.values) @ _mean_squares(design, group))
    return float(np.sqrt(variance))


def _conclusions(fit: Fit, truth: Mapping[str, Quantity]) -> Iterator[Conclusion]:
    """Fixed effects whose interval holds 0 by the engine's numbers and not in truth, or reverse."""
    needed = {"beta", "beta_se"}
    if not (needed <= set(fit.quantities) and needed <= set(truth)):
        return
    ours, theirs = _intervals(truth), _intervals(fit.quantities)
    for label, interval in ours.items():
        other = theirs.get(label)
        if other is not None and np.isfinite(other).all() and _holds(interval) != _holds(other):
            yield Conclusion(label, interval, other)


def _intervals(quantities: Mapping[str, Quantity]) -> dict[str, tuple[float, float]]:
    errors = dict(quantities["beta_se"].entries())
    return {
        label: (value - Z95 * errors[label], value + Z95 * errors[label])
        for label, value in quantities["beta"].entries()
        if label in errors
    }


def _holds(interval: tuple[float, float]) -> bool:
    return interval[0] <= 0.0 <= interval[1]
