"""Faults for copies of the example: what is changed, and what a reader must be told."""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """A mistake, and words of the message that names it."""

    name: str
    file: str
    old: str
    new: str
    check: str
    words: tuple[str, ...]


FAULTS = (
    Fault(
        "variances for standard errors",
        "adapter.py",
        "np.sqrt(np.diag(answer.beta_cov))",
        "np.diag(answer.beta_cov)",
        "test_identity[seed_case1-REML-standard-errors]",
        ("standard errors = square roots of the diagonal of the covariance", "post-processing"),
    ),
    Fault(
        "no shrinkage",
        "fit.py",
        "u = rho * weight[:, 0] * (means",
        "u = (means",
        "test_truth[seed_case1-REML-blup]",
        ("blup[cluster] ", "differs from the certified optimum", "computed wrongly after the fit"),
    ),
    Fault(
        "the denominator of ML under REML",
        "fit.py",
        "df = len(y) - X.shape[1] * reml",
        "df = len(y)",
        "test_identity[seed_case1-REML-profiled-sigma]",
        ("residual variance = r'V^-1r sigma2 / (n - p) under REML, / n under ML",),
    ),
    Fault(
        "a constant left out",
        "fit.py",
        "np.log(2 * np.pi * sigma2)",
        "np.log(2 * sigma2)",
        "test_truth[seed_case1-REML-loglik]",
        ("loglik", "objective: its log-likelihood is not the log-likelihood"),
    ),
    Fault(
        "clusters in another order",
        "adapter.py",
        "answer.u[:, None], levels",
        "answer.u[::-1, None], levels",
        "test_truth[seed_case1-REML-blup]",
        ("differs from", "quantity   blup[cluster]", "digits"),
    ),
)
