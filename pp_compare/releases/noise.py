"""How far a release is from itself where only the platform differs: no change below that floor."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pp_compare.model import Fit, Quantity
from pp_compare.report.digest import kind_of
from pp_compare.report.release.record import NoiseRow

FACTOR = 10.0
"""The noise is the largest of a few draws; that the next is ten times that is improbable, while a
change that matters is many times more."""


@dataclass(frozen=True)
class Noise:
    """Of one model.

    Parameters
    ----------
    spread : mapping of str to float
        Largest absolute difference by quantity; infinite where a quantity comes and goes.
    flag : bool
        Whether the convergence flag depends on the platform.
    status : bool
        Whether it depends on the platform if there is an answer.
    warnings : frozenset of str
        Texts of warnings that come and go.
    """

    spread: Mapping[str, float] = field(default_factory=dict)
    flag: bool = False
    status: bool = False
    warnings: frozenset[str] = frozenset()


def noise_of(base: Fit, others: Iterable[Fit]) -> Noise:
    """Noise of one model from its fits on several platforms."""
    others = list(others)
    answered = [fit for fit in others if fit.status == "ok"] if base.status == "ok" else []
    said = warnings_of(base)
    return Noise(
        spread={
            name: max((distance(base, fit, name) for fit in answered), default=0.0)
            for name in base.quantities
        },
        flag=any(fit.converged != base.converged for fit in answered),
        status=any(fit.status != base.status for fit in others),
        warnings=frozenset(
            text for fit in others for text in said.keys() ^ warnings_of(fit).keys()
        ),
    )


def distance(one: Fit, other: Fit, name: str) -> float:
    """Largest absolute difference of a quantity, by label; infinite where one has it alone."""
    a, b = one.quantities.get(name), other.quantities.get(name)
    if a is None or b is None or (a.rows, a.columns) != (b.rows, b.columns):
        return 0.0 if a is b else np.inf
    return _distance(a, b)


def _distance(a: Quantity, b: Quantity) -> float:
    same = (a.values == b.values) | (np.isnan(a.values) & np.isnan(b.values))
    with np.errstate(all="ignore"):
        error = np.where(same, 0.0, np.abs(a.values - b.values))
    return float(np.max(np.where(np.isnan(error), np.inf, error), initial=0.0))


def warnings_of(fit: Fit) -> dict[str, str]:
    """Class of each warning by its text, with numbers left out: they are other findings."""
    pairs = (message.partition(": ") for message in fit.messages)
    return {re.sub(r"[-+.\d]*\d(e[-+]?\d+)?", "#", text): name for name, _, text in pairs if text}


def noise_row(engine: str, platform: str, base: Sequence[Fit], other: Sequence[Fit]) -> NoiseRow:
    """What a platform does to a release, over all models."""
    largest: dict[str, float] = {}
    changed = flags = 0
    for one, two in zip(base, other, strict=True):
        moved = {name: distance(one, two, name) for name in one.quantities}
        changed += any(moved.values()) or one.status != two.status
        flags += one.converged != two.converged
        for name, size in moved.items():
            scale = float(np.max(np.abs(one[name]), initial=0.0))
            relative = size / scale if scale else 0.0
            largest[kind_of(name)] = max(relative, largest.get(kind_of(name), 0.0))
    return NoiseRow(engine, platform, len(base), changed, flags, largest)
