"""The steps of partial pooling for slopes, nested and crossed factors, in words and numbers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pp_compare.inferences.explain import LevelEffects, ModelExplanation
from pp_compare.report.explain.answer import num, split_table, split_text, standardised
from pp_compare.report.explain.step import Step
from pp_compare.report.table import Table

WIDEST = 3
"""Fixed effects whose weights are told, those that differ most."""
NAMED = 3
"""Levels that are named for each fixed effect."""


def model_steps(e: ModelExplanation) -> tuple[Step, ...]:
    """The elemental steps, in order."""
    found = [_groups(e), _variances(e)]
    found += [_pooling(effects) for effects in e.effects]
    found += _weights(e)
    if e.splits:
        found.append(Step("Within and between", split_text(e.splits), split_table(e.splits)))
    found.append(_lines(e))
    return tuple(found)


def model_why(e: ModelExplanation) -> tuple[str, ...]:
    """Sentences that hold for these numbers."""
    return (*_moved(e), *_strongest(e))


def _groups(e: ModelExplanation) -> Step:
    rows = []
    for group, codes in e.design.group_codes.items():
        sizes = np.bincount(codes)
        rows.append((group, str(len(sizes)), str(sizes.min()), str(sizes.max())))
    text = f"{e.design.n_obs} rows, grouped by {len(rows)} factor{'s' if len(rows) > 1 else ''}."
    heads = ("factor", "levels", "fewest rows", "most rows")
    return Step("Groups", text, Table(heads, tuple(rows)))


def _variances(e: ModelExplanation) -> Step:
    rows = []
    for block, cov in zip(e.design.blocks, e.rows.covariances, strict=True):
        for k, label in enumerate(block.labels):
            variance = cov[k, k] * e.sigma2
            rows.append((f"{label} by {block.group}", num(variance), num(np.sqrt(variance))))
    rows.append(("residual", num(e.sigma2), num(np.sqrt(e.sigma2))))
    text = (
        f"The mixed model ({e.fit.engine}, {e.design.spec.method}) splits the variance of a "
        "response into that of its random effects and the residual one."
    )
    text += "".join(_correlations(e))
    heads = ("random effect", "variance", "standard deviation")
    return Step("The variances", text, Table(heads, tuple(rows)))


def _correlations(e: ModelExplanation) -> Iterator[str]:
    for block, cov in zip(e.design.blocks, e.rows.covariances, strict=True):
        deviations = np.sqrt(np.diag(cov))
        for i in range(len(cov)):
            for k in range(i):
                if deviations[i] * deviations[k] > 0:
                    r = cov[i, k] / (deviations[i] * deviations[k])
                    pair = f"{block.labels[k]} and {block.labels[i]} by {block.group}"
                    yield f" {pair} have correlation {r:.3g}."


def _pooling(effects: LevelEffects) -> Step:
    columns = (effects.own, effects.weight, effects.predicted, effects.predicted - effects.own)
    rows = [
        (level, str(size), *map(num, numbers))
        for level, size, *numbers in zip(
            effects.levels, effects.sizes, *(c.tolist() for c in columns), strict=True
        )
    ]
    text = (
        f"Own is what the rows of a level of {effects.group} say by themselves, once the rest of "
        "the model is taken off. Weight is how far the prediction rises when the level's own "
        "effect is one larger: 1 is no pooling, 0 complete pooling. Shrinkage is predicted minus "
        "own; with several effects of a level, what one says of another moves it too."
    )
    heads = (effects.group, "rows", "own", "weight", "predicted", "shrinkage")
    title = f"From own to predicted: {effects.label} by {effects.group}"
    return Step(title, text, Table(heads, tuple(rows)))


def _weights(e: ModelExplanation) -> list[Step]:
    order = np.argsort(-standardised(e), kind="stable")[:WIDEST]
    shown = sorted(order.tolist())
    heads = [f"{e.design.labels[k]}: {fit}" for k in shown for fit in ("lm", "mixed")]
    found = []
    for group, weights in e.weights.items():
        sizes = np.bincount(e.design.group_codes[group])
        both = np.stack([weights.lm[shown], weights.mixed[shown]], axis=1)
        both = both.reshape(-1, len(sizes))
        rows = [
            (level, str(size), *map(num, line))
            for level, size, line in zip(e.design.group_levels[group], sizes, both.T, strict=True)
        ]
        text = (
            "How far a fixed effect moves when all responses of a level rise by one, the variances "
            "held."
        )
        if len(e.design.labels) > len(shown):
            text += f" The {len(shown)} fixed effects in which the two fits differ most."
        title = f"What each level of {group} says"
        found.append(Step(title, text, Table((group, "rows", *heads), tuple(rows))))
    return found


def _lines(e: ModelExplanation) -> Step:
    names = {
        "complete pooling": "lm on all rows (complete pooling)",
        "partial pooling": "mixed model (partial pooling)",
    }
    rows = [
        (names.get(name, f"lm on the {name}, each counting once"), *map(num, beta))
        for name, beta in e.lines.items()
    ]
    unknown = [name for name, beta in e.lines.items() if np.isnan(beta).any()]
    text = "Fixed effects, by what is counted."
    if unknown:
        text += f" The {' and the '.join(unknown)} alone do not determine every fixed effect."
    return Step(
        "Where the line would be", text, Table(("fixed effects of", *e.design.labels), tuple(rows))
    )


def _moved(e: ModelExplanation) -> Iterator[str]:
    """How each fixed effect differs, and the levels that this comes from most."""
    apart = standardised(e)
    for k in np.argsort(-apart, kind="stable")[:WIDEST]:
        label = e.design.labels[k]
        lm, mixed = e.lines["complete pooling"][k], e.lines["partial pooling"][k]
        if num(lm) == num(mixed):
            continue
        yield (
            f"{label}: {num(lm)} in lm, {num(mixed)} in the mixed model, a difference of "
            f"{mixed - lm:+.3g} or {apart[k]:.2g} standard errors{''.join(_parts(e, int(k)))}."
        )


def _parts(e: ModelExplanation, k: int) -> Iterator[str]:
    for group, weights in e.weights.items():
        parts = weights.parts[k]
        order = np.argsort(-np.abs(parts))[:NAMED]
        names = e.design.group_levels[group]
        told = ", ".join(f"{names[j]} {parts[j]:+.3g}" for j in order)
        yield f"; by {group} it comes most from {told}"


def _strongest(e: ModelExplanation) -> Iterator[str]:
    for effects in e.effects:
        low, high = effects.weight.min(), effects.weight.max()
        name = f"{effects.label} by {effects.group}"
        if high <= 0:
            yield f"{name} has variance 0: every level's own effect is left aside."
        elif num(low) == num(high):
            yield f"{name} is pooled alike in every level, with a weight of {num(low)}."
        else:
            j, k = int(effects.weight.argmin()), int(effects.weight.argmax())
            yield (
                f"{name} is pooled most in {effects.levels[j]} ({_rows(effects.sizes[j])}, weight "
                f"{num(low)}), least in {effects.levels[k]} ({_rows(effects.sizes[k])}, "
                f"{num(high)})."
            )


def _rows(count: int) -> str:
    return f"{count} row{'' if count == 1 else 's'}"
