"""Partial pooling of a generalised mixed model in words: each sentence follows from its numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from pp_compare.inferences.explain_glmm import GlmmEffects, GlmmExplanation
from pp_compare.report.explain.answer import SAME, apart_in_digits, num
from pp_compare.report.explain.step import Step, Story
from pp_compare.report.table import Table

WIDEST = 3
"""Fixed effects that are told, those that differ most."""

SKEW = 0.01
"""Share of the standard deviation from which mode and mean of an effect are told apart."""


def glmm_story(e: GlmmExplanation) -> Story:
    """All of it."""
    design = e.design
    model = f"{design.formula}, {design.family}({design.link})"
    return Story(e.title, model, glmm_answer(e), glmm_steps(e), glmm_why(e))


def glmm_answer(e: GlmmExplanation) -> str:
    """What sets the mixed model's fixed effects apart from glm's, in one sentence."""
    if not any(e.deviations):
        return "The mixed model's fixed effects are glm's: its random effects have variance 0."
    apart = standardised(e)
    k = _told(e, apart)
    if apart[k] <= SAME:
        return (
            f"The mixed model's fixed effects are those of glm, to {apart[k]:.1g} standard errors."
        )
    mixed, plain = apart_in_digits(e.lines["mixed model"][k], e.lines["glm"][k])
    start = f"{e.design.design.labels[k]} is {mixed} in the mixed model and {plain} in glm"
    return f"{start}: {_parts(e, k)}."


def glmm_steps(e: GlmmExplanation) -> tuple[Step, ...]:
    """The elemental steps, in order."""
    return (_seen(e), _spread(e), *(_pooling(e, x) for x in e.effects), _lines(e), _undefined(e))


def glmm_why(e: GlmmExplanation) -> tuple[str, ...]:
    """Sentences that hold for these numbers."""
    if not any(e.deviations):
        return ("Every level's own effect is left aside: the modes are 0.",)
    found = [*_averaging(e), *_moved(e)]
    for effects, sd in zip(e.effects, e.deviations, strict=True):
        found += [*_strongest(e, effects, sd), *_infinite(e, effects), *_shrunk(effects, sd)]
        found += _skew(effects, sd)
    return tuple(found)


def standardised(e: GlmmExplanation) -> np.ndarray:
    """How far each fixed effect differs from glm's, in the mixed model's standard errors.

    As it is where the fit has no standard errors.
    """
    difference = np.abs(e.lines["mixed model"] - e.lines["glm"])
    se = e.fit.quantities.get("beta_se")
    return np.asarray(difference if se is None else difference / se.values)


def _told(e: GlmmExplanation, apart: np.ndarray) -> int:
    """The effect that differs most; the intercept only where no other differs."""
    slopes = np.where([label != "Intercept" for label in e.design.design.labels], apart, 0.0)
    return int(slopes.argmax() if slopes.max() > SAME else apart.argmax())


def _parts(e: GlmmExplanation, k: int) -> str:
    """The two parts of a difference, the larger first."""
    whole = e.lines["glm"][k] - e.lines["mixed model"][k]
    averaging = f"{e.averaging[k]:+.3g} because it speaks of the average over {_groups(e)}"
    weighing = f"{e.weighing[k]:+.3g} {_rest(e)}"
    first, second = averaging, weighing
    if abs(e.weighing[k]) > abs(e.averaging[k]):
        first, second = weighing, averaging
    way = "higher" if whole > 0 else "lower"
    return f"glm's is {abs(whole):.3g} {way}, {first}, and {second}"


def _rest(e: GlmmExplanation) -> str:
    """What a difference is left to: at other numbers than the optimum to these, too."""
    weighed = "because it weighs the rows as if they were independent"
    if e.fit.engine.startswith("certified"):
        return weighed
    return f"{weighed}, and for what {e.fit.engine} is off"


def _groups(e: GlmmExplanation) -> str:
    return _listed(list(dict.fromkeys(x.group for x in e.effects)))


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


# ---- the steps ----------------------------------------------------------------------------------


def _seen(e: GlmmExplanation) -> Step:
    design = e.design
    total = int(design.y.sum())
    if design.family == "poisson":
        what = f"{total} counted in all, {num(total / len(design.y))} a row"
    else:
        trials = int(design.trials.sum())
        what = f"{total} successes in {trials} trials, {100 * total / trials:.3g} %"
    rows = []
    for group, codes in design.design.group_codes.items():
        sizes = np.bincount(codes)
        rows.append((group, str(len(sizes)), str(sizes.min()), str(sizes.max())))
    heads = ("factor", "levels", "fewest rows", "most rows")
    text = f"{len(design.y)} rows: {what}."
    return Step("What was seen", text, Table(heads, tuple(rows)))


def _spread(e: GlmmExplanation) -> Step:
    what = "odds" if e.design.family == "binomial" else "mean"
    rows = [
        (f"{x.label} by {x.group}", num(sd), num(math.exp(sd)))
        for x, sd in zip(e.effects, e.deviations, strict=True)
    ]
    text = (
        f"The mixed model ({e.fit.engine}, {e.design.family} with the {e.design.link} link) has no "
        "residual variance: a row's variance follows from its mean. Its random effects are added "
        f"on the scale of the link, so one standard deviation up multiplies the {what} by exp(sd) "
        "for each unit of the effect's column."
    )
    return Step(
        "The spread between levels", text, Table(("random effect", "sd", "exp(sd)"), (*rows,))
    )


def _pooling(e: GlmmExplanation, x: GlmmEffects) -> Step:
    binomial = e.design.family == "binomial"
    heads = [x.group, "rows", *(("trials", "successes") if binomial else ("count",)), "own"]
    counts = [x.rows, *((x.trials,) if binomial else ()), x.seen]
    numbers = [x.own, x.weight, x.mode]
    heads += ["weight", "mode"]
    if x.mean is not None:
        heads.append("mean")
        numbers.append(x.mean)
    rows = [
        (level, *(str(c[j]) for c in counts), *(num(float(v[j])) for v in numbers))
        for j, level in enumerate(x.levels)
    ]
    text = "The same for the next effect." if x is not e.effects[0] else _own_and_mode(x)
    if x.mean is not None:
        text += " Mean is the mean of the effect given the data, by the exact integral."
    title = f"From own to mode: {x.label} by {x.group}"
    return Step(title, text, Table(tuple(heads), tuple(rows)))


def _own_and_mode(x: GlmmEffects) -> str:
    return (
        f"Own is the effect that the rows of a level of {x.group} say by themselves, on the scale "
        "of the link, the rest of the model as an offset: the maximum of their own likelihood, "
        "which is infinite where it rises for ever. The mode, what the mixed model predicts, is "
        "the maximum of that likelihood times the normal density of the effects. Weight is how far "
        "the mode rises when the level's own effect is one larger, to first order: 1 is no "
        "pooling, 0 complete pooling."
    )


def _lines(e: GlmmExplanation) -> Step:
    names = ("mixed model", "glm", "averaged")
    rows = [
        (label, *(num(float(e.lines[name][k])) for name in names),
         f"{e.averaging[k]:+.3g}", f"{e.weighing[k]:+.3g}")
        for k, label in enumerate(e.design.design.labels)
    ]  # fmt: skip
    text = (
        "Three sets of fixed effects. glm has no random effects (complete pooling). Averaged is "
        "what glm says where each row's response is what the mixed model expects of it, averaged "
        "over the random effects. So glm less mixed model is, exactly, what averaging does and "
        "what is left, which comes of how the rows are weighed."
    )
    heads = ("fixed effect", "mixed model", "glm", "averaged", "averaging", "weighing")
    return Step("Where the line would be", text, Table(heads, tuple(rows)))


def _undefined(e: GlmmExplanation) -> Step:
    found = [
        "There are no weights of levels in the fixed effects, and no least squares on predicted "
        "means that would give them back: with this link they are no linear functions of the "
        "responses.",
        "There is no residual variance, so no share of it that lies between levels.",
    ]
    if e.random_intercept and e.design.family == "binomial":
        v = e.deviations[0] ** 2
        found[1] += (
            " By convention the intraclass correlation is that of a logistic variable of which the "
            f"response is a sign, sd^2 / (sd^2 + pi^2/3) = {num(v / (v + math.pi**2 / 3))}."
        )
    if any(x.mean is None for x in e.effects):
        found.append(
            "The means of the effects given the data have no formula, and are worked out for one "
            "random intercept alone."
        )
    return Step("What is not defined here", " ".join(found))


# ---- what follows -------------------------------------------------------------------------------


def _averaging(e: GlmmExplanation) -> Iterator[str]:
    if not e.random_intercept:
        return
    v, groups = e.deviations[0] ** 2, _groups(e)
    if e.design.family == "binomial":
        yield (
            f"A fixed effect of the mixed model is that within one {groups}; glm's is that of the "
            "average over them, and an average of logistic curves that lie apart is less steep "
            "than each of them at its steepest."
        )
    else:
        yield (
            f"Averaged over {groups}, every mean is exp(sd^2 / 2) = {num(math.exp(v / 2))} times "
            f"that of the middle level: averaging moves the intercept by {num(v / 2)}, and no "
            "other fixed effect."
        )


def _moved(e: GlmmExplanation) -> Iterator[str]:
    apart = standardised(e)
    for k in np.argsort(-apart, kind="stable")[:WIDEST].tolist():
        if apart[k] > SAME:
            mixed, plain = apart_in_digits(e.lines["mixed model"][k], e.lines["glm"][k])
            label = e.design.design.labels[k]
            yield f"{label}: {mixed} in the mixed model, {plain} in glm; {_parts(e, k)}."


def _strongest(e: GlmmExplanation, x: GlmmEffects, sd: float) -> Iterator[str]:
    name = f"{x.label} by {x.group}"
    if sd == 0:
        yield f"{name} has variance 0: every level's own effect is left aside."
        return
    j, k = int(x.weight.argmin()), int(x.weight.argmax())
    if num(x.weight[j]) == num(x.weight[k]):
        yield f"{name} is pooled alike in every level, with a weight of {num(x.weight[j])}."
        return
    yield (
        f"{name} is pooled most in {_level(e, x, j)}, weight {num(x.weight[j])}, and least in "
        f"{_level(e, x, k)}, weight {num(x.weight[k])}."
    )


def _level(e: GlmmExplanation, x: GlmmEffects, j: int) -> str:
    """A level, with what was seen of it: that says as much as its rows do."""
    if e.design.family == "binomial":
        return f"{x.levels[j]} ({x.seen[j]} of {x.trials[j]})"
    return f"{x.levels[j]} ({x.seen[j]} counted in {x.rows[j]} row{'s' if x.rows[j] > 1 else ''})"


def _infinite(e: GlmmExplanation, x: GlmmEffects) -> Iterator[str]:
    at = np.isinf(x.own)
    count = int(at.sum())
    if not count:
        return
    have, their = ("have", "their") if count > 1 else ("has", "its")
    said = f"{have} rows whose likelihood rises with the effect for ever"
    if x.label == "Intercept":
        alone = "counts of 0" if e.design.family == "poisson" else "failures, or successes,"
        said = f"{have} {alone} alone"
    yield (
        f"Of {len(at)} levels of {x.group} {count} {said}: {their} own effect is infinite, and the "
        f"mixed model's {_range(x.mode[at])}."
    )


def _range(values: np.ndarray) -> str:
    low, high = num(float(values.min())), num(float(values.max()))
    return f"is {low}" if low == high else f"is between {low} and {high}"


def _shrunk(x: GlmmEffects, sd: float) -> Iterator[str]:
    spread = float(x.mode.std())
    if 0 < spread < sd:
        yield (
            f"The modes of {x.label} by {x.group} have a standard deviation of {num(spread)}, the "
            f"model's is {num(sd)}: they are shrunk, and their spread is no estimate of it."
        )


def _skew(x: GlmmEffects, sd: float) -> Iterator[str]:
    if x.mean is None:
        return
    apart = np.abs(x.mean - x.mode)
    j = int(apart.argmax())
    if apart[j] > SKEW * sd:
        yield (
            f"Of {x.levels[j]} the mode is {num(x.mode[j])} and the mean {num(x.mean[j])}: given "
            "the data its effect is skew, which a normal curve at the mode leaves out."
        )
