"""Faulty engines: each is the certified fit, or a plain one in double precision, with one mistake.

The mistakes are those that programs make: a sign, a square, a denominator, another label. Each is
listed with the check that has to catch it, ``identity:ID`` or ``truth:QUANTITY:CAUSE``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from pp_compare.certified.models import certified_model
from pp_compare.engines.certified import CertifiedEngine
from pp_compare.model import Fit, Quantity
from pp_compare.model.design import Design
from pp_compare.verdict.definitions import joint_hessian_cov
from tests.broken_engines import altered
from tests.plain_engine import Plain

Change = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Fault:
    """One mistake, a model on which it matters, and the check that catches it."""

    name: str
    fit: Callable[[Design], Fit]
    caught_by: str
    case: str = "seed_case1"
    method: str = "REML"


def certified(design: Design) -> Fit:
    """The faultless engine: certified values, rounded to doubles."""
    return replace(CertifiedEngine().fit(design), engine="candidate", design_error=0.0)


def off(quantity: str, change: Callable[[Design, Fit, np.ndarray], np.ndarray]):
    """The certified fit with one quantity wrong; `quantity` may leave the group out."""

    def fit(design: Design) -> Fit:
        right = certified(design)
        name = next(n for n in right.quantities if n == quantity or n.startswith(f"{quantity}["))
        return altered(right, name, lambda values: change(design, right, values))

    return fit


def stopped_at(where: Callable[[Design, Fit], tuple[float, dict[str, np.ndarray]]]):
    """An engine that is right in everything but the variances at which it stopped."""

    def fit(design: Design) -> Fit:
        sigma, covariances = where(design, certified(design))
        model = certified_model(design)
        loglik = Quantity("loglik", np.array(-model.deviance(sigma, covariances) / 2))
        quantities = {**model.implied(sigma, covariances), "loglik": loglik}
        return Fit("candidate", "ok", quantities, design_error=0.0)

    return fit


def scaled(factor: float):
    """Stopped with all variances of the random effects off by a factor."""
    return stopped_at(
        lambda d, f: (float(f["sigma"]), {g: factor * f[f"random_cov[{g}]"] for g in d.spec.groups})
    )


def _information(design: Design, fit: Fit) -> np.ndarray:
    return np.linalg.inv(fit["beta_cov"])


def _ols(design: Design) -> np.ndarray:
    return np.linalg.lstsq(design.X, design.y, rcond=None)[0]


def _ols_cov(design: Design) -> np.ndarray:
    n, p = design.X.shape
    residual = design.y - design.X @ _ols(design)
    return residual @ residual / (n - p) * np.linalg.inv(design.X.T @ design.X)


def _means(design: Design, values: np.ndarray) -> np.ndarray:
    codes = design.blocks[0].codes
    return np.bincount(codes, values) / np.bincount(codes)


def _ols_of_means(design: Design) -> np.ndarray:
    first = np.unique(design.blocks[0].codes, return_index=True)[1]
    return np.linalg.lstsq(design.X[first], _means(design, design.y), rcond=None)[0]


def _weights(design: Design, fit: Fit) -> np.ndarray:
    """The pooling weight of each cluster, (m,)."""
    tau2 = float(fit[f"random_cov[{design.blocks[0].group}]"][0, 0])
    return tau2 / (tau2 + float(fit["sigma"]) ** 2 / np.bincount(design.blocks[0].codes))


def _correlation(cov: np.ndarray) -> np.ndarray:
    root = np.sqrt(np.diag(cov))
    return cov / np.outer(root, root)


def _flipped(cov: np.ndarray) -> np.ndarray:
    return 2 * np.diag(np.diag(cov)) - cov


def _first_up(values: np.ndarray) -> np.ndarray:
    values[0] *= 1 + 1e-6
    return values


def _first_nan(values: np.ndarray) -> np.ndarray:
    values[0] = np.nan
    return values


def _single(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32).astype(float)


def _rotated(values: np.ndarray) -> np.ndarray:
    return np.roll(values, 1, axis=0)


def _as_text(design: Design, _: Fit, values: np.ndarray) -> np.ndarray:
    """Values in the order of the numbers under labels in the order of the text."""
    levels = [level.rjust(9) for level in design.blocks[0].levels]
    order = np.argsort([f"{(7 * i) % 10}{level}" for i, level in enumerate(levels)])
    return values[order]


def _shifted_between_factors(design: Design) -> Fit:
    """A constant moved from one factor's effects to the other's: no prediction shows it."""
    fit, (a, b) = certified(design), design.spec.groups
    fit = altered(fit, f"blup[{a}]", lambda u: u + 0.01)
    return altered(fit, f"blup[{b}]", lambda u: u - 0.01)


def _swapped_variances(design: Design) -> Fit:
    fit, group = certified(design), design.spec.groups[0]
    tau2, sigma = fit[f"random_cov[{group}]"], fit["sigma"]
    fit = altered(fit, f"random_cov[{group}]", lambda _: np.full((1, 1), sigma**2))
    return altered(fit, "sigma", lambda _: np.sqrt(tau2[0, 0]))


def _without(quantity: str):
    def fit(design: Design) -> Fit:
        right = certified(design)
        rest = {n: q for n, q in right.quantities.items() if n != quantity}
        return replace(right, quantities=rest)

    return fit


def _other_contrasts(design: Design) -> Fit:
    """Another coding of the same model: the predictions agree, the coefficients do not."""
    fit = altered(certified(design), "beta", lambda b: np.array([b[0] + b[1] / 2, b[1] / 2]))
    return replace(fit, design_error=0.5)


def _reml_variances(design: Design, _: Fit) -> tuple[float, dict[str, np.ndarray]]:
    """Those of the other criterion."""
    other = "ML" if design.spec.method == "REML" else "REML"
    best = certified_model(replace(design, spec=replace(design.spec, method=other))).optimum
    return float(best.quantities["sigma"].values), {
        g: best.quantities[f"random_cov[{g}]"].values for g in design.group_levels
    }


def _moments(design: Design, _: Fit) -> tuple[float, dict[str, np.ndarray]]:
    """The analysis of variance estimator: REML only where the design is balanced."""
    codes, X, y = design.blocks[0].codes, design.X, design.y
    sizes = np.bincount(codes)
    within = y - _means(design, y)[codes]
    sigma2 = within @ within / (len(y) - len(sizes))
    residual = y - X @ _ols(design)
    between = residual @ residual - within @ within
    Zs = (codes[:, None] == np.arange(len(sizes))).astype(float)
    P = np.eye(len(y)) - X @ np.linalg.pinv(X)
    tau2 = (between - (len(sizes) - X.shape[1]) * sigma2) / np.trace(Zs.T @ P @ Zs)
    return float(np.sqrt(sigma2)), {design.blocks[0].group: np.array([[tau2]])}


def _drop_last_cluster(design: Design) -> np.ndarray:
    codes = design.blocks[0].codes
    return np.flatnonzero(codes != codes.max())


def _balanced(sizes: np.ndarray, rho: float) -> np.ndarray:
    n = np.full(len(sizes), sizes.mean())
    return n / (1 + n * rho)


BLUP, COV, MEAN = "blup", "random_cov", "cluster_mean"
FAULTS: tuple[Fault, ...] = (
    # the criterion
    Fault(
        "loglik without log 2 pi",
        off("loglik", lambda d, f, x: x + d.n_obs * np.log(2 * np.pi) / 2),
        "identity:own-loglik",
    ),
    Fault(
        "loglik with N for N - p",
        off("loglik", lambda d, f, x: x - d.X.shape[1] * np.log(2 * np.pi) / 2),
        "truth:loglik:objective",
    ),
    Fault("deviance for loglik", off("loglik", lambda d, f, x: -2 * x), "identity:own-loglik"),
    Fault(
        "loglik with the wrong sign",
        off("loglik", lambda d, f, x: -x),
        "identity:own-loglik",
        method="ML",
    ),
    Fault(
        "REML without log |X'V^-1X|",
        off("loglik", lambda d, f, x: x + np.linalg.slogdet(_information(d, f))[1] / 2),
        "identity:own-loglik",
    ),
    Fault(
        "REML with log |X'X|",
        off("loglik", lambda d, f, x: x + np.linalg.slogdet(d.X.T @ d.X)[1] / 2),
        "truth:loglik:objective",
    ),
    Fault(
        "loglik in single precision",
        off("loglik", lambda d, f, x: _single(x)),
        "identity:own-loglik",
    ),
    # variances
    Fault("sigma2 for sigma", off("sigma", lambda d, f, x: x**2), "identity:profiled-sigma"),
    Fault(
        "N for N - p in sigma",
        off("sigma", lambda d, f, x: x * np.sqrt((d.n_obs - 2) / d.n_obs)),
        "identity:profiled-sigma",
    ),
    Fault(
        "N - p for N in sigma",
        off("sigma", lambda d, f, x: x * np.sqrt(d.n_obs / (d.n_obs - 2))),
        "identity:profiled-sigma",
        method="ML",
    ),
    Fault("tau for tau2", off(COV, lambda d, f, x: np.sqrt(x)), "identity:pooling-weight"),
    Fault(
        "tau2 over sigma2", off(COV, lambda d, f, x: x / f["sigma"] ** 2), "identity:pooling-weight"
    ),
    Fault("tau2 and sigma2 swapped", _swapped_variances, "identity:profiled-sigma"),
    Fault(
        "correlations for covariances",
        off(COV, lambda d, f, x: _correlation(x)),
        "identity:henderson-random-row",
        "sleepstudy",
    ),
    Fault(
        "sign of a covariance",
        off(COV, lambda d, f, x: _flipped(x)),
        "identity:henderson-random-row",
        "sleepstudy",
    ),
    Fault(
        "intercept and slope swapped",
        off(COV, lambda d, f, x: x[::-1, ::-1]),
        "identity:profiled-sigma",
        "sleepstudy",
    ),
    Fault(
        "an indefinite covariance",
        off(COV, lambda d, f, x: x - 1000 * np.eye(2)),
        "truth:random_cov[Subject]:failure",
        "sleepstudy",
    ),
    Fault(
        "a factor's variance doubled",
        off("random_cov[plate]", lambda d, f, x: 2 * x),
        "truth:criterion:optimiser",
        "Penicillin",
    ),
    # predicted effects
    Fault(
        "shrunk twice",
        off(BLUP, lambda d, f, u: u * _weights(d, f)[:, None]),
        "identity:henderson-random-row",
    ),
    Fault(
        "not shrunk",
        off(BLUP, lambda d, f, u: u / _weights(d, f)[:, None]),
        "identity:henderson-random-row",
    ),
    Fault("sign of the effects", off(BLUP, lambda d, f, u: -u), "identity:henderson-fixed-row"),
    Fault(
        "labels of the effects rotated",
        off(BLUP, lambda d, f, u: _rotated(u)),
        "identity:henderson-random-row",
    ),
    Fault("labels sorted as text", off(BLUP, _as_text), "truth:blup[cluster]:post-processing"),
    Fault(
        "effects in single precision",
        off(BLUP, lambda d, f, u: _single(u)),
        "identity:cancelling-effects",
    ),
    Fault(
        "effects centred by cluster size",
        off(
            BLUP, lambda d, f, u: u - np.average(u, axis=0, weights=np.bincount(d.blocks[0].codes))
        ),
        "identity:cancelling-effects",
    ),
    Fault(
        "a constant between crossed factors",
        _shifted_between_factors,
        "identity:cancelling-effects",
        "Penicillin",
    ),
    Fault(
        "slopes without the correlation",
        off(BLUP, lambda d, f, u: u * [1, 1.1]),
        "identity:henderson-random-row",
        "sleepstudy",
    ),
    Fault(
        "samples' effects rotated",
        off("blup[batch:cask]", lambda d, f, u: _rotated(u)),
        "identity:henderson-random-row",
        "Pastes",
    ),
    # predictions
    Fault(
        "raw means for predicted ones",
        off(MEAN, lambda d, f, m: _means(d, d.y)),
        "identity:ols-on-predicted-means",
    ),
    Fault(
        "means of the fixed part only",
        off(MEAN, lambda d, f, m: _means(d, d.X @ f["beta"])),
        "identity:pooling-weight",
    ),
    Fault(
        "pooled beyond the mean",
        off(MEAN, lambda d, f, m: m + (_means(d, d.y) - m) * 1.5),
        "identity:between-mean-and-line",
    ),
    Fault(
        "labels of the means rotated",
        off(MEAN, lambda d, f, m: _rotated(m)),
        "identity:ols-on-predicted-means",
    ),
    Fault(
        "fitted without the effects",
        off("fitted", lambda d, f, x: d.X @ f["beta"]),
        "identity:fitted-is-the-sum",
    ),
    Fault(
        "residuals for fitted", off("fitted", lambda d, f, x: d.y - x), "identity:fitted-is-the-sum"
    ),
    Fault(
        "rows of fitted rotated",
        off("fitted", lambda d, f, x: _rotated(x)),
        "identity:means-of-fitted",
    ),
    Fault(
        "fitted rounded for print",
        off("fitted", lambda d, f, x: x.round(6)),
        "identity:fitted-is-the-sum",
    ),
    # fixed effects
    Fault(
        "a coefficient off by 1e-6",
        off("beta", lambda d, f, b: _first_up(b)),
        "identity:ols-on-predicted-means",
    ),
    Fault(
        "labels of beta rotated",
        off("beta", lambda d, f, b: _rotated(b)),
        "identity:gls-fixed-effects",
    ),
    Fault("complete pooling", off("beta", lambda d, f, b: _ols(d)), "identity:gls-fixed-effects"),
    Fault(
        "no pooling",
        off("beta", lambda d, f, b: _ols_of_means(d)),
        "identity:ols-on-predicted-means",
    ),
    Fault(
        "far from complete pooling at tau2 = 0",
        off("beta", lambda d, f, b: b + 0.01),
        "identity:complete-pooling-limit",
        "no_between_variance",
    ),
    Fault(
        "far from no pooling at tau2 large",
        off("beta", lambda d, f, b: b * 1.5),
        "identity:no-pooling-limit",
        "large_ratio",
    ),
    Fault(
        "beta in single precision",
        off("beta", lambda d, f, b: _single(b)),
        "truth:beta:post-processing",
        "nist_AtmWtAg",
    ),
    Fault("another coding", _other_contrasts, "truth:beta:specification"),
    # their covariance
    Fault(
        "covariance of OLS", off("beta_cov", lambda d, f, c: _ols_cov(d)), "identity:gls-covariance"
    ),
    Fault(
        "covariance over sigma2",
        off("beta_cov", lambda d, f, c: c / f["sigma"] ** 2),
        "identity:gls-covariance",
    ),
    Fault(
        "information for covariance",
        off("beta_cov", lambda d, f, c: _information(d, f)),
        "identity:gls-covariance",
    ),
    Fault(
        "sign of covariances",
        off("beta_cov", lambda d, f, c: _flipped(c)),
        "identity:gls-covariance",
    ),
    Fault(
        "N / (N - p) on the covariance",
        off("beta_cov", lambda d, f, c: c * d.n_obs / (d.n_obs - 2)),
        "truth:beta_cov:definition",
        method="ML",
    ),
    Fault(
        "variances for standard errors",
        off("beta_se", lambda d, f, s: s**2),
        "identity:standard-errors",
    ),
    Fault(
        "standard errors rotated",
        off("beta_se", lambda d, f, s: _rotated(s)),
        "identity:standard-errors",
    ),
    Fault(
        "inverse of the diagonal",
        off("beta_se", lambda d, f, s: 1 / np.sqrt(np.diag(_information(d, f)))),
        "truth:beta_se:post-processing",
    ),
    Fault(
        "joint observed information",
        off("beta_se", lambda d, f, s: np.sqrt(np.diag(joint_hessian_cov(d, f, f["beta_cov"])))),
        "truth:beta_se:definition",
        "seed_case3",
    ),
    Fault(
        "a standard error is NaN",
        off("beta_se", lambda d, f, s: _first_nan(s)),
        "identity:standard-errors",
    ),
    # where it stopped
    Fault("stopped 2 % early", scaled(0.98), "truth:criterion:optimiser"),
    Fault("stopped 2 % early, slopes", scaled(0.98), "truth:criterion:optimiser", "sleepstudy"),
    Fault(
        "wrong optimum",
        stopped_at(lambda d, f: (1.93987374, {"cluster": np.array([[5.317221536]])})),
        "truth:criterion:wrong optimum",
        "two_optima_ml",
        "ML",
    ),
    Fault(
        "never at the boundary",
        stopped_at(
            lambda d, f: (
                float(f["sigma"]),
                {d.spec.groups[0]: f["sigma"] ** 2 * np.full((1, 1), 1e-3)},
            )
        ),
        "truth:criterion:optimiser",
        "no_between_variance",
    ),
    Fault("ML for REML", stopped_at(_reml_variances), "truth:criterion:optimiser"),
    Fault("REML for ML", stopped_at(_reml_variances), "truth:criterion:optimiser", method="ML"),
    Fault("moments for REML", stopped_at(_moments), "truth:criterion:optimiser"),
    # a plain implementation
    Fault("plain: ML for REML", Plain(method=lambda _: "ML"), "identity:own-loglik"),
    Fault("plain: a cluster dropped", Plain(rows=_drop_last_cluster), "identity:gls-fixed-effects"),
    Fault(
        "plain: a row dropped",
        Plain(rows=lambda d: np.arange(d.n_obs - 1)),
        "identity:gls-covariance",
    ),
    Fault(
        "plain: a row twice",
        Plain(rows=lambda d: np.append(np.arange(d.n_obs), 0)),
        "identity:profiled-sigma",
    ),
    Fault("plain: all clusters of one size", Plain(weight=_balanced), "identity:gls-fixed-effects"),
    Fault(
        "plain: weights of lm",
        Plain(weight=lambda n, rho: n / (1 + n.mean() * rho)),
        "identity:gls-fixed-effects",
    ),
    Fault("plain: single precision", Plain(dtype=np.float32), "identity:gls-fixed-effects"),
    Fault(
        "plain: variance kept from 0",
        Plain(lowest=1e-2),
        "truth:criterion:optimiser",
        "no_between_variance",
    ),
    Fault("plain: stopped early", Plain(xatol=0.5), "truth:criterion:optimiser"),
    # no answer
    Fault("a quantity left out", _without("beta_se"), "truth:beta_se:failure"),
    Fault("raised", lambda d: Fit.failed("candidate", "boom"), "truth:fit:failure"),
)
