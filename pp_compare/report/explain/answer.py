"""The answer of an explanation in one sentence, and what the within and between parts say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pp_compare.inferences.explain import Explanation, ModelExplanation
from pp_compare.inferences.within_between import Parts, Split
from pp_compare.report.table import Table

SAME = 1e-6
"""Standard errors within which two fits have one line: no digit shown differs."""


def answer(e: Explanation | ModelExplanation) -> str:
    """Why the mixed model's line is where it is, in one sentence."""
    if _no_variance(e):
        return "The mixed model's line is lm's, because its random effects have variance 0."
    apart, k = standardised(e), told(e)
    if apart[k] <= SAME:
        return (
            "The mixed model's fixed effects are those of lm, to "
            f"{apart[k]:.1g} standard errors; what differs is how sure of them it is."
        )
    lm, mixed = e.lines["complete pooling"][k], e.lines["partial pooling"][k]
    if abs(mixed - lm) <= rounding(e):
        return (
            "The mixed model's fixed effects are those of lm as far as double precision can tell: "
            f"they differ by up to {abs(mixed - lm):.1g}, and rounding alone by {rounding(e):.1g}."
        )
    label = e.design.labels[k]
    first, second = apart_in_digits(mixed, lm)
    start = f"{label} is {first} in the mixed model and {second} in lm"
    return f"{start}, because {_reason(e, k, label)}."


def rounding(e: Explanation | ModelExplanation) -> float:
    """What least squares may lose of a fixed effect: n eps of the largest response."""
    return float(len(e.design.y) * np.finfo(float).eps * np.abs(e.design.y).max())


def apart_in_digits(a: float, b: float) -> tuple[str, str]:
    """Two numbers to as many digits, five or more, as show that they differ."""
    for digits in range(5, 17):
        first, second = f"{a:.{digits}g}", f"{b:.{digits}g}"
        if first != second:
            break
    return first, second


def told(e: Explanation | ModelExplanation) -> int:
    """The effect that differs most; the intercept only where no other differs."""
    apart = standardised(e)
    others = np.array([label != "Intercept" for label in e.design.labels])
    slopes = np.where(others, apart, 0.0)
    return int(slopes.argmax() if slopes.max() > SAME else apart.argmax())


def standardised(e: Explanation | ModelExplanation) -> np.ndarray:
    """How far each fixed effect differs between the fits, in the mixed model's standard errors."""
    se = dict(e.fit.quantities["beta_se"].entries())
    difference = np.abs(e.lines["partial pooling"] - e.lines["complete pooling"])
    return np.asarray(difference / np.array([se[label] for label in e.design.labels]))


def split_table(found: Sequence[Split]) -> Table:
    """Shares and slopes of lm and the mixed model."""
    heads = ("slope", "within", "between", "share of within")
    rows = [
        (f"{split.label} by {split.group}", name, *_cells(parts))
        for split in found
        for name, parts in (("lm", split.lm), ("mixed", split.mixed))
    ]
    return Table(("effect", "fit", *heads), tuple(rows), labels=2)


def split_text(found: Sequence[Split]) -> str:
    """What the table of the splits holds."""
    first = found[0]
    return (
        "A predictor that varies both within and between clusters has two slopes: that of the "
        "deviations from the cluster means, and that of the means. Each fit mixes them: slope = "
        "share * within + (1 - share) * between, exactly, the other effects at their estimates. "
        f"Of {first.label}, lm takes {percent(first.lm.share)} from within {first.group}, the "
        f"mixed model {percent(first.mixed.share)}."
    )


def _cells(parts: Parts) -> tuple[str, ...]:
    numbers = (parts.slope, parts.within, parts.between)
    return (*map(num, numbers), percent(parts.share))


def _no_variance(e: Explanation | ModelExplanation) -> bool:
    return all(not cov.any() for cov in e.fit.covariances.values())


def _reason(e: Explanation | ModelExplanation, k: int, label: str) -> str:
    of_label = [s for s in e.splits if s.label == label and _is_reason(s)]
    if of_label:
        return _by_split(max(of_label, key=lambda s: abs(s.mixed.share - s.lm.share)))
    if isinstance(e, Explanation) and e.is_cluster_level and np.ptp(e.pooling.sizes):
        return _by_counting(e)
    return _by_level(e, k)


def _is_reason(split: Split) -> bool:
    """Whether most of the difference comes from the share of within, not from other slopes."""
    lm, mixed = split.lm, split.mixed
    if np.isnan([lm.between, mixed.between]).any() or percent(lm.share) == percent(mixed.share):
        return False
    of_share = (mixed.share - lm.share) * (mixed.within - mixed.between)
    return abs(of_share) >= abs(mixed.slope - lm.slope) / 2


def _by_split(split: Split) -> str:
    lm, mixed = split.lm, split.mixed
    return (
        f"the mixed model takes {percent(mixed.share)} of it from within {split.group}, where the "
        f"slope is {num(mixed.within)} (between: {num(mixed.between)}), and lm "
        f"{percent(lm.share)} ({num(lm.within)} and {num(lm.between)})"
    )


def _by_counting(e: Explanation) -> str:
    small, large, ratio = e.counting
    return (
        f"lm counts a cluster by its rows, so that one of {large} counts {num(large / small)} "
        f"times as much as one of {small}, and the mixed model by 1 / (tau2 + sigma2 / n), so that "
        f"it counts {num(ratio)} times as much"
    )


def _by_level(e: Explanation | ModelExplanation, k: int) -> str:
    """The level that the difference comes from most."""
    by_group = {e.group: e.weights} if isinstance(e, Explanation) else e.weights
    group = max(by_group, key=lambda g: np.abs(by_group[g].parts[k]).max())
    parts = by_group[group].parts[k]
    j = int(np.abs(parts).argmax())
    level = e.design.group_levels[group][j]
    whole = e.lines["partial pooling"][k] - e.lines["complete pooling"][k]
    return (
        f"the two weigh the rows differently: {group} {level} brings {parts[j]:+.3g} of the "
        f"difference of {whole:+.3g}"
    )


def num(value: float) -> str:
    """Five digits; empty where there is no number."""
    return "" if np.isnan(value) else f"{value:.5g}"


def percent(share: float) -> str:
    """A share, in whole per cent where that shows it."""
    digits = 0 if 0.005 <= share <= 0.995 or round(share, 4) in (0, 1) else 2
    return f"{100 * share:.{digits}f} %"
