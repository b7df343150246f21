"""An explanation in words: steps with their tables, and a closing paragraph made from the numbers.

Every sentence is chosen by a condition on the numbers that makes it true; where a condition does
not hold, the sentence does not appear.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from pp_compare.inferences.explain import Explanation, ModelExplanation
from pp_compare.report.explain.answer import split_table, split_text, standardised
from pp_compare.report.explain.model_story import model_steps, model_why
from pp_compare.report.explain.step import Step
from pp_compare.report.table import Table

SHOWN_EFFECTS = 4
"""Fixed effects that the closing paragraph tells of: those that differ most."""
SHOWN_PARTS = 2
"""Clusters named for each fixed effect; the rest is summed up."""

LINE_NAMES = {
    "complete pooling": "lm on all rows (complete pooling)",
    "partial pooling": "mixed model (partial pooling)",
    "no pooling": "observed cluster means, each counting once (no pooling)",
    "predicted means": "predicted cluster means, each counting once",
    "shifted rows": "lm on all rows, each cluster shifted to its prediction",
}


def steps(e: Explanation | ModelExplanation) -> tuple[Step, ...]:
    """The elemental steps, in order."""
    if isinstance(e, ModelExplanation):
        return model_steps(e)
    found = [_sizes(e), _variances(e), _pooling(e), _weights(e)]
    if e.splits:
        found.append(Step("Within and between", split_text(e.splits), split_table(e.splits)))
    return (*found, _lines(e))


def why(e: Explanation | ModelExplanation) -> tuple[str, ...]:
    """Why the line lies where it lies: sentences that hold for these numbers."""
    if isinstance(e, ModelExplanation):
        return model_why(e)
    if e.tau2 == 0:
        return (_no_variance(e),)
    found = [_ratio(e), _counting(e), *_lean(e)]
    order = np.argsort(-standardised(e), kind="stable")
    for k in sorted(order[:SHOWN_EFFECTS]):
        found += _moved(e, k, e.design.labels[k])
    found += [*_others(e, order[SHOWN_EFFECTS:]), *_shrinkage(e)]
    return tuple(sentence for sentence in found if sentence)


def _sizes(e: Explanation) -> Step:
    p = e.pooling
    rows = [(c, str(n), mean) for c, n, mean in _zip(p.clusters, p.sizes, _column(p.observed))]
    sizes = (
        _rows(min(p.sizes)) + " each"
        if _equal_sizes(e)
        else f"{min(p.sizes)} to {max(p.sizes)} rows"
    )
    text = (
        f"{e.design.n_obs} rows in {len(p.clusters)} clusters ({e.group}), of {sizes}. The plain "
        "mean of a cluster uses its own rows alone."
    )
    return Step(
        "Clusters and their means", text, Table((e.group, "rows", "observed mean"), (*rows,))
    )


def _variances(e: Explanation) -> Step:
    text = (
        f"The mixed model ({e.fit.engine}, {e.design.spec.method}) splits the variance of a "
        f"response: tau2 = {_num(e.tau2)} between clusters and sigma2 = {_num(e.sigma2)} within "
        f"them. Their ratio is {_num(e.tau2 / e.sigma2)}, the intraclass correlation {_num(e.icc)}."
    )
    return Step("Two variances", text)


def _pooling(e: Explanation) -> Step:
    p = e.pooling
    numbers = (p.weights, p.fixed_part, p.partially_pooled, p.completely_pooled, p.shrinkage)
    rows = [
        (c, str(n), *line)
        for c, n, *line in _zip(p.clusters, p.sizes, *map(_column, (p.observed, *numbers)))
    ]
    text = (
        "A cluster's own mean gets the pooling weight lambda = tau2 / (tau2 + sigma2 / n), the "
        "fixed part of the model the rest (Gelman and Hill 2006, eq. 12.1): predicted = lambda * "
        "observed + (1 - lambda) * fixed part. Shrinkage is predicted minus observed."
    )
    heads = ("rows", "observed", "weight", "fixed part", "predicted", "lm", "shrinkage")
    return Step("From observed to predicted means", text, Table((e.group, *heads), (*rows,)))


def _weights(e: Explanation) -> Step:
    heads = [f"{label}: {fit}" for label in e.design.labels for fit in ("lm", "mixed")]
    both = np.stack([e.weights.lm, e.weights.mixed], axis=1)
    both = both.reshape(-1, len(e.pooling.clusters))
    rows = [
        (c, str(n), *map(_num, line))
        for c, n, line in _zip(e.pooling.clusters, e.pooling.sizes, both.T)
    ]
    text = "How far each fixed effect moves when all responses of a cluster rise by one. "
    text += (
        "Each fixed effect is the sum of these weights times the observed means; lm weights a "
        "mean by n, the mixed model by 1 / (tau2 + sigma2 / n)."
        if e.is_cluster_level
        else "A predictor varies within clusters here, so rows inside a cluster say something too; "
        "these weights are what a cluster says as a whole."
    )
    return Step(
        "What each cluster says in each fixed effect",
        text,
        Table((e.group, "rows", *heads), (*rows,)),
    )


def _lines(e: Explanation) -> Step:
    effects = [_column(beta) for beta in np.array(list(e.lines.values())).T]
    rows = [(LINE_NAMES[name], *line) for name, *line in _zip(e.lines, *effects)]
    gap = _largest(e.lines["predicted means"] - e.lines["partial pooling"])
    text = (
        "Least squares on the predicted means gives the mixed model's fixed effects, "
        f"{_apart(e, 'predicted means')}: an identity, since the predicted effects sum to zero "
        "along every predictor."
        if e.is_cluster_level
        else "A predictor varies within clusters, so least squares on the predicted means is "
        f"another estimator here: it differs by up to {_num(gap)}."
    )
    if np.isnan(gap):
        text = "The cluster means alone do not determine every fixed effect of this model."
    return Step(
        "Where the line would be", text, Table(("fixed effects of", *e.design.labels), (*rows,))
    )


def _no_variance(e: Explanation) -> str:
    return (
        "The estimated variance between clusters is 0. Every pooling weight is then 0, every "
        "prediction is its fixed part, and clusters count by their rows as in lm: the two lines "
        f"are the same, {_apart(e, 'complete pooling')}."
    )


def _ratio(e: Explanation) -> str:
    sizes, weights = e.pooling.sizes, e.pooling.weights
    start = f"Between clusters the variance is {_num(e.tau2 / e.sigma2)} times that within them"
    if _equal_sizes(e):
        return f"{start}, so each mean of {_rows(sizes[0])} keeps a weight of {_num(weights[0])}."
    low, high = sizes.argmin(), sizes.argmax()
    return (
        f"{start}, so a mean of {_rows(sizes[low])} keeps a weight of {_num(weights[low])}, "
        f"one of {_rows(sizes[high])} {_num(weights[high])}."
    )


def _counting(e: Explanation) -> str:
    """What a large cluster counts against a small one, in both fits."""
    if _equal_sizes(e):
        return (
            "All clusters have the same size, so lm and the mixed model weigh them alike, and the "
            f"two lines are the same, {_apart(e, 'complete pooling')}."
            if e.is_cluster_level
            else ""
        )
    small, large, ratio = e.counting
    return (
        f"As far as clusters are compared with each other, lm counts rows: a cluster of {large} "
        f"counts {_num(large / small)} times as much as one of {small}. The mixed model counts a "
        f"mean by 1 / (tau2 + sigma2 / n): there the same cluster counts {_num(ratio)} times as "
        "much."
    )


def _others(e: Explanation, rest: np.ndarray) -> list[str]:
    if not len(rest):
        return []
    largest = standardised(e)[rest].max()
    return [f"The other {len(rest)} fixed effects differ by at most {largest:.2g} standard errors."]


def _moved(e: Explanation, k: int, label: str) -> list[str]:
    """How one fixed effect differs, and which clusters that comes from."""
    lm, mixed = e.lines["complete pooling"][k], e.lines["partial pooling"][k]
    if _num(lm) == _num(mixed):
        return []
    parts = e.weights.parts[k]
    order = np.argsort(-np.abs(parts))
    named = [_part(e, k, j) for j in order[:SHOWN_PARTS]]
    rest = parts[order[SHOWN_PARTS:]]
    tail = f"; the other {len(rest)} together {_signed(rest.sum())}" if len(rest) else ""
    sentence = (
        f"{label}: {_num(lm)} in lm, {_num(mixed)} in the mixed model, a difference of "
        f"{_signed(mixed - lm)}. Of that, {'; '.join(named)}{tail}."
    )
    return [sentence]


def _part(e: Explanation, k: int, j: int) -> str:
    p, residual = e.pooling, e.residuals[j]
    part = (
        f"{e.group} {p.clusters[j]} ({_rows(p.sizes[j])}) brings {_signed(e.weights.parts[k, j])}"
    )
    if not e.is_cluster_level:
        return part
    before, after = e.weights.lm[k, j], e.weights.mixed[k, j]
    side = "above" if residual > 0 else "below"
    return (
        f"{part}: its weight goes from {_num(before)} to {_num(after)}, and its mean lies "
        f"{_num(abs(residual))} {side} lm's line"
    )


def _lean(e: Explanation) -> list[str]:
    """Whether the smallest clusters have more to say than in lm, effect by effect."""
    sizes = e.pooling.sizes
    if _equal_sizes(e) or not e.is_cluster_level:
        return []
    small = sizes == sizes.min()
    shares = [
        [np.abs(w[small]).sum() / np.abs(w).sum() for w in pair]
        for pair in _zip(e.weights.lm, e.weights.mixed)
    ]
    found = [
        f"from {_percent(before)} to {_percent(after)} in {label}"
        for label, (before, after) in _zip(e.design.labels, shares)
        if _percent(before) != _percent(after)
    ]
    if not found:
        return []
    leans = all(before < after for before, after in shares)
    names = [c for c, is_small in _zip(e.pooling.clusters, small) if is_small]
    who = f"{e.group} {_listed(names)} ({_rows(sizes.min())}{' each' if len(names) > 1 else ''})"
    start = "So the mixed model leans towards the smallest clusters" if leans else "In sum"
    return [f"{start}: the share of the weight held by {who} goes {_listed(found)}."]


def _shrinkage(e: Explanation) -> list[str]:
    p = e.pooling
    j = int(np.abs(p.shrinkage).argmax())
    if _equal_sizes(e) or p.shrinkage[j] == 0:
        return []
    return [
        "Shrinkage is another step: it comes after the line and moves predictions towards it. The "
        f"largest is {_signed(p.shrinkage[j])}, of {e.group} {p.clusters[j]} "
        f"({_rows(p.sizes[j])}), from {_num(p.observed[j])} to {_num(p.partially_pooled[j])}."
    ]


def _equal_sizes(e: Explanation) -> bool:
    return bool((e.pooling.sizes == e.pooling.sizes[0]).all())


def _apart(e: Explanation, line: str) -> str:
    """How far another line is from the mixed model's, as a share of the largest observed mean."""
    gap = _largest(e.lines[line] - e.lines["partial pooling"])
    if gap == 0:
        return "to the last bit"
    return f"to {gap / _largest(e.pooling.observed):.1g} of the largest mean"


def _largest(differences: np.ndarray) -> float:
    return float(np.abs(differences).max())


def _listed(words: Sequence[str]) -> str:
    words = [*words[:5], f"{len(words) - 5} more"] if len(words) > 6 else list(words)
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def _rows(count: int) -> str:
    return f"{count} row{'' if count == 1 else 's'}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _num(value: float) -> str:
    return f"{value:.5g}"


def _column(values: np.ndarray) -> list[str]:
    """Numbers of one column, with digits enough to see five of what sets them apart."""
    size, spread = np.abs(values).max(), np.ptp(values)
    common = max(0, int(np.log10(size / spread))) if size > spread > 0 else 0
    return [f"{value:.{min(5 + common, 15)}g}" for value in values]


def _signed(value: float) -> str:
    return f"{value:+.3g}"


def _zip(*columns: Iterable) -> Iterable[tuple]:  # type: ignore[type-arg]  # columns of any kind
    return zip(*columns, strict=True)
