"""What each number of a printout should be, from estimates of the model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import special

from pp_compare.errors import InputError
from pp_compare.fitted.labels import Labels
from pp_compare.fitted.printed import Printed
from pp_compare.model import Quantity
from pp_compare.model.design import Design

Quantities = Mapping[str, Quantity]
OF_COVARIANCE = frozenset({"beta_se", "statistic", "p_t", "p_z", "lower", "upper", "beta_corr"})
"""Kinds of numbers that another definition of the fixed effects' covariance changes."""


def expected(design: Design, labels: Labels, each: Printed, found: Quantities) -> float:
    """What a printed number should be, from estimates.

    Raises
    ------
    InputError
        For a label that is none of the model, or what the estimates do not hold.
    """
    try:
        return float(_EXPECTED[each.kind](design, labels, each.labels, found))
    except KeyError as missing:
        raise InputError(f"{each.place}: the reference does not give {missing}") from None


def _beta(_: Design, labels: Labels, at: Sequence[str], found: Quantities) -> float:
    return _entry(found["beta"], labels.fixed(at[0]))


def _beta_se(_: Design, labels: Labels, at: Sequence[str], found: Quantities) -> float:
    return _entry(found["beta_se"], labels.fixed(at[0]))


def _statistic(design: Design, labels: Labels, at: Sequence[str], found: Quantities) -> float:
    return _beta(design, labels, at, found) / _beta_se(design, labels, at, found)


def _p_t(design: Design, labels: Labels, at: Sequence[str], found: Quantities) -> float:
    """Two-sided, on the degrees of freedom that are printed beside it."""
    df = float(at[1]) if len(at) > 1 else math.inf
    return float(2 * special.stdtr(df, -abs(_statistic(design, labels, at, found))))


def _p_z(design: Design, labels: Labels, at: Sequence[str], found: Quantities) -> float:
    return float(2 * special.ndtr(-abs(_statistic(design, labels, at, found))))


def _lower(design: Design, labels: Labels, at: Sequence[str], found: Quantities) -> float:
    return _beta(design, labels, at, found) - _margin(design, labels, at, found)


def _upper(design: Design, labels: Labels, at: Sequence[str], found: Quantities) -> float:
    return _beta(design, labels, at, found) + _margin(design, labels, at, found)


def _margin(design: Design, labels: Labels, at: Sequence[str], found: Quantities) -> float:
    tail = float(at[1]) if len(at) > 1 else 0.025
    return float(-special.ndtri(tail)) * _beta_se(design, labels, at, found)


def _beta_corr(_: Design, labels: Labels, at: Sequence[str], found: Quantities) -> float:
    i, j = (found["beta_cov"].rows.index(labels.fixed(label)) for label in at)
    cov = found["beta_cov"].values
    return float(cov[i, j] / np.sqrt(cov[i, i] * cov[j, j]))


def _covariance(
    design: Design, labels: Labels, group: str, effects: Sequence[str], found: Quantities
) -> np.ndarray:
    """Covariance of one or two random effects; an empty group is the one that has the effect."""
    group = labels.group(group) if group else _group_of(design, labels, effects[0])
    quantity = found[f"random_cov[{group}]"]
    at = [quantity.rows.index(labels.effect(group, effect)) for effect in effects]
    return quantity.values[np.ix_(at, at)]


def _group_of(design: Design, labels: Labels, effect: str) -> str:
    """MixedLM's table has components and effects without their group."""
    found = []
    for group in design.group_levels:
        try:
            labels.effect(group, effect)
        except InputError:
            continue
        found.append(group)
    if effect in design.group_levels or not found:
        return labels.group(effect)
    if len(found) > 1:
        raise InputError(f"'{effect}' may be a random effect of {' or of '.join(found)}")
    return found[0]


def _random_variance(design: Design, labels: Labels, at: Sequence[str], found: Quantities) -> float:
    group, effect = at
    if not group:
        group, effect = _statsmodels_effect(design, labels, effect)
    return float(_covariance(design, labels, group, [effect], found)[0, 0])


def _statsmodels_effect(design: Design, labels: Labels, name: str) -> tuple[str, str]:
    """Group and effect of a variance in MixedLM's table.

    A group's intercept goes by the group, a component by its own name, which may be that of a
    factor within the group.
    """
    own = [g for g in design.group_levels if name in (g, g.split(":")[-1]) or name == "Group"]
    intercept = [g for g in own if "Intercept" in design.random_labels(g)]
    if len(intercept) == 1 or (intercept and name == "Group"):
        return intercept[0], "Intercept"
    return _group_of(design, labels, name), name


def _random_sd(design: Design, labels: Labels, at: Sequence[str], found: Quantities) -> float:
    return math.sqrt(max(0.0, _random_variance(design, labels, at, found)))


def _random_cov(design: Design, labels: Labels, at: Sequence[str], found: Quantities) -> float:
    group, one, other = at
    if not group:
        group, other = _statsmodels_effect(design, labels, other)
        one = "Intercept" if one in (group, "Group") else one
    return float(_covariance(design, labels, group, [one, other], found)[0, 1])


def _random_corr(design: Design, labels: Labels, at: Sequence[str], found: Quantities) -> float:
    cov = _covariance(design, labels, at[0], at[1:], found)
    with np.errstate(all="ignore"):
        return float(cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1]))


def _sigma(_: Design, __: Labels, ___: Sequence[str], found: Quantities) -> float:
    return float(found["sigma"].values)


def _sigma2(_: Design, __: Labels, ___: Sequence[str], found: Quantities) -> float:
    return float(found["sigma"].values) ** 2


def _loglik(_: Design, __: Labels, ___: Sequence[str], found: Quantities) -> float:
    return float(found["loglik"].values)


def _criterion(_: Design, __: Labels, ___: Sequence[str], found: Quantities) -> float:
    return -2 * float(found["loglik"].values)


def _parameters(design: Design) -> int:
    """Fixed effects, variances and covariances, and the residual variance."""
    widths = [len(block.columns) for block in design.blocks]
    return len(design.labels) + sum(q * (q + 1) // 2 for q in widths) + 1


def _aic(design: Design, _: Labels, __: Sequence[str], found: Quantities) -> float:
    return -2 * float(found["loglik"].values) + 2 * _parameters(design)


def _bic(design: Design, _: Labels, __: Sequence[str], found: Quantities) -> float:
    """Count N - p rows under REML, as nlme does; lme4 shows none then."""
    p = len(design.labels) if design.spec.method == "REML" else 0
    rows = design.n_obs - p
    return -2 * float(found["loglik"].values) + math.log(rows) * _parameters(design)


_QUANTILES = {"min": 0.0, "q1": 0.25, "1q": 0.25, "med": 0.5, "median": 0.5, "q3": 0.75, "3q": 0.75}


def _residual(design: Design, _: Labels, at: Sequence[str], found: Quantities) -> float:
    """Quantiles of the residuals over sigma; R's default kind of quantile is numpy's."""
    scaled = (design.y - found["fitted"].values) / float(found["sigma"].values)
    return float(np.quantile(scaled, _QUANTILES.get(at[0].lower(), 1.0)))


def _n_obs(design: Design, _: Labels, __: Sequence[str], ___: Quantities) -> float:
    return float(design.n_obs)


def _n_groups(design: Design, labels: Labels, at: Sequence[str], _: Quantities) -> float:
    """Without a name, of the outermost grouping factor; MixedLM's one group holds all rows."""
    counts = {group: len(levels) for group, levels in design.group_levels.items()}
    return float(counts[labels.group(at[0])] if at else min(counts.values()))


def _group_size(design: Design, _: Labels, at: Sequence[str], __: Quantities) -> float:
    codes = min(design.blocks, key=lambda block: len(block.levels)).codes
    sizes = np.bincount(codes)
    return float({"min": sizes.min(), "max": sizes.max(), "mean": sizes.mean()}[at[0]])


def _of_vocabulary(_: Design, __: Labels, at: Sequence[str], found: Quantities) -> float:
    """A number of `pp_compare.model.quantity` by its quantity and our label."""
    return dict(found[at[0]].entries())[at[1]]


def _entry(quantity: Quantity, label: str) -> float:
    return float(quantity.values[quantity.rows.index(label)])


_EXPECTED = {
    "beta": _beta,
    "beta_se": _beta_se,
    "statistic": _statistic,
    "p_t": _p_t,
    "p_z": _p_z,
    "lower": _lower,
    "upper": _upper,
    "beta_corr": _beta_corr,
    "random_variance": _random_variance,
    "random_sd": _random_sd,
    "random_cov": _random_cov,
    "random_corr": _random_corr,
    "sigma2": _sigma2,
    "sigma": _sigma,
    "criterion": _criterion,
    "loglik": _loglik,
    "aic": _aic,
    "bic": _bic,
    "residual": _residual,
    "n_obs": _n_obs,
    "n_groups": _n_groups,
    "group_size": _group_size,
    "quantity": _of_vocabulary,
}
