"""Small generalised models for tests, and an engine in doubles that owes nothing to the core."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import gammaln

from pp_compare.certified.glmm.model import GlmmModel
from pp_compare.model import Dataset, Fit
from pp_compare.model.answer import labelled
from pp_compare.model.glmm import Family, GlmmDesign, build_glmm_design


def design_of(
    family: Family, formula: str, weights: str | None = None, **columns: object
) -> GlmmDesign:
    """A design from columns."""
    return build_glmm_design(Dataset("data", pd.DataFrame(columns)), formula, family, weights)


def simulated(
    seed: int, family: Family = "binomial", groups: int = 8, rows: int = 4, sd: float = 1.0
) -> GlmmDesign:
    """A random intercept and one covariate; trials of up to five, or counts with an exposure."""
    draw = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), rows)
    x = np.round(draw.normal(size=len(g)), 1)
    eta = 0.3 - 0.6 * x + draw.normal(0, sd, groups)[g]
    names = [f"g{k}" for k in g]
    if family == "poisson":
        years = draw.integers(1, 4, len(g))
        y = draw.poisson(years * np.exp(eta))
        return design_of(
            family, "y ~ x + offset(log(years)) + (1|g)", y=y, x=x, years=years, g=names
        )
    n = draw.integers(1, 6, len(g))
    y = draw.binomial(n, 1 / (1 + np.exp(-eta)))
    return design_of(family, "cbind(y, f) ~ x + (1|g)", y=y, f=n - y, x=x, g=names)


@dataclass(frozen=True)
class PlainQuadrature:
    """Adaptive Gauss-Hermite quadrature in numpy, BFGS and numeric derivatives; an engine.

    One node is Laplace's criterion; with 60 the likelihood is exact to a double here.
    """

    nodes: int = 1
    definition: str = "laplace"
    name: str = "plain"

    def unsupported(self, design: GlmmDesign) -> str | None:
        """None for one random intercept."""
        return None if len(design.design.blocks) == 1 else "one random intercept"

    def loglik(self, design: GlmmDesign, at: np.ndarray) -> float:
        """The criterion at (beta, sd)."""
        beta, sd = at[:-1], at[-1]
        codes, m = design.design.blocks[0].codes, len(design.design.blocks[0].levels)
        base, y, n = design.offset + design.design.X @ beta, design.y, design.trials

        def parts(u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            eta = base + sd * u[codes]
            if design.family == "poisson":
                mean = variance = np.exp(eta)
                height = y * eta - mean - gammaln(y + 1)
            else:
                p = 1 / (1 + np.exp(-eta))
                mean, variance = n * p, n * p * (1 - p)
                height = y * eta - n * np.logaddexp(0, eta)
                height = height + gammaln(n + 1) - gammaln(y + 1) - gammaln(n - y + 1)
            summed = [np.bincount(codes, v, m) for v in (height, sd * (y - mean), sd**2 * variance)]
            return summed[0] - u**2 / 2, summed[1] - u, summed[2] + 1

        u = np.zeros(m)
        for _ in range(100):
            height, slope, curvature = parts(u)
            step = slope / curvature
            if np.abs(step).max() < 1e-12:
                break
            share = np.ones(m)
            for _ in range(30):
                worse = parts(u + share * step)[0] < height - 1e-12
                if not worse.any():
                    break
                share[worse] /= 2
            u = u + share * step
        height, _, curvature = parts(u)
        x, w = np.polynomial.hermite_e.hermegauss(self.nodes)
        w = w / np.sqrt(2 * np.pi)
        spread = 1 / np.sqrt(curvature)
        terms = [
            wi * np.exp(parts(u + spread * xi)[0] - height + xi**2 / 2)
            for xi, wi in zip(x, w, strict=True)
        ]
        return float((height + np.log(spread) + np.log(np.sum(terms, axis=0))).sum())

    def fit(self, design: GlmmDesign) -> Fit:
        """Maximise, from a flat start and from a few standard deviations."""
        p = design.design.X.shape[1]

        def loss(at: np.ndarray) -> float:
            with np.errstate(all="ignore"):
                value = -self.loglik(design, at)
            return value if np.isfinite(value) else 1e10

        ends = [
            minimize(loss, np.append(np.zeros(p), sd), method="BFGS", options={"gtol": 1e-7})
            for sd in (0.5, 2.0)
        ]
        at = self._polished(loss, min(ends, key=lambda end: end.fun).x)
        at[-1] = abs(at[-1])
        hessian = _hessian(loss, at)
        if at[-1] < 1e-4:
            at[-1] = 0.0
            cov = np.linalg.inv(hessian[:p, :p])
        else:
            cov = np.linalg.inv(hessian)[:p, :p]
        group = design.design.blocks[0].group
        values = {
            "beta": at[:p],
            "beta_cov": cov,
            "beta_se": np.sqrt(np.diag(cov)),
            f"random_cov[{group}]": np.array([[at[-1] ** 2]]),
            "loglik": np.array(-loss(at)),
        }
        return Fit(
            self.name, "ok", labelled(design.design, values), True, definition=self.definition
        )

    @staticmethod
    def _polished(loss: Callable[[np.ndarray], float], at: np.ndarray) -> np.ndarray:
        for _ in range(4):
            hessian, gradient = _hessian(loss, at), _gradient(loss, at)
            if (np.linalg.eigvalsh(hessian) <= 0).any():
                break
            move = np.linalg.solve(hessian, gradient)
            if loss(at - move) > loss(at) + 1e-9:
                break
            at = at - move
        return at


@dataclass(frozen=True)
class Rounded:
    """Laplace's certified optimum in doubles; an engine without a fault, and fast."""

    definition: str = "laplace"
    name: str = "rounded"

    def unsupported(self, design: GlmmDesign) -> str | None:
        """None: every model."""
        del design

    def fit(self, design: GlmmDesign) -> Fit:
        """The certified numbers."""
        quantities = GlmmModel(design).optimum(self.definition).quantities
        return Fit(self.name, "ok", quantities, True, definition=self.definition)


def _gradient(f: Callable[[np.ndarray], float], x: np.ndarray, h: float = 1e-4) -> np.ndarray:
    """Fourth-order differences: the error is h^4 and eps/h, 1e-12 each."""
    eye = np.eye(len(x)) * h
    return np.array(
        [(8 * (f(x + e) - f(x - e)) - (f(x + 2 * e) - f(x - 2 * e))) / (12 * h) for e in eye]
    )


def _hessian(f: Callable[[np.ndarray], float], x: np.ndarray, h: float = 1e-3) -> np.ndarray:
    def change(e: np.ndarray) -> np.ndarray:
        return _gradient(f, x + e) - _gradient(f, x - e)

    rows = [(8 * change(e) - change(2 * e)) / (12 * h) for e in np.eye(len(x)) * h]
    return (np.array(rows) + np.array(rows).T) / 2
