"""GPBoost: ``GPModel(group_data=g, likelihood="bernoulli_logit").fit(y, X)``, Laplace's criterion.

It takes matrices, so its model matrix is ours. Random effects are independent of each other.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from pp_compare.adapters.answer import correlated
from pp_compare.adapters.glmm.engine import GlmmPackage, glmm_quantities, make_package
from pp_compare.adapters.gpboost import NOT_GIVEN, SILENT, layout_of, of_levels
from pp_compare.model.glmm import GlmmDesign

EXACT = {"matrix_inversion_method": "cholesky", "num_parallel_threads": 1}
"""By default it solves by conjugate gradients with a stochastic log-determinant where there are
several random terms: then its criterion is not Laplace's, but close to it."""
TIGHT = {"delta_rel_conv": 1e-14, "maxit": 10_000}


def make(setting: str = "") -> GlmmPackage:
    """``gpboost``, ``gpboost:tight``."""
    if setting == "tight":
        made = make_package("gpboost", "gpboost", "", _tight, _limits, 1)
        return GlmmPackage(
            "gpboost:tight", "laplace", "gpboost", _tight, made.limits, {**EXACT, **TIGHT}
        )
    return make_package("gpboost", "gpboost", setting, _default, _limits, 1)


def _limits(design: GlmmDesign, nodes: int) -> str | None:
    del nodes
    return correlated(design.design)


def _default(design: GlmmDesign, nodes: int) -> dict[str, Any]:
    del nodes
    return _answer(design, {"num_parallel_threads": 1}, {})


def _tight(design: GlmmDesign, nodes: int) -> dict[str, Any]:
    del nodes
    return _answer(design, EXACT, TIGHT)


def _answer(design: GlmmDesign, asked: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    import gpboost  # noqa: PLC0415  # an optional extra

    gpboost.register_logger(SILENT)  # it writes to standard output, where results go
    inner, layout = design.design, layout_of(design.design)
    y, more = design.y.astype(float), dict(asked)
    likelihood = "poisson"
    if design.family == "binomial":
        likelihood = "bernoulli_logit" if design.binary else "binomial_logit"
        if not design.binary:
            y, more["weights"] = y / design.trials, design.trials.astype(float)
    offset = design.offset if design.offset.any() else None
    start = time.perf_counter()
    model = gpboost.GPModel(likelihood=likelihood, **more, **layout.arguments)
    model.fit(y=y, X=inner.X, params=dict(params), offset=offset)
    # Before the standard errors: their second differences leave the model at another place.
    loglik = -float(model.get_current_neg_log_likelihood())
    predicted = model.predict_training_data_random_effects().to_numpy()
    variances = np.atleast_1d(model.get_cov_pars(format_pandas=False))
    coefficients = model.get_coef(std_err=True, format_pandas=False)
    seconds = time.perf_counter() - start
    order = layout.order
    return {
        "seconds": seconds,
        "not_given": NOT_GIVEN,
        "quantities": glmm_quantities(
            design,
            beta=coefficients[0],
            beta_se=coefficients[1],
            loglik=loglik,
            covariances=[np.array([[variances[k]]]) for k in order],
            effects=[
                of_levels(block, predicted[:, k])
                for block, k in zip(inner.blocks, order, strict=True)
            ],
        ),
    }
