"""Why a number differs: each failed comparison with the truth gets one cause.

The engine's own variances are put into our likelihood and into our formulas. What those explain
follows from where the engine stopped; what they do not explain was done afterwards, or is another
definition. Where one difference follows from another, only the first is said to have a cause of its
own; the rest name it in `Comparison.follows`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from pp_compare.certified.models import CertifiedModel
from pp_compare.identities import IDENTITIES
from pp_compare.identities.rounding import Rounding, rounding_at
from pp_compare.model import Fit, Quantity
from pp_compare.model.design import Design
from pp_compare.verdict.agreement import Cause, Comparison
from pp_compare.verdict.definitions import DEFINITIONS
from pp_compare.verdict.tolerance import Tolerances

EXPLAINED = 1e-3
"""Another definition counts as found where it leaves less than this share of the difference: an
engine inverts its own information, which loses digits where that is nearly singular. A stop
explains a difference where it leaves no more: a thousandth of it is no cause of the rest."""

MAX_COLUMNS = 2000
"""Random effects up to which other definitions are tried: they need dense matrices of that size."""


@dataclass(frozen=True, eq=False)
class Stop:
    """Where an engine stopped, seen by our likelihood.

    Parameters
    ----------
    deviance : float
        ``-2 loglik`` at its own variances.
    above : float
        That, less the optimum.
    implied : dict of str to Quantity
        What its own variances imply.
    rounding : Rounding
        At its own variances.
    """

    deviance: float
    above: float
    implied: dict[str, Quantity]
    rounding: Rounding


def stop_of(design: Design, fit: Fit, model: CertifiedModel) -> Stop | str:
    """Evaluate our likelihood at a fit's variances; a string says why that cannot be done."""
    covariances = fit.covariances
    sigma = float(fit["sigma"])
    if not (np.isfinite(sigma) and sigma > 0):
        return f"its residual standard deviation is {sigma}"
    for group, cov in covariances.items():
        if not np.isfinite(cov).all():
            return f"its covariance of the random effects of '{group}' is not finite"
        if np.linalg.eigvalsh(cov).min() < -1e-8 * max(np.abs(cov).max(), sigma**2):
            return f"its covariance of the random effects of '{group}' is not positive semidefinite"
    deviance = model.deviance(sigma, covariances)
    return Stop(
        deviance,
        deviance - model.optimum.deviance,
        model.implied(sigma, covariances),
        rounding_at(design, sigma, covariances),
    )


def attribute(
    design: Design,
    fit: Fit,
    stop: Stop | str,
    model: CertifiedModel,
    tolerances: Tolerances,
    truth: Iterable[Comparison],
) -> list[Comparison]:
    """Give each failed comparison of one fit with the certified optimum its cause."""
    lines = list(truth)
    if fit.design_error is not None and fit.design_error != 0:
        return [_with(line, "specification", None) for line in lines]
    if isinstance(stop, str):
        return [_with(line, "failure", None) for line in lines]
    root = _root(fit, stop, model, tolerances)
    explained = {
        name: _cause(design, fit, stop, name, root, tolerances)
        for name in dict.fromkeys(line.quantity for line in lines if line.verdict == "fail")
        if name in fit.quantities or name == "criterion"
    }
    return [_with(line, *explained.get(line.quantity, ("failure", None))) for line in lines]


def identity_cause(design: Design, fit: Fit, stop: Stop | str | None, identity: str) -> Cause:
    """Cause of a broken identity: another definition where one is found, else what the ladder says.

    Parameters
    ----------
    stop : Stop, str or None
        None where the model has no certified optimum.
    identity : str
        Id of the identity.
    """
    judged = {"gls-covariance": "beta_cov", "standard-errors": "beta_se"}.get(identity)
    if judged and isinstance(stop, Stop) and _other_definition(design, fit, stop, judged):
        return "definition"
    return next(known.cause for known in IDENTITIES if known.id == identity)


def _with(line: Comparison, cause: Cause, follows: str | None) -> Comparison:
    if line.verdict != "fail" or line.cause is not None:
        return line
    return replace(line, cause=cause, follows=follows)


def _root(fit: Fit, stop: Stop, model: CertifiedModel, tolerances: Tolerances) -> Cause | None:
    """What is wrong with the place where the engine stopped, if anything."""
    if abs(stop.above) <= tolerances.criterion:
        return None
    if fit.estimator:
        return "definition"
    for other in model.optimum.optima[1:]:
        depth = float(other.deviance) - model.optimum.deviance
        # Nearer to the other optimum's value than a tenth of what lies between the two.
        if abs(stop.above - depth) <= 0.1 * depth:
            return "wrong optimum"
    return "optimiser"


def _cause(
    design: Design, fit: Fit, stop: Stop, name: str, root: Cause | None, tolerances: Tolerances
) -> tuple[Cause, str | None]:
    if name == "criterion":
        return root or "optimiser", None
    if name == "loglik":
        return (root, "criterion") if root and _stop_explains(fit, stop) else ("objective", None)
    if name == "sigma" or name.startswith("random_cov"):
        # With the criterion at its optimum, only what was reported can be wrong.
        return (root, "criterion") if root else ("post-processing", None)
    if root and _agrees(fit.quantities[name], stop.implied[name], stop.rounding):
        return root, "criterion"
    if name in {"beta_cov", "beta_se"} and _other_definition(design, fit, stop, name):
        return "definition", None
    return _after_the_fit(fit, stop, name)


def _stop_explains(fit: Fit, stop: Stop) -> bool:
    """Whether a log-likelihood is off because of where the engine stopped.

    It is, where its own error there is a small share of what the stop costs: an engine that inverts
    a nearly singular covariance loses digits of its likelihood, and not for that is it off here.
    """
    own = Quantity("loglik", np.array(-stop.deviance / 2))
    error = abs(float(fit["loglik"]) + stop.deviance / 2)
    return bool(error <= EXPLAINED * abs(stop.above) / 2 + float(stop.rounding.of(own).max()))


def _after_the_fit(fit: Fit, stop: Stop, name: str) -> tuple[Cause, str | None]:
    """Predictions follow from fixed effects that are already wrong."""
    beta_is_right = _agrees(fit.quantities["beta"], stop.implied["beta"], stop.rounding)
    if name != "beta" and not name.startswith("beta_") and not beta_is_right:
        return "post-processing", "beta"
    return "post-processing", None


def _agrees(value: Quantity, wanted: Quantity, rounding: Rounding) -> bool:
    """Whether two quantities at the same variances differ by rounding alone."""
    return bool((np.abs(value.values - wanted.values) <= rounding.of(wanted)).all())


def _other_definition(design: Design, fit: Fit, stop: Stop, name: str) -> str | None:
    """Id of the documented definition that gives the engine's numbers."""
    if sum(len(b.levels) * len(b.columns) for b in design.blocks) > MAX_COLUMNS:
        return None
    gls = stop.implied["beta_cov"].values
    ours = _shown(gls, name)
    rounding = stop.rounding.of(stop.implied[name]).max()
    for definition in DEFINITIONS:
        theirs = _shown(definition.beta_cov(design, fit, gls), name)
        gap = np.abs(fit[name] - ours).max()
        # A gap that the other definition leaves, beyond rounding, is not explained by it.
        if np.abs(fit[name] - theirs).max() <= EXPLAINED * gap + rounding:
            return definition.id
    return None


def _shown(cov: np.ndarray, name: str) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return cov if name == "beta_cov" else np.sqrt(np.diag(cov))
