"""Tests and intervals of the fixed effects: each with its definition, so none is taken for another.

Our own values are for one random intercept, from sums over clusters alone. With J_j the projection
on cluster j's mean, V^-1 and the derivatives of V all are sums of ``f (I - J_j) + g_j J_j``: a
within weight f and a between weight g_j of each cluster is all they are made of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import special

from pp_compare.certified.models import DegenerateModelError, certified_model
from pp_compare.errors import DataError, InputError
from pp_compare.inferences.partial_pooling import (
    cluster_design,
    cluster_means,
    ols,
    random_intercept,
)
from pp_compare.model import Fit
from pp_compare.model.design import Design, build_design
from pp_compare.model.matrices import Column

LEVEL = 0.95
"""Of every interval."""

DEFINITIONS: Mapping[str, str] = {
    "kenward-roger": (
        "t with Kenward and Roger's (1997) adjusted standard error and degrees of freedom; REML"
    ),
    "satterthwaite": (
        "t with the model's own standard error and Satterthwaite's degrees of freedom, from the "
        "observed information of the variances (Kuznetsova et al. 2017)"
    ),
    "containment": "t with the degrees of freedom of the level a column varies at (Pinheiro and "
    "Bates 2000, p. 91); under ML the standard error is inflated by sqrt(N / (N - p)), nlme's "
    "adjustSigma",
    "wald": "normal, the variances taken as known",
    "joint-wald": "normal, with standard errors from the joint observed information of the fixed "
    "effects and the variances",
    "profile": "where the deviance, all else at its best, has risen by a chi-squared quantile",
    "likelihood-ratio": "each term left out, both models fitted by ML; chi-squared",
    "explained": "intraclass correlation; R2 of Nakagawa and Schielzeth (2013), eq. 26 and 27",
    "means:lm": "marginal means of least squares on all rows, t on N - p degrees of freedom",
    "means:kenward-roger": "marginal means of the mixed model, as kenward-roger",
    "means:satterthwaite": "marginal means of the mixed model, as satterthwaite",
    "means:asymptotic": "marginal means of the mixed model, as wald",
}
"""What each table holds, by its id."""


@dataclass(frozen=True)
class Estimate:
    """One line: nan wherever a definition does not give a number; df inf for a normal."""

    term: str
    estimate: float = np.nan
    se: float = np.nan
    df: float = np.nan
    statistic: float = np.nan
    p: float = np.nan
    lower: float = np.nan
    upper: float = np.nan


@dataclass(frozen=True)
class InferenceTable:
    """Lines of one definition from one source, such as ``lme4 + pbkrtest`` or ``certified``."""

    definition: str
    source: str
    lines: tuple[Estimate, ...]


def by_t(term: str, estimate: float, se: float, df: float) -> Estimate:
    """A line from an estimate, its standard error and t's degrees of freedom (inf: normal)."""
    statistic = estimate / se
    reach = float(special.stdtrit(df, (1 + LEVEL) / 2)) * se
    p = float(2 * special.stdtr(df, -abs(statistic)))
    return Estimate(term, estimate, se, df, statistic, p, estimate - reach, estimate + reach)


class InterceptInference:
    """Our own values for one random intercept, at the certified optimum.

    Parameters
    ----------
    design : Design

    Raises
    ------
    InputError
        Where the model is not one random intercept.
    DegenerateModelError
        Where the criterion has no optimum, or does not identify the variances.
    """

    def __init__(self, design: Design) -> None:
        self.design, block = design, random_intercept(design)
        model = certified_model(design)
        if model.existence.kind != "unique":
            raise DegenerateModelError(model.existence.sentence)
        best = model.optimum.quantities
        self.codes, self.sizes = block.codes, np.bincount(block.codes).astype(float)
        self.beta, self.cov = best["beta"].values, best["beta_cov"].values
        self.sigma2 = float(best["sigma"].values) ** 2
        self.tau2 = float(best[f"random_cov[{block.group}]"].values[0, 0])
        self.means = cluster_design(design)
        within = design.X - self.means[self.codes]
        self._within = within.T @ within
        # Of V^-1, and of dV/dsigma2 = I and dV/dtau2 = Z Z'.
        self._inverse = (1 / self.sigma2, 1 / (self.sigma2 + self.sizes * self.tau2))
        self._slopes = ((1.0, np.ones_like(self.sizes)), (0.0, self.sizes))

    def tables(self) -> list[InferenceTable]:
        """Every definition that applies."""
        rows = dict(zip(self.design.labels, np.eye(len(self.beta)), strict=True))
        lines = {
            "containment": self._containment(),
            "explained": self._explained(),
            "likelihood-ratio": likelihood_ratio(self.design),
        }
        other = [
            InferenceTable(d, "certified", tuple(found)) for d, found in lines.items() if found
        ]
        return [*self.of_rows(rows), *other]

    def of_rows(self, rows: Mapping[str, np.ndarray], kind: str = "") -> list[InferenceTable]:
        """Linear combinations of the fixed effects, (p,) each by name, by all ways there are.

        Parameters
        ----------
        kind : str
            Before the name of each way in the definition's.
        """
        ways = {"asymptotic" if kind else "wald": self.wald}
        if self.design.spec.method == "REML":
            ways["kenward-roger"] = self.kenward_roger
        if self.tau2 > 0:
            # At the boundary the information of the variances is not that of an interior optimum.
            ways["satterthwaite"] = self.satterthwaite
        return [
            InferenceTable(kind + name, "certified", tuple(way(x, row) for x, row in rows.items()))
            for name, way in ways.items()
        ]

    def wald(self, term: str, row: np.ndarray) -> Estimate:
        """One linear combination with the variances taken as known."""
        return by_t(term, *self.estimate(row), np.inf)

    def kenward_roger(self, term: str, row: np.ndarray) -> Estimate:
        """One linear combination of the fixed effects by Kenward and Roger (1997), Biometrics 53.

        With one degree of freedom above, their F is t squared, its scale 1 and its degrees of
        freedom 2 / A2; V is linear in the variances, so their R term is 0.
        """
        P, Q = self._kr_parts
        W = 2 * np.linalg.inv(self._expected)
        L = sum(W[i, k] * (Q[i][k] - P[i] @ self.cov @ P[k]) for i in range(2) for k in range(2))
        adjusted = self.cov + 2 * self.cov @ L @ self.cov
        v = self.cov @ row
        slopes = np.array([v @ P[i] @ v for i in range(2)]) / (row @ v)
        df = 2 / float(slopes @ W @ slopes)
        return by_t(term, float(row @ self.beta), float(np.sqrt(row @ adjusted @ row)), df)

    def satterthwaite(self, term: str, row: np.ndarray) -> Estimate:
        """One linear combination with Satterthwaite's df: 2 var^2 / (g' A g)."""
        P, _ = self._kr_parts
        v = self.cov @ row
        # d(row' cov row): cov = (X'V^-1X)^-1 and P is the derivative of its inverse.
        slope = np.array([-v @ P[i] @ v for i in range(2)])
        spread = 2 * np.linalg.inv(self._observed)
        df = 2 * float(row @ v) ** 2 / float(slope @ spread @ slope)
        return by_t(term, *self.estimate(row), df)

    def estimate(self, row: np.ndarray) -> tuple[float, float]:
        """A linear combination of the fixed effects and its standard error."""
        return float(row @ self.beta), float(np.sqrt(row @ self.cov @ row))

    def _cross(self, within: float, between: np.ndarray) -> np.ndarray:
        """X' M X of a matrix M with these weights."""
        weighted = self.means * (self.sizes * between)[:, None]
        return np.asarray(within * self._within + self.means.T @ weighted)

    @cached_property
    def _kr_parts(self) -> tuple[list[np.ndarray], list[list[np.ndarray]]]:
        """Kenward and Roger's P_i = -X'V^-1 G_i V^-1 X and Q_ik = X'V^-1 G_i V^-1 G_k V^-1 X."""
        w, b = self._inverse
        P = [-self._cross(w * gw * w, b * gb * b) for gw, gb in self._slopes]
        Q = [
            [self._cross(w**3 * gw * hw, b**3 * gb * hb) for hw, hb in self._slopes]
            for gw, gb in self._slopes
        ]
        return P, Q

    @cached_property
    def _traces(self) -> np.ndarray:
        """tr(V^-1 G_i V^-1 G_k), (2, 2)."""
        w, b = self._inverse
        freedom = (self.sizes - 1).sum()
        return np.array(
            [
                [freedom * w**2 * gw * hw + (b**2 * gb * hb).sum() for hw, hb in self._slopes]
                for gw, gb in self._slopes
            ]
        )

    @cached_property
    def _expected(self) -> np.ndarray:
        """Twice the expected information of the variances under REML: tr(P G_i P G_k)."""
        P, Q = self._kr_parts
        cov = self.cov
        of_x = [
            [np.trace(cov @ P[i] @ cov @ P[k]) - 2 * np.trace(cov @ Q[i][k]) for k in range(2)]
            for i in range(2)
        ]
        return np.asarray(self._traces + np.array(of_x))

    @cached_property
    def _observed(self) -> np.ndarray:
        """Second derivatives of the deviance in (sigma2, tau2), (2, 2)."""
        r = self._apply(*self._inverse, self.design.y - self.design.X @ self.beta)
        pushed = [self._apply(gw, gb, r) for gw, gb in self._slopes]
        forms = np.array([[g @ self._project(h) for h in pushed] for g in pushed])
        reml = self.design.spec.method == "REML"
        return np.asarray(2 * forms - (self._expected if reml else self._traces))

    def _apply(self, within: float, between: np.ndarray, v: np.ndarray) -> np.ndarray:
        means = cluster_means(self.design.blocks[0], v)[self.codes]
        return np.asarray(within * (v - means) + between[self.codes] * means)

    def _project(self, v: np.ndarray) -> np.ndarray:
        """P v with P = V^-1 - V^-1 X (X'V^-1X)^-1 X'V^-1."""
        X = self.design.X
        whitened = self._apply(*self._inverse, v)
        return np.asarray(whitened - self._apply(*self._inverse, X @ (self.cov @ (X.T @ whitened))))

    def _containment(self) -> list[Estimate]:
        """Degrees of freedom by the level at which a column varies, as nlme's getFixDF has them.

        A constant varies at no level: it has the largest of their degrees of freedom, and takes one
        from the clusters, or, where there is none, leaves one to the rows.
        """
        X, m, n = self.design.X, len(self.sizes), self.design.n_obs
        constant = np.ptp(X, axis=0) == 0
        outer = (self.means[self.codes] == X).all(axis=0) & ~constant
        inner = ~outer & ~constant
        outer_df = m - int(constant.any()) - int(outer.sum())
        inner_df = n - m + int(not constant.any()) - int(inner.sum())
        df = np.where(constant, max(outer_df, inner_df), np.where(outer, outer_df, inner_df))
        inflation = 1.0 if self.design.spec.method == "REML" else np.sqrt(n / (n - len(df)))
        found = []
        for k, label in enumerate(self.design.labels):
            estimate, se = self.estimate(np.eye(len(df))[k])
            found.append(by_t(label, estimate, se * inflation, float(df[k])))
        return found

    def _explained(self) -> list[Estimate]:
        fixed = float(np.var(self.design.X @ self.beta, ddof=1))
        total = fixed + self.tau2 + self.sigma2
        return [
            Estimate("ICC", self.tau2 / (self.tau2 + self.sigma2)),
            Estimate("marginal R2", fixed / total),
            Estimate("conditional R2", (fixed + self.tau2) / total),
        ]


def least_squares(design: Design, term: str, row: np.ndarray) -> Estimate:
    """A linear combination of lm's coefficients, t on N - p degrees of freedom."""
    beta = ols(design.X, design.y)
    residual = design.y - design.X @ beta
    df = design.n_obs - len(beta)
    # |row X^+| is the root of row (X'X)^-1 row', without X'X.
    se = np.linalg.norm(row @ np.linalg.pinv(design.X)) * np.sqrt(residual @ residual / df)
    return by_t(term, float(row @ beta), float(se), df)


def likelihood_ratio(design: Design) -> list[Estimate]:
    """Each term that no other contains left out; both models at their certified ML optimum."""
    full = replace(design.spec, method="ML")
    found = []
    for term in full.fixed:
        if any(set(term) < set(other) for other in full.fixed):
            continue
        fixed = tuple(other for other in full.fixed if other != term)
        try:
            small = build_design(design.dataset, replace(full, fixed=fixed), "drop")
        except DataError:  # an empty fixed part: nothing to compare with
            continue
        if small.n_obs != design.n_obs:  # the term's own missing rows would come back
            continue
        df = len(design.labels) - len(small.labels)
        statistic = _ml_deviance(small) - _ml_deviance(replace(design, spec=full))
        p = float(special.chdtrc(df, statistic))
        found.append(Estimate(":".join(term), df=float(df), statistic=statistic, p=p))
    return found


def _ml_deviance(design: Design) -> float:
    return certified_model(design).optimum.deviance


def joint_wald(fit: Fit) -> InferenceTable:
    """Wald z with the standard errors that statsmodels reports."""
    beta, se = fit.quantities["beta"], fit["beta_se"]
    lines = zip(beta.rows, beta.values.tolist(), se.tolist(), strict=True)
    return InferenceTable(
        "joint-wald", fit.engine, tuple(by_t(label, b, s, np.inf) for label, b, s in lines)
    )


def marginal_rows(design: Design, factor: str) -> dict[str, np.ndarray]:
    """What each level of a factor means in the fixed effects: a row of X averaged over the rest.

    Numbers stand at their mean, other factors at all their levels equally, as emmeans does.

    Raises
    ------
    InputError
        Where the model has no such factor.
    """
    variable = design.variables.get(factor)
    if variable is None or variable.levels is None:
        raise InputError(f"'{factor}' is not a factor of '{design.spec.formula}'")
    return {
        level: np.array(
            [_expected_column(design, column, factor, level) for column in design.columns]
        )
        for level in variable.levels
    }


def _expected_column(design: Design, column: Column, factor: str, level: str) -> float:
    value = 1.0
    for part in column.factors:
        variable = design.variables[part.variable]
        if variable.levels is None:
            value *= float(variable.values.mean())
        elif part.variable == factor:
            value *= float(part.level == level)
        else:
            value /= len(variable.levels)
    return value


def own_inference(design: Design, means: str | None = None) -> list[InferenceTable]:
    """Our own tables, with marginal means of a factor where one is named."""
    own = InterceptInference(design)
    found = own.tables()
    if means is None:
        return found
    rows = marginal_rows(design, means)
    lm = tuple(least_squares(design, x, row) for x, row in rows.items())
    return [*found, InferenceTable("means:lm", "numpy", lm), *own.of_rows(rows, "means:")]
