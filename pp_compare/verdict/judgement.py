"""What the comparisons of one engine on one model mean for somebody who would report its numbers.

Comparisons are evidence, line by line; a `Judgement` is the answer to "can I use these numbers?".
Whether a difference is known, or news, is an annotation and decides nothing here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pp_compare.certified.models import CertifiedModel
from pp_compare.model import Fit
from pp_compare.model.design import Design
from pp_compare.verdict import sentences
from pp_compare.verdict.agreement import Cause, Comparison
from pp_compare.verdict.attribution import Stop
from pp_compare.verdict.harm import Harm, measure_harm
from pp_compare.verdict.remedy import Remedy

Standing = Literal[
    "right",
    "right, other definition",
    "short of the optimum, harmless",
    "wrong",
    "wrong optimum",
    "no answer",
    "not judged",
]
STANDINGS: tuple[Standing, ...] = Standing.__args__  # type: ignore[attr-defined]  # its words, in order
GOOD, BAD = STANDINGS[:3], STANDINGS[3:6]
"""Standings with which a reader can use an engine's numbers, the best first, and cannot."""


NO_HARM = Harm()
"""Where there are no numbers to measure."""


@dataclass(frozen=True)
class Judgement:
    """What one engine's answer on one model is worth.

    Parameters
    ----------
    engine : str
    standing : Standing
    sentence : str
        The standing with the numbers it follows from; names the engine.
    harm : Harm
        Moves of what a reader would report, the worst first.
    cause : Cause or None
        Of what is off; None where nothing is.
    engine_says : tuple of str
        What the engine said of itself, set beside what is true.
    deviations : tuple of str
        Ids of the known deviations that its differences are.
    news : bool
        Whether anything about it is in no registry.
    remedy : Remedy or None
        What was run on these data and reached the optimum.
    """

    engine: str
    standing: Standing
    sentence: str
    harm: Harm = NO_HARM
    cause: Cause | None = None
    engine_says: tuple[str, ...] = ()
    deviations: tuple[str, ...] = ()
    news: bool = False
    remedy: Remedy | None = None

    @property
    def bad(self) -> bool:
        """Whether a reader cannot use the engine's numbers."""
        return self.standing in BAD


def judge_fit(
    design: Design, fit: Fit, stop: Stop | str, model: CertifiedModel, lines: Sequence[Comparison]
) -> Judgement:
    """Judge a fit with status ``"ok"`` by its comparisons with the certified optimum.

    Parameters
    ----------
    design : Design
    fit : Fit
    stop : Stop or str
        Where it stopped, or why that cannot be told (`stop_of`).
    model : CertifiedModel
    lines : sequence of Comparison
        All of the fit against ``certified``, with cause and known deviation.
    """
    above = stop.above if isinstance(stop, Stop) else float("nan")
    harm = measure_harm(design, fit, model.optimum.quantities, above)
    failed = [line for line in lines if line.verdict in ("fail", "known")]
    standing, cause = _standing(fit, stop, harm, lines, failed)
    return Judgement(
        engine=fit.engine,
        standing=standing,
        sentence=sentences.of_standing(standing, fit, stop, harm, cause, lines, model.optimum),
        harm=harm,
        cause=cause,
        engine_says=sentences.engine_says(standing, fit, harm, model.optimum),
        deviations=tuple(dict.fromkeys(x.deviation for x in failed if x.deviation)),
        news=any(line.verdict == "fail" for line in lines),
    )


def _standing(
    fit: Fit, stop: Stop | str, harm: Harm, lines: Sequence[Comparison], failed: list[Comparison]
) -> tuple[Standing, Cause | None]:
    if isinstance(stop, str):
        beta = fit.quantities.get("beta")
        answered = beta is not None and bool(np.isfinite(beta.values).all())
        return ("wrong" if answered else "no answer"), "failure"
    if all(line.verdict == "skip" for line in lines) or stop.above < -_allowed(lines):
        return "not judged", None
    causes = {line.quantity: line.cause for line in failed}
    root = causes.get("criterion")
    if root == "wrong optimum":
        return "wrong optimum", root
    if fit.estimator and root == "definition":
        return "not judged", root
    if not failed:
        return "right", None
    if _harmful(harm, causes):
        return "wrong", root or _first(causes)
    if root is not None:
        return "short of the optimum, harmless", root
    if "definition" in causes.values():
        return "right, other definition", "definition"
    return "right", _first(causes)


def _allowed(lines: Sequence[Comparison]) -> float:
    """Tolerance on the criterion; a deviance further below the optimum says that we are wrong."""
    return next((line.tolerance for line in lines if line.quantity == "criterion"), np.inf)


def _harmful(harm: Harm, causes: dict[str, Cause | None]) -> bool:
    """Whether anything that is off, and no other documented quantity, is off by enough to harm."""
    off = {quantity for quantity, cause in causes.items() if cause != "definition"}
    if "beta_cov" in off and causes.get("beta_se") != "definition":
        off.add("beta_se")
    moved = [move for move in harm.moves if move.quantity.replace("sigma^2", "sigma") in off]
    return any(move.over > 1 for move in moved) or (
        bool(harm.conclusions) and bool(off & {"beta", "beta_se"})
    )


def _first(causes: dict[str, Cause | None]) -> Cause | None:
    """The cause that is no other definition, where there is one."""
    others = [cause for cause in causes.values() if cause not in (None, "definition")]
    return others[0] if others else next(iter(causes.values()), None)


def without_answer(
    fit: Fit, refused_rightly: str = "", known: Comparison | None = None
) -> Judgement:
    """Judge a fit that has no numbers.

    Parameters
    ----------
    fit : Fit
        With status ``"error"`` or ``"unsupported"``.
    refused_rightly : str
        Why the model has no optimum, or not everything in it is identified; then refusing is right.
    known : Comparison, optional
        The line that says so, with its known deviation.
    """
    said = "; ".join(fit.messages)
    if fit.status == "unsupported":
        sentence = f"{fit.engine} is not judged: {said}"
        return Judgement(fit.engine, "not judged", sentence)
    if refused_rightly:
        return Judgement(
            fit.engine,
            "not judged",
            f"{fit.engine} refuses the model, and is right to: {refused_rightly}",
            engine_says=(f"says: {sentences.one_line(said)}",),
        )
    longer = "; --limit SECONDS gives it more" if fit.out_of_time else ""
    return Judgement(
        fit.engine,
        "no answer",
        f"{fit.engine} gives no answer: {sentences.one_line(said)}{longer}",
        cause="failure",
        deviations=(known.deviation,) if known and known.deviation else (),
        news=known is not None and known.verdict == "fail",
    )


def unjudged(fit: Fit, reason: str) -> Judgement:
    """A fit that nothing can be held against, with the reason."""
    return Judgement(fit.engine, "not judged", f"{fit.engine} is not judged: {reason}")


def with_remedy(judgement: Judgement, remedy: Remedy | None) -> Judgement:
    """The judgement with what was found to mend it."""
    return replace(judgement, remedy=remedy)
