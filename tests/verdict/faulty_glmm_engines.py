"""Faulty engines of generalised models: the certified fit with one mistake that programs make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pp_compare.certified.glmm.model import GlmmModel
from pp_compare.certified.glmm.search import glm
from pp_compare.model import Fit
from pp_compare.model.answer import labelled
from pp_compare.verdict.agreement import Cause


@dataclass(frozen=True)
class Fault:
    """One mistake, and the cause that has to be found."""

    name: str
    fit: Callable[[GlmmModel], Fit]
    cause: Cause


def right(model: GlmmModel, definition: str = "laplace") -> Fit:
    """The faultless engine: certified values, rounded to doubles."""
    quantities = model.optimum(definition).quantities
    return Fit("candidate", "ok", quantities, True, definition=definition)


def changed(model: GlmmModel, fit: Fit | None = None, **values: np.ndarray | float) -> Fit:
    """A fit with some quantities replaced; ``cov`` is that of the random effects."""
    fit = fit or right(model)
    found = {name: np.asarray(value) for name, value in values.items()}
    if "cov" in found:
        group = model.design.design.blocks[0].group
        found[f"random_cov[{group}]"] = found.pop("cov").reshape(1, 1)
    return replace(fit, quantities={**fit.quantities, **labelled(model.design.design, found)})


def at(model: GlmmModel, beta: np.ndarray, cov: np.ndarray) -> Fit:
    """An engine that is right in everything but where it stopped."""
    fit = changed(model, beta=beta, cov=cov)
    return changed(model, fit, loglik=value(model, fit))


def value(model: GlmmModel, fit: Fit, definition: str = "laplace") -> float:
    """The criterion at a fit's own estimates."""
    return model.value(definition, fit["beta"], fit.covariances).middle


def numbers(model: GlmmModel) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """beta, standard errors, covariance, log-likelihood of the right fit."""
    fit = right(model)
    (cov,) = fit.covariances.values()
    return fit["beta"], fit["beta_se"], cov, float(fit["loglik"])


def _deviation_for_variance(model: GlmmModel) -> Fit:
    return changed(model, cov=np.sqrt(numbers(model)[2]))


def _swapped_labels(model: GlmmModel) -> Fit:
    return changed(model, beta=numbers(model)[0][::-1])


def _long_errors(model: GlmmModel) -> Fit:
    n, p = model.data.X.shape
    return changed(model, beta_se=numbers(model)[1] * np.sqrt(n / (n - p)))


def _early_stop(model: GlmmModel) -> Fit:
    beta, se, cov, _ = numbers(model)
    return at(model, beta + 0.3 * se, cov)


def _stuck_at_0(model: GlmmModel) -> Fit:
    """A standard deviation of 0 is stationary by symmetry, and here it is no maximum."""
    return at(model, glm(model.data), np.zeros((1, 1)))


def _no_determinant(model: GlmmModel) -> Fit:
    """The height of the exponent alone: its log-likelihood lacks what the modes' spread adds."""
    return changed(
        model, loglik=numbers(model)[3] + 0.5 * len(model.design.design.blocks[0].levels)
    )


def _no_constant(model: GlmmModel) -> Fit:
    return changed(model, loglik=numbers(model)[3] - float(model.data.constant().mid()))


def _deviance_from_saturated(model: GlmmModel) -> Fit:
    return changed(model, loglik=numbers(model)[3] - model.saturated())


def _early_modes(model: GlmmModel) -> Fit:
    """Its inner iteration ends early: the criterion is off, and so is the optimum by a little."""
    beta, se, cov, _ = numbers(model)
    fit = at(model, beta + 0.03 * se, cov)
    return changed(model, fit, loglik=float(fit["loglik"]) - 8e-3)


def _exact_called_laplace(model: GlmmModel) -> Fit:
    return replace(right(model, "exact"), definition="laplace")


def _reml_like(model: GlmmModel) -> Fit:
    """A variance divided by J - 1 in place of J, with a criterion to match."""
    beta, _, cov, loglik = numbers(model)
    m = len(model.design.design.blocks[0].levels)
    return changed(model, beta=beta, cov=cov * m / (m - 1), loglik=loglik - 0.5)


def _not_a_number(model: GlmmModel) -> Fit:
    return changed(model, beta=numbers(model)[0] * np.nan)


def _no_spread(model: GlmmModel) -> Fit:
    """An overflow that leaves a posterior without a spread."""
    return changed(model, beta=numbers(model)[0] * 1e37, beta_se=numbers(model)[1] * 0)


def _raises(model: GlmmModel) -> Fit:
    del model
    return Fit.failed("candidate", "raised LinAlgError: singular matrix")


FAULTS = (
    Fault("standard deviation for a variance", _deviation_for_variance, "post-processing"),
    Fault("labels the other way", _swapped_labels, "post-processing"),
    Fault("standard errors times n/(n - p)", _long_errors, "post-processing"),
    Fault("stops early", _early_stop, "optimiser"),
    Fault("stuck at a standard deviation of 0", _stuck_at_0, "optimiser"),
    Fault("no determinant", _no_determinant, "objective"),
    Fault("no binomial constant", _no_constant, "objective"),
    Fault("deviance from the saturated model", _deviance_from_saturated, "definition"),
    Fault("inner iteration ends early", _early_modes, "objective"),
    Fault("exact called Laplace's", _exact_called_laplace, "objective"),
    Fault("variance over J - 1", _reml_like, "objective"),
    Fault("no number", _not_a_number, "failure"),
    Fault("standard errors of 0", _no_spread, "failure"),
    Fault("raises", _raises, "failure"),
)
