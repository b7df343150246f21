"""The sentences of a judgement: each follows from numbers of this data set, and names them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pp_compare.certified.models import Optimum
from pp_compare.model import Fit
from pp_compare.verdict.agreement import Cause, Comparison
from pp_compare.verdict.attribution import Stop
from pp_compare.verdict.harm import Conclusion, Harm, Move
from pp_compare.verdict.tolerance import NEGLIGIBLE

TOLD = 3
"""Moves that a sentence tells: the worst ones."""
LARGEST_PERCENT = 10.0
"""A number that is more than so many times the true one is told in times, not in per cent."""
LONGEST = 160
"""Characters of an engine's own words that are quoted; report.json has them whole."""
CUT = "... (cut)"


def of_standing(
    standing: str,
    fit: Fit,
    stop: Stop | str,
    harm: Harm,
    cause: Cause | None,
    lines: Sequence[Comparison],
    optimum: Optimum,
) -> str:
    """One sentence for a standing, with the numbers that it follows from."""
    name = fit.engine
    if isinstance(stop, str):
        return f"{name} {'gives no numbers' if standing == 'no answer' else 'is wrong'}: {stop}"
    if standing == "not judged":
        return f"{name} is not judged: {_why_not(fit, stop, cause, lines)}"
    if standing == "right":
        return f"{name} is right: {_at(optimum)}{_digits(lines)}{_aside(harm, cause)}"
    if standing == "right, other definition":
        return f"{name} is right, {_at(optimum)}; {_definition(harm)}{_sides(harm)}"
    if standing == "wrong optimum":
        start = f"{name} is at another optimum, {harm.above:.2g} in deviance above the best"
        return f"{start}: {_moves(harm)}{_sides(harm)}"
    if standing == "wrong":
        return f"{name} is wrong: {_moves(harm)}{_height(harm)}{_sides(harm)}"
    start = f"{name} stops {harm.above:.1g} in deviance short of the optimum, harmless"
    other = any(line.cause == "definition" for line in lines)
    return f"{start}: {_least(harm)}{f'; {_definition(harm)}{_sides(harm)}' if other else ''}"


def _at(optimum: Optimum) -> str:
    return {
        "global": "at the optimum, which is proved",
        "local": "at the best optimum that is known",
    }.get(optimum.claim, "at the best point that a search found")


def _digits(lines: Sequence[Comparison]) -> str:
    found = [x.digits for x in lines if x.quantity == "beta" and not math.isnan(x.digits)]
    return f"; fixed effects to {min(found):.0f} digits" if found else ""


def _aside(harm: Harm, cause: Cause | None) -> str:
    """What is off beyond rounding, and harms nobody."""
    return f"; harmless beside that: {describe(harm.moves[0])}" if cause and harm.moves else ""


def _definition(harm: Harm) -> str:
    move = harm.of("beta_se")
    if move is None:
        return "its covariance of the fixed effects is another documented quantity"
    return f"its standard errors are another documented quantity: {describe(move)}"


def _moves(harm: Harm) -> str:
    """The worst moves; a prediction only where nothing else is off."""
    harmful = [move for move in harm.moves if move.over > 1 and not _told_by_height(harm, move)]
    first = [move for move in harmful if move.kind != "prediction"] or harmful or [*harm.moves]
    return "; ".join(describe(move) for move in first[:TOLD])


def _told_by_height(harm: Harm, move: Move) -> bool:
    """Whether the reported likelihood is off by where the engine stopped, which is told anyway."""
    rest = abs(move.value - move.truth - harm.above)
    return move.kind == "deviance" and rest <= 0.01 * abs(harm.above)


def _height(harm: Harm) -> str:
    if math.isnan(harm.above) or harm.above <= NEGLIGIBLE:
        return ""
    return f"; {harm.above:.2g} in deviance above the optimum"


def _sides(harm: Harm) -> str:
    return "".join(f"; {_changed(conclusion)}" for conclusion in harm.conclusions[:TOLD])


def _changed(c: Conclusion) -> str:
    def said(interval: tuple[float, float]) -> str:
        return f"{interval[0]:.3g} to {interval[1]:.3g}"

    verb = "holds 0" if c.theirs[0] <= 0 <= c.theirs[1] else "leaves 0 out"
    return f"its 95 % interval of {c.label}, {said(c.theirs)}, {verb}; in truth {said(c.ours)}"


def _least(harm: Harm) -> str:
    """The largest move of each kind, all below what harms."""
    beta, variance = harm.of("beta"), harm.of("variance")
    said = [f"no fixed effect moves by more than {beta.size:.1g} standard errors"] if beta else []
    if variance:
        said.append(f"no variance by more than {_percent(variance.size)}")
    return ", ".join(said) or "nothing that is reported moves"


def _why_not(fit: Fit, stop: Stop, cause: Cause | None, lines: Sequence[Comparison]) -> str:
    if cause == "definition":
        return f"it answers another question, {fit.estimator}"
    if stop.above < 0 and any(line.verdict != "skip" for line in lines):
        return (
            f"its variances lie {-stop.above:.2g} in deviance below the optimum that is called "
            "certified, which is a fault of pp_compare"
        )
    return lines[0].reason if lines else "nothing was compared"


def describe(move: Move) -> str:
    """A move in words: ``standard error of Time 3.60 for 0.189``, and how large that is."""
    value, truth = _pair(move.value, move.truth)
    return f"{name_of(move)} {value} for {truth}{_in_units(move)}"


def name_of(move: Move) -> str:
    """What moved, in words: ``standard error of Time``."""
    if move.kind == "beta":
        return f"fixed effect {move.label}"
    if move.kind == "beta_se":
        return f"standard error of {move.label}"
    if move.kind == "deviance":
        return "reported -2 log-likelihood"
    if move.quantity == "sigma^2":
        return "residual variance"
    if move.kind == "prediction":
        return f"{move.quantity} {move.label}"
    group = move.quantity.partition("[")[2][:-1]
    first, _, second = move.label.partition(", ")
    if second and first != second:
        return f"covariance of {first} and {second} | {group}"
    return f"variance of {first} | {group}"


def _in_units(move: Move) -> str:
    if not math.isfinite(move.size):
        return ""
    if move.kind == "beta":
        return f" ({move.size:.2g} standard errors)"
    if move.kind in {"beta_se", "variance"} and move.truth:
        return f" ({_relative(move)})"
    if move.kind == "prediction":
        return f" ({move.size:.2g} standard deviations of the response)"
    return ""


def _relative(move: Move) -> str:
    """Per cent of the true number, or how many times it is where that is more than ten."""
    ratio = move.value / move.truth
    return f"{ratio:.0f} times that" if ratio > LARGEST_PERCENT else _percent(abs(ratio - 1))


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 1 else f"{100 * share:.0f} %"


def _pair(value: float, truth: float) -> tuple[str, str]:
    """Both numbers with as many digits as show that they differ, at least three."""
    for digits in range(3, 17):
        pair = f"{value:.{digits}g}", f"{truth:.{digits}g}"
        if pair[0] != pair[1]:
            break
    return pair


def engine_says(standing: str, fit: Fit, harm: Harm, optimum: Optimum) -> tuple[str, ...]:
    """What an engine said of itself, set beside what is true."""
    found = []
    near = not math.isnan(harm.above) and standing.startswith(("right", "short"))
    if fit.converged is False:
        truth = f"is within {max(harm.above, 0.0):.1g} in deviance of the optimum" if near else ""
        found.append("says that it did not converge" + (f"; {truth}" if truth else ""))
    elif fit.converged and standing in {"wrong", "wrong optimum"}:
        found.append("says that it converged")
    if fit.singular is not None and fit.singular != optimum.singular and standing != "not judged":
        here, there = ("is", "is not") if fit.singular else ("is not", "is")
        found.append(f"says that its fit {here} singular; the optimum {there}")
    return (*found, *(f"says: {one_line(message)}" for message in fit.messages))


def one_line(text: str) -> str:
    """An engine's own words on one line, cut where they are long."""
    flat = " ".join(text.split())
    return flat if len(flat) <= LONGEST else f"{flat[: LONGEST - len(CUT)]}{CUT}"
