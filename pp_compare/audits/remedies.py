"""Find what mends an engine on these data.

Attempts are run and judged like any fit; the first that is right is told as code to paste, with
what it then gives. Each runs, and is judged, in a worker process, which is killed at its limit.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from pp_compare.audits.judging import judge_alone
from pp_compare.audits.ladder import Attempt, ladder
from pp_compare.certified.models import CertifiedModel, Optimum
from pp_compare.engines.worker import Workers
from pp_compare.errors import FormulaError, UnavailableError
from pp_compare.model import Fit
from pp_compare.model.design import Design
from pp_compare.verdict import sentences
from pp_compare.verdict.harm import Move
from pp_compare.verdict.judgement import GOOD, Judgement
from pp_compare.verdict.remedy import Remedy
from pp_compare.verdict.tolerance import Tolerances

UNAVAILABLE = "its engine does not start here"


@dataclass(frozen=True, eq=False)
class Outcome:
    """An attempt that was run and judged."""

    attempt: Attempt
    fit: Fit
    judgement: Judgement

    @property
    def rank(self) -> tuple[bool, bool]:
        """Smaller is better: whether it stops short, whether it says that it did not converge."""
        return self.judgement.standing == GOOD[-1], self.fit.converged is False


def find_remedy(
    judgement: Judgement,
    design: Design,
    model: CertifiedModel,
    tolerances: Tolerances,
    workers: Workers,
    limit: float = 60.0,
) -> Remedy | str:
    """Run the ladder of an engine until an attempt is right.

    It only waits for the workers, so several may be looked for at once, a thread each.

    Parameters
    ----------
    judgement : Judgement
        Of the engine that is not right.
    design : Design
    model : CertifiedModel
        With an optimum.
    tolerances : Tolerances
    workers : Workers
        An attempt that hangs is killed at their limit.
    limit : float
        Seconds after which no further attempt is started.

    Returns
    -------
    Remedy or str
        The first attempt that is right and does not say that it did not converge; where there is
        none, the best of those that mend. A string says why there is no remedy.
    """
    attempts = ladder(judgement.engine, design, model.optimum.quantities)
    if not attempts:
        return f"no other setting of {judgement.engine} is known here, so none was tried"
    mending: list[Outcome] = []
    tried: list[str] = []
    began = time.monotonic()
    for attempt in attempts:
        if tried and time.monotonic() - began > limit:
            break
        outcome = workers.start(
            run, attempt, design, model, tolerances, otherwise=lambda why: why
        )()
        if outcome == UNAVAILABLE:
            return f"{judgement.engine.partition(':')[0]} does not run here, so none was tried"
        tried.append(attempt.name)
        if isinstance(outcome, Outcome) and outcome.judgement.standing in GOOD:
            mending.append(outcome)
            if outcome.rank == (False, False):
                break
    if not mending:
        seconds = time.monotonic() - began
        return f"none of what was tried in {seconds:.0f} s reached the optimum: {'; '.join(tried)}"
    best = min(mending, key=lambda outcome: outcome.rank)
    told = gives(judgement, best, model.optimum)
    try:
        return Remedy(best.attempt.name, best.attempt.code(design), told)
    except FormulaError as error:
        return Remedy(best.attempt.name, "", f"{told}; {error}")


def run(
    attempt: Attempt, design: Design, model: CertifiedModel, tolerances: Tolerances
) -> Outcome | str:
    """Run an attempt and judge it; `UNAVAILABLE` where its engine does not start here."""
    try:
        fit = attempt.fit(design)
    except UnavailableError:
        return UNAVAILABLE
    return Outcome(attempt, fit, judge_alone(design, fit, model, tolerances))


def gives(before: Judgement, outcome: Outcome, optimum: Optimum) -> str:
    """What an attempt gives, beside what the engine gave before."""
    above, was = outcome.judgement.harm.above, before.harm.above
    height = f"{max(above, 0.0):.1g} in deviance above the optimum"
    found = [height if math.isnan(was) else f"{height} instead of {was:.2g}"]
    move = _worst(before)
    if move is not None:
        found.append(_moved(move, _value(outcome.fit, move)))
    if outcome.attempt.scaling is not None:
        found += _in_new_units(outcome)
    if outcome.fit.converged is False:
        found.append("it says that it did not converge")
    if outcome.judgement.standing == GOOD[1]:
        found.append("its standard errors remain another documented quantity")
    return "; ".join(found)


def _worst(judgement: Judgement) -> Move | None:
    """The worst of what was off; the height tells of the likelihood, and predictions follow."""
    moves = judgement.harm.moves
    return next((move for move in moves if move.kind not in {"prediction", "deviance"}), None)


def _moved(move: Move, now: float) -> str:
    """Before, now and in truth, with the digits in which the first and the last differ."""
    digits = next((d for d in range(3, 17) if f"{move.value:.{d}g}" != f"{move.truth:.{d}g}"), 3)
    value, truth, after = (f"{x:.{digits}g}" for x in (move.value, move.truth, now))
    return f"{sentences.name_of(move)} {after} instead of {value} ({truth} in truth)"


def _in_new_units(outcome: Outcome) -> list[str]:
    """What the call prints where it is not what it means in the units of the data."""
    scaling, fit = outcome.attempt.scaling, outcome.fit
    beta = dict(fit.quantities["beta"].entries())
    found = []
    for name, factor in (scaling.factors if scaling else {}).items():
        if name in beta:
            printed = f"{beta[name] * factor:.5g}"
            found.append(
                f"it prints {printed} for {name} / {factor:g}, {beta[name]:.5g} for {name}"
            )
    return found


def _value(fit: Fit, move: Move) -> float:
    """The number of a fit that a move is about."""
    name = move.quantity.replace("sigma^2", "sigma")
    quantity = fit.quantities.get(name)
    value = dict(quantity.entries()).get(move.label, float("nan")) if quantity else float("nan")
    if move.quantity == "sigma^2":
        return value**2
    return -2 * value if move.quantity == "loglik" else value
