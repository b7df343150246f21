"""GPBoost: ``GPModel(group_data=g, likelihood="gaussian").fit(y, X)``, by maximum likelihood.

It takes matrices, so its model matrix is ours. Random effects are independent of each other, and
there is no restricted likelihood.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from pp_compare.adapters.answer import PackageEngine, correlated, require
from pp_compare.engines import Engine, engine_id, setting_of
from pp_compare.model.answer import quantities
from pp_compare.model.design import Block, Design

_EXACT = {"matrix_inversion_method": "cholesky"}
SETTINGS: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "cholesky": (_EXACT, {}),
    "fisher_scoring": ({}, {"optimizer_cov": "fisher_scoring"}),
    "nelder_mead": ({}, {"optimizer_cov": "nelder_mead"}),
    "tight": (_EXACT, {"delta_rel_conv": 1e-14, "maxit": 10_000}),
}
"""Arguments of ``GPModel`` and parameters of ``fit``. By default it solves by conjugate gradients,
with a stochastic log-determinant, where there are several random terms, and it stops where the
likelihood or the parameters change by less than 1e-6 of their size. Fisher scoring with a smaller
step ends 0.19 units of deviance above the optimum on Dyestuff2; L-BFGS, the default, 1e-12."""

NOT_GIVEN = {"beta_cov": "GPBoost gives standard errors of coefficients, and no covariances"}
SILENT = logging.Logger("pp_compare.gpboost", level=logging.CRITICAL)


def make(setting: str | None) -> Engine:
    """Engine factory: the default on one thread, or one of `SETTINGS`."""
    model, fitting = setting_of("gpboost", SETTINGS, setting, ({}, {}))
    require("gpboost", "gpboost")
    asked = {"num_parallel_threads": 1, **model}
    return PackageEngine(
        engine_id("gpboost", setting),
        {"gpboost": "gpboost"},
        partial(_answer, asked, dict(fitting)),
        _unsupported,
        {**asked, **fitting},
    )


def _unsupported(design: Design) -> str | None:
    """REML, and correlated random effects."""
    if design.spec.method == "REML":
        return "GPBoost maximises the likelihood; it has no restricted likelihood"
    return correlated(design)


def _answer(asked: Mapping[str, Any], fitting: dict[str, Any], design: Design) -> dict[str, Any]:
    import gpboost  # noqa: PLC0415  # an optional extra

    gpboost.register_logger(SILENT)  # it writes to standard output, where results go
    layout = layout_of(design)
    start = time.perf_counter()
    model = gpboost.GPModel(likelihood="gaussian", **asked, **layout.arguments)
    model.fit(y=design.y, X=design.X, params=fitting)
    coefficients = model.get_coef(std_err=True, format_pandas=False)
    variances = model.get_cov_pars(format_pandas=False)
    predicted = model.predict_training_data_random_effects().to_numpy()
    fitted = _fitted(model, design, layout)
    loglik = -model.get_current_neg_log_likelihood()
    seconds = time.perf_counter() - start
    order = layout.order
    return {
        "seconds": seconds,
        "design_error": None,
        "not_given": NOT_GIVEN,
        "quantities": quantities(
            design,
            beta=coefficients[0],
            beta_se=coefficients[1],
            sigma=float(np.sqrt(variances[0])),
            loglik=float(loglik),
            covariances=[np.array([[variances[1 + k]]]) for k in order],
            effects=[
                of_levels(block, predicted[:, k])
                for block, k in zip(design.blocks, order, strict=True)
            ],
            fitted=fitted,
        ),
    }


@dataclass(frozen=True)
class Layout:
    """How GPBoost is asked: arguments of ``GPModel``, and where it keeps each of our blocks."""

    arguments: dict[str, Any]
    order: list[int]


def layout_of(design: Design) -> Layout:
    """Intercepts come first, a grouping factor each; then slopes, each with its factor's number."""
    groups = list(design.group_levels)
    codes = np.column_stack([design.group_codes[group] for group in groups])
    with_intercept = {b.group for b in design.blocks if b.term.intercept}
    slopes = [block for block in design.blocks if not block.term.intercept]
    arguments: dict[str, Any] = {"group_data": codes}
    if slopes:
        arguments["group_rand_coef_data"] = np.column_stack([block.Z[:, 0] for block in slopes])
        arguments["ind_effect_group_rand_coef"] = [groups.index(b.group) + 1 for b in slopes]
        arguments["drop_intercept_group_rand_effect"] = [g not in with_intercept for g in groups]
    kept = [group for group in groups if group in with_intercept]
    order = [
        kept.index(b.group) if b.term.intercept else len(kept) + slopes.index(b)
        for b in design.blocks
    ]
    return Layout(arguments, order)


def _fitted(model: Any, design: Design, layout: Layout) -> np.ndarray:
    """Its prediction for the rows that it was fitted to."""
    names = [n for n in ("group_data", "group_rand_coef_data") if n in layout.arguments]
    new = {f"{name}_pred": layout.arguments[name] for name in names}
    return np.asarray(model.predict(X_pred=design.X, predict_var=False, **new)["mu"])


def of_levels(block: Block, per_row: np.ndarray) -> np.ndarray:
    """Predictions a level from predictions a row; each level has one."""
    _, first = np.unique(block.codes, return_index=True)
    return per_row[first][:, None]
