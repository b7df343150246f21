"""linearmodels' ``RandomEffects``: one random intercept, by Swamy and Arora's moments.

The variances are not the maximum of a likelihood. The residual variance is that of the within
regression. The variance between entities is ``SSR_b / df_b - sigma2_e / n_h``, or 0 where that is
negative: of the between regression of the unweighted entity means, with ``n_h`` the harmonic mean
of the entities' sizes. Given them, the coefficients are generalised least squares. On balanced data
with predictors that are constant within entities, they are REML's where those are inside.

Swamy and Arora (1972), Econometrica 40(2), 261-275; Baltagi, Econometric Analysis of Panel Data,
chapters 2 and 9; ``linearmodels/panel/model.py``, ``RandomEffects.fit``, 7.1.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from pp_compare.adapters.answer import PackageEngine, require
from pp_compare.engines import Engine, engine_id, setting_of
from pp_compare.engines.alignment import design_error
from pp_compare.engines.formulas import fixed_formula, formulaic_label, group_alias, grouped_frame
from pp_compare.model.answer import quantities
from pp_compare.model.design import Design

ESTIMATOR = "Swamy and Arora's moments, then generalised least squares"
SETTINGS: Mapping[str, Mapping[str, Any]] = {"small_sample": {"small_sample": True}}
"""Arguments of ``RandomEffects.fit``."""

NOT_GIVEN = {
    "loglik": "it maximises no likelihood; its 'loglik' is that of the quasi-demeaned regression",
    "blup": "its 'estimated_effects' are theta times the mean residual, which predict no effect",
    "cluster_mean": "it predicts no effects",
    "fitted": "it predicts no effects; its 'fitted_values' are the fixed part",
}


def make(setting: str | None) -> Engine:
    """Engine factory: the default, or ``small_sample`` (Baltagi and Chang's correction)."""
    asked = setting_of("linearmodels", SETTINGS, setting, {})
    require("linearmodels", "linearmodels")
    return PackageEngine(
        engine_id("linearmodels", setting),
        {"linearmodels": "linearmodels"},
        partial(_answer, asked),
        _unsupported,
        asked,
    )


def _unsupported(design: Design) -> str | None:
    """Anything but one random intercept; ML, which its degrees of freedom do not aim at."""
    if not design.spec.is_random_intercept:
        return "RandomEffects has one random intercept"
    if design.spec.method == "ML":
        return "RandomEffects divides by degrees of freedom; it is held against REML alone"
    return None


def _answer(asked: Mapping[str, Any], design: Design) -> dict[str, Any]:
    """By ``RandomEffects.fit``; a row's place within its entity stands for its time."""
    from linearmodels.panel import RandomEffects  # noqa: PLC0415  # an optional extra

    data = grouped_frame(design)
    entity = group_alias(design, design.blocks[0])
    data = data.assign(time=data.groupby(entity).cumcount()).set_index([entity, "time"])
    start = time.perf_counter()
    model = RandomEffects.from_formula(fixed_formula(design), data)
    result = model.fit(**asked)
    between, within = result.variance_decomposition.iloc[:2]
    cov, se = result.cov.to_numpy(), result.std_errors.to_numpy()
    seconds = time.perf_counter() - start
    names = list(result.params.index)
    order = [names.index(formulaic_label(design, column)) for column in design.columns]
    ours = {formulaic_label(design, column): column.label for column in design.columns}
    exog, endog = model.exog.values2d, model.dependent.values2d[:, 0]
    return {
        "seconds": seconds,
        "estimator": ESTIMATOR,
        "not_given": NOT_GIVEN,
        "singular": bool(between == 0),
        "design_error": design_error(design, [ours.get(n, n) for n in names], exog, endog),
        "quantities": quantities(
            design,
            beta=result.params.to_numpy()[order],
            beta_cov=cov[np.ix_(order, order)],
            beta_se=se[order],
            sigma=float(np.sqrt(within)),
            covariances=[np.array([[between]])],
        ),
    }
