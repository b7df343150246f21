"""The sentences about a generalised mixed model: each follows from numbers of this data set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pp_compare.certified.glmm.model import Answer
from pp_compare.model import Fit
from pp_compare.verdict.agreement import Cause
from pp_compare.verdict.harm import Harm, Move
from pp_compare.verdict.sentences import describe, one_line

if TYPE_CHECKING:
    from pp_compare.verdict.glmm import Told

NAMES = {
    "exact": "the exact likelihood",
    "laplace": "Laplace's approximation",
    "pql": "penalised quasi-likelihood",
    "vb": "the mean of a posterior, by variational Bayes",
    "map": "the mode of a joint posterior",
}
"""What a definition id stands for."""

JOINT = (
    "; its fixed effects maximise the penalised likelihood together with the modes, which is "
    "glmer's nAGQ = 0 and another criterion"
)

NO_SHARE = 0.05
"""Of what a log-likelihood is off by: with less, something else is to blame."""

TOLD = 3
"""Moves that a sentence tells: the worst ones."""


def named(definition: str) -> str:
    """A definition in words."""
    kind, _, nodes = definition.partition(":")
    return f"{nodes}-node quadrature" if kind == "agq" else NAMES.get(kind, definition)


def of_standing(
    fit: Fit, standing: str, cause: Cause | None, told: Told, harm: Harm, own: Answer
) -> str:
    """The standing by the engine's own criterion, with the numbers it follows from."""
    name, what = fit.engine, named(told.definition)
    if standing == "not judged":
        return (
            f"{name} is not judged: its deviance is {-told.above:.2g} below the best that is known "
            f"of {what}"
        )
    if standing == "wrong optimum":
        above = f"{told.above:.2g} in deviance above the best"
        return f"{name} is at another optimum of {what}, {above}: {_moves(harm)}"
    if standing == "wrong":
        return f"{name} is wrong by {what}: {_moves(harm)}{_why(told, cause)}"
    if standing == "right":
        return f"{name} is right by {what}, {_at(own)}{_aside(harm, told, cause)}"
    if standing == "right, other definition":
        return f"{name} is right by {what}, {_at(own)}{_counted(told)}"
    return (
        f"{name} stops {told.above:.1g} in deviance short of the optimum of {what}, harmless"
        f"{_off(told, cause)}{_counted(told)}"
    )


def _at(own: Answer) -> str:
    return "at the boundary optimum that is proved" if own.singular else "at the optimum"


def _moves(harm: Harm) -> str:
    harmful = [move for move in harm.moves if move.over > 1] or [*harm.moves]
    return "; ".join(describe(move) for move in harmful[:TOLD])


def _why(told: Told, cause: Cause | None) -> str:
    height = f"; it stands {told.above:.2g} in deviance above the optimum"
    return f"{height}{_other_numbers(told)}{_misevaluated(told, cause)}{_counted(told)}"


def _other_numbers(told: Told) -> str:
    if not told.reports_the_best:
        return ""
    return (
        f"; it reports the maximum, {told.reported:.9g}, and numbers at which its criterion is "
        f"{told.value:.9g}: they are not those that it found"
    )


def _misevaluated(told: Told, cause: Cause | None) -> str:
    """Its log-likelihood against the criterion at its own estimates."""
    if cause != "objective":
        return ""
    return (
        f"; it reports a log-likelihood of {told.reported + told.counted_from:.9g} where "
        f"{named(told.definition)} at its own estimates is {told.value:.9g}, and so climbs another "
        f"function, off by {abs(told.misevaluated):.1e}{_of_its_modes(told)}"
    )


def _of_its_modes(told: Told) -> str:
    """Whether its conditional modes are to blame, where they explain all of it or nothing."""
    share = abs(told.at_modes - told.value) / abs(told.misevaluated)
    if share <= NO_SHARE:
        why = "so that they are good and what it makes of them is not"
    elif abs(share - 1) <= NO_SHARE:
        why = "so that they are not the modes, and it evaluates where they are"
    else:
        return ""
    there = f"{named(told.definition)} about its own conditional modes is {told.at_modes:.9g}"
    return f"; {there}, {why}"


def _off(told: Told, cause: Cause | None) -> str:
    if cause != "objective":
        return ""
    return f"; its log-likelihood is off by {abs(told.misevaluated):.1e} at its own estimates"


def _counted(told: Told) -> str:
    if not told.counted_from:
        return ""
    return (
        f"; it counts its log-likelihood, {told.reported:.6f}, from the saturated model's "
        f"{told.counted_from:.6f}"
    )


def _aside(harm: Harm, told: Told, cause: Cause | None) -> str:
    said = _off(told, cause) + _counted(told)
    if cause == "post-processing" and harm.moves:
        said += f"; harmless beside that: {describe(harm.moves[0])}"
    return said


def other_errors(fit: Fit, own: Answer, what: str) -> str:
    """Of standard errors that are another quantity, with the one that differs most."""
    theirs, ours = fit["beta_se"], own.quantities["beta_se"].values
    k = int(np.abs(theirs / ours - 1).argmax())
    label = own.quantities["beta_se"].rows[k]
    return (
        f"; its standard errors are {what}: {theirs[k]:.3g} for {ours[k]:.3g} of {label} "
        f"({100 * abs(theirs[k] / ours[k] - 1):.2g} %)"
    )


def of_other_estimator(fit: Fit) -> str:
    """Of an engine that maximises no likelihood."""
    return f"{fit.engine} is not judged: it answers another question, {named(fit.definition)}"


def distance(fit: Fit, truth: Answer, harm: Harm | None) -> str:
    """How far an engine's numbers are from the other truth, in a reader's units."""
    if harm is None or not truth.found:
        return ""
    what = named(truth.definition)
    moves = [move for kind in ("beta", "variance") if (move := harm.of(kind)) is not None]
    if all(move.over <= 1 for move in moves) and not harm.conclusions:
        return f". From the maximum of {what} it differs by nothing that a reader would see"
    told = "; ".join(_apart(move) for move in moves if move.over > 1)
    flips = "".join(
        f"; its 95 % interval of {c.label} {_holds(c.theirs)}, by {what} it {_holds(c.ours)}"
        for c in harm.conclusions[:TOLD]
    )
    return f". From the maximum of {what}: {told or 'no number moves'}{flips}"


def _apart(move: Move) -> str:
    return describe(move)


def _holds(interval: tuple[float, float]) -> str:
    return "holds 0" if interval[0] <= 0 <= interval[1] else "leaves 0 out"


def of_no_optimum(fit: Fit, truth: Answer, labels: Sequence[str]) -> str:
    """Of an engine that gives numbers where the likelihood has no maximum."""
    beta = fit["beta"]
    moving = [
        f"{label} at {value:.3g}"
        for label, value, slope in zip(labels, beta.tolist(), truth.direction, strict=True)
        if slope
    ]
    return (
        f"{fit.engine} is not judged: {truth.reason}, {direction(truth, labels)}; its "
        f"{', '.join(moving)} is where it stopped"
    )


def direction(truth: Answer, labels: Sequence[str]) -> str:
    """A direction of the fixed effects in words."""
    parts = [
        f"{slope:+.4g} {label}"
        for label, slope in zip(labels, truth.direction, strict=True)
        if slope
    ]
    return " ".join(parts)


def engine_says(fit: Fit, standing: str) -> tuple[str, ...]:
    """What the engine said of itself."""
    said = [f"says: {one_line(message)}" for message in fit.messages]
    if fit.converged is not None and standing in ("wrong", "wrong optimum"):
        said.insert(0, f"says: converged = {fit.converged}")
    return tuple(said)


def p_value(estimate: float, se: float) -> float:
    """Of Wald's test, two-sided."""
    return math.erfc(abs(estimate / se) / math.sqrt(2)) if se > 0 else math.nan
