"""Numbers from paper: whether one sound fit can have shown them all.

A shown number is known to half a unit of its last place, and a sound engine stops within
`NEGLIGIBLE` of the optimum (`pp_compare.verdict.tolerance`). Over so small a region every estimate
is all but linear in the variances, so the question is a linear programme: is there one stopping
point at which each number is what is shown, to its half unit? Where there is none, the numbers are
named that must be left out for there to be one. Judged one by one, a number with seven digits would
be allowed all that the stop may move it, a thousand of its last units.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pp_compare.certified.models import CertifiedModel
from pp_compare.fitted.labels import Labels
from pp_compare.fitted.printed import Printed
from pp_compare.identities.rounding import rounding_at
from pp_compare.model import Fit, Quantity
from pp_compare.model.design import Design
from pp_compare.verdict.agreement import Comparison
from pp_compare.verdict.definitions import DEFINITIONS
from pp_compare.verdict.digits import lre
from pp_compare.verdict.expected import OF_COVARIANCE, Quantities, expected
from pp_compare.verdict.tolerance import Tolerances

SEEN = 1e-6
"""Half units beyond which a number is off: the linear programme's own feasibility is 1e-7."""
ROUNDED = 1e-9
"""Relative error allowed to an engine's arithmetic on the way from its estimates to its printout:
sqrt, quotients and distributions of doubles lose 1e-15 to 1e-12, and a summary shows 1e-7."""


@dataclass(frozen=True)
class Definition:
    """Which covariance of the fixed effects a printout's standard errors are of; id empty: GLS."""

    id: str
    statement: str


OWN = Definition("", "")


@dataclass(frozen=True)
class ShownResult:
    """What was found of shown numbers.

    Parameters
    ----------
    lines : tuple of Comparison
        One a number, in the order given.
    definition : Definition
        Of the standard errors.
    """

    lines: tuple[Comparison, ...]
    definition: Definition


def compare_shown(
    design: Design,
    model: CertifiedModel,
    tolerances: Tolerances,
    numbers: Sequence[Printed],
    reference: Fit,
    name: str,
) -> ShownResult:
    """Hold shown numbers against a reference, all at once.

    Parameters
    ----------
    numbers : sequence of Printed
    reference : Fit
        ``certified`` or another engine's answer; the latter may be off as well, so the stop may be
        twice as far.
    name : str
        What the numbers are called.

    Raises
    ------
    InputError
        For a label that is none of the model, or a number that the reference does not give.
    """
    slack = 1.0 if reference.engine == "certified" else 2.0
    if not math.isfinite(tolerances.criterion):
        return ShownResult(tuple(_untold(each, reference, name) for each in numbers), OWN)
    region = _ends(model, tolerances.criterion)
    best: tuple[int, Definition, _Region, _Programme] | None = None
    for definition, variant in _variants(design, reference, region, numbers):
        programme = _programme(design, variant, numbers, slack)
        off = len(programme.fewest())
        if best is None or off < best[0]:
            best = off, definition, variant, programme
        if off == 0:
            break
    assert best is not None  # noqa: S101  # the first variant is the reference's own
    _, definition, variant, programme = best
    wanted = _all_expected(design, numbers, variant.best)
    lines = zip(numbers, wanted, programme.reach, programme.marks(), strict=True)
    return ShownResult(tuple(_line(*line, reference, name) for line in lines), definition)


@dataclass(frozen=True, eq=False)
class _Region:
    """Estimates of the reference, and what they become at the ends of each axis of the stop."""

    best: Quantities
    at: Quantities
    axes: tuple[tuple[Quantities, Quantities], ...]


def _ends(model: CertifiedModel, criterion: float) -> _Region:
    best = model.optimum.quantities
    lower = Quantity("loglik", best["loglik"].values - criterion / 2)
    axes = [tuple({**end, "loglik": lower} for end in pair) for pair in model.near(criterion)]
    return _Region(best, best, tuple((first, last) for first, last in axes))


def _variants(
    design: Design, reference: Fit, region: _Region, numbers: Sequence[Printed]
) -> Iterator[tuple[Definition, _Region]]:
    """The reference's own standard errors, then those of the other documented definitions."""
    own = replace(region, best=reference.quantities)
    yield OWN, own
    if not any(each.kind in OF_COVARIANCE for each in numbers):
        return
    gls = region.at["beta_cov"].values
    at = Fit("certified", "ok", region.at)
    for definition in DEFINITIONS:
        with np.errstate(all="ignore"):
            cov = definition.beta_cov(design, at, gls)
        if not np.isfinite(cov).all() or (np.diag(cov) <= 0).any() or np.array_equal(cov, gls):
            continue
        change = [_with_cov(each, cov, gls) for each in (region.at, *_flat(region.axes))]
        axes = tuple(zip(change[1::2], change[2::2], strict=True))
        best = {**reference.quantities, **{k: change[0][k] for k in ("beta_cov", "beta_se")}}
        yield Definition(definition.id, definition.statement), _Region(best, change[0], axes)


def _flat(axes: Iterable[tuple[Quantities, Quantities]]) -> list[Quantities]:
    return [end for pair in axes for end in pair]


def _with_cov(quantities: Quantities, cov: np.ndarray, gls: np.ndarray) -> dict[str, Quantity]:
    """Another covariance, changed over the region as that of generalised least squares changes."""
    here = quantities["beta_cov"]
    ratio = np.sqrt(np.diag(here.values) / np.diag(gls))
    values = cov * np.outer(ratio, ratio)
    se = Quantity("beta_se", np.sqrt(np.diag(values)), here.rows)
    return {**quantities, "beta_cov": replace(here, values=values), "beta_se": se}


def _programme(
    design: Design, region: _Region, numbers: Sequence[Printed], slack: float
) -> _Programme:
    values = np.array([each.number.value for each in numbers])
    half = np.array([each.number.half for each in numbers])
    wanted = _all_expected(design, numbers, region.best)
    moves, bends = _moves(design, numbers, region)
    double = _double(design, numbers, region)
    allowed = half + slack**2 * bends + ROUNDED * np.abs(wanted) + double
    return _Programme(values - wanted, moves, allowed, slack)


def _all_expected(design: Design, numbers: Sequence[Printed], found: Quantities) -> np.ndarray:
    labels = Labels(design)
    return np.array([expected(design, labels, each, found) for each in numbers])


def _moves(
    design: Design, numbers: Sequence[Printed], region: _Region
) -> tuple[np.ndarray, np.ndarray]:
    """What each axis of the stop does to each number, shape (k, n), and its curvature, (n,)."""
    at = _all_expected(design, numbers, region.at)
    moves, bends = np.zeros((len(region.axes), len(numbers))), np.zeros(len(numbers))
    for k, pair in enumerate(region.axes):
        low, high = (_all_expected(design, numbers, end) for end in pair)
        moves[k] = (high - low) / 2
        bends += np.abs(high + low - 2 * at) / 2
    return moves, bends


@dataclass(frozen=True, eq=False)
class _Programme:
    """Whether there is a stop at which each error is within its allowance.

    A stop lies within -slack to slack on each axis.

    Parameters
    ----------
    error : ndarray, shape (n,)
        Shown less expected; nan is never within.
    moves : ndarray, shape (k, n)
    allowed : ndarray, shape (n,)
    slack : float
    """

    error: np.ndarray
    moves: np.ndarray
    allowed: np.ndarray
    slack: float

    @property
    def reach(self) -> np.ndarray:
        """How far each number alone may be off."""
        moved: np.ndarray = self.slack * np.abs(self.moves).sum(axis=0)
        return np.asarray(moved + self.allowed)

    def fewest(self) -> set[int]:
        """Numbers that cannot stand, as few as there are."""
        left = zip(self._used, self._excess(self._used), strict=True)
        return self._plainly_off | {int(k) for k, excess in left if excess > SEEN}

    def marks(self) -> list[bool]:
        """Whether each number is off: each without which the others can stand, else the fewest.

        A single wrong number is always among those without which the others can stand.
        """
        off = self.fewest()
        if off - self._plainly_off:
            used = self._used
            left = {int(k): self._excess(used[used != k]).max(initial=0.0) for k in used}
            alone = {k for k, excess in left.items() if excess <= SEEN}
            off = self._plainly_off | (alone or off)
        return [k in off for k in range(len(self.error))]

    @property
    def _open(self) -> np.ndarray:
        """Numbers that an allowance and finite values put into the programme."""
        finite = np.isfinite(self.error) & np.isfinite(self.moves).all(axis=0)
        return np.asarray(finite & (self.allowed > 0))

    @property
    def _used(self) -> np.ndarray:
        return np.flatnonzero(self._open)

    @property
    def _plainly_off(self) -> set[int]:
        return {int(k) for k in np.flatnonzero(~self._open) if self.error[k] != 0.0}

    def _excess(self, used: np.ndarray) -> np.ndarray:
        """Excesses in units of the allowances, of which the sum is least: the 1-norm leaves few."""
        unit, n, k = self.allowed[used], len(used), len(self.moves)
        error = self.error[used] / unit
        if k == 0 or n == 0:
            alone: np.ndarray = np.maximum(np.abs(error) - 1, 0.0)
            return alone
        moves, eye = (self.moves[:, used] / unit).T, np.eye(n)
        from scipy.optimize import linprog  # noqa: PLC0415 - a tenth of a second that few models need

        solved = linprog(
            np.concatenate([np.zeros(k), np.ones(n)]),
            A_ub=np.block([[moves, -eye], [-moves, -eye]]),
            b_ub=np.concatenate([error + 1, 1 - error]),
            bounds=[(-self.slack, self.slack)] * k + [(0, None)] * n,
        )
        step = solved.x[:k] if solved.success and solved.x is not None else np.zeros(k)
        left: np.ndarray = np.maximum(np.abs(error - moves @ step) - 1, 0.0)
        return left


def _double(design: Design, numbers: Sequence[Printed], region: _Region) -> np.ndarray:
    """What double precision does to a shown number of the vocabulary, at the optimum."""
    covariances = {g: region.at[f"random_cov[{g}]"].values for g in design.group_levels}
    rounding = rounding_at(design, float(region.at["sigma"].values), covariances)
    size = {
        "beta": "beta",
        "beta_se": "beta_se",
        "lower": "beta",
        "upper": "beta",
        "loglik": "loglik",
        "criterion": "loglik",
        "aic": "loglik",
        "bic": "loglik",
    }
    return np.array(
        [
            2 * float(rounding.of(region.at[size[each.kind]]).max()) if each.kind in size else 0.0
            for each in numbers
        ]
    )


def _line(
    each: Printed, want: float, reach: float, off: bool, reference: Fit, name: str
) -> Comparison:
    want, reach = float(want), float(reach)
    number = each.number
    unit = f"half a unit of the last place of {number.text.strip()}" if number.half else "exact"
    return Comparison(
        name,
        reference.engine,
        each.place,
        "",
        number.value,
        want,
        abs(number.value - want),
        lre(number.value, want),
        reach,
        f"{unit}, where a sound fit may stop, and the numbers beside it",
        "fail" if off else "pass",
    )


def _untold(each: Printed, reference: Fit, name: str) -> Comparison:
    nan = math.nan
    return Comparison(
        name,
        reference.engine,
        each.place,
        "",
        each.number.value,
        nan,
        nan,
        0.0,
        math.inf,
        "double precision cannot tell",
        "skip",
    )
