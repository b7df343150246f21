"""Bambi, a Bayesian engine on PyMC: what of a posterior can be held against a likelihood.

Draws have a Monte Carlo error, and a posterior mean is another estimate than a maximum. Two things
are the same quantity: under flat priors the log density of Bambi's model, with the random effects
integrated out, is the log-likelihood, and with the coefficients integrated out too it is the
restricted one. The density is Gaussian in the coefficients and random effects, so its mode and
curvature give these integrals without approximation. The engine maximises them over the standard
deviations: model, density and derivatives are Bambi's and PyMC's, the search is ours.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize

from pp_compare.adapters.answer import PackageEngine, correlated, require
from pp_compare.engines import Engine
from pp_compare.engines.alignment import design_error
from pp_compare.engines.formulas import bar, fixed_formula, group_alias, grouped_frame
from pp_compare.model.answer import quantities
from pp_compare.model.design import Block, Design

SETTINGS = {"priors": "flat", "center_predictors": "False", "search": "L-BFGS-B of scipy"}
LOWEST = -12.0
"""Smallest log standard deviation of a random effect, from the residual one: a variance of 4e-11 of
the residual variance, below which the density is flat to rounding."""


def make() -> Engine:
    """Engine factory: the mode of the integrated posterior density under flat priors."""
    require("bambi", "bambi")
    packages = {"bambi": "bambi", "pymc": "pymc", "pytensor": "pytensor"}
    # In Bambi the random effects of one term are independent.
    return PackageEngine("bambi", packages, _answer, correlated, SETTINGS)


def _answer(design: Design) -> dict[str, Any]:
    start = time.perf_counter()
    density = Density(build(design), design)
    found = _mode(density)
    at = density.at(found.x)
    fitted = density.mean(at.mode)
    seconds = time.perf_counter() - start
    X, p = density.columns[:, : density.p], density.p
    order = _columns(X, design.X)
    beta_cov = np.linalg.inv(at.precision)[:p, :p]
    return {
        "seconds": seconds,
        "converged": bool(found.success),
        "design_error": design_error(design, design.labels, X[:, order], density.y),
        "quantities": quantities(
            design,
            beta=at.mode[:p][order],
            beta_cov=beta_cov[np.ix_(order, order)],
            beta_se=np.sqrt(np.diag(beta_cov))[order],
            sigma=float(np.exp(found.x[-1])),
            loglik=at.value,
            covariances=[np.exp(2 * found.x[k]).reshape(1, 1) for k in range(len(design.blocks))],
            effects=density.effects(at.mode),
            fitted=fitted,
        ),
    }


def _columns(theirs: np.ndarray, ours: np.ndarray) -> list[int]:
    """Which of their columns is nearest to each of ours; ours are independent, so no two alike."""
    gaps = np.abs(theirs[:, None, :] - ours[:, :, None]).max(axis=0)
    order: list[int] = gaps.argmin(axis=1).tolist()
    return order


def build(design: Design) -> Any:
    """The PyMC model of Bambi, with flat priors for all that is not a random effect."""
    import bambi  # noqa: PLC0415  # an optional extra

    formula = " + ".join([fixed_formula(design), *(bar(design, b) for b in design.blocks)])
    flat, half_flat = bambi.Prior("Flat"), bambi.Prior("HalfFlat")
    model = bambi.Model(formula, _frame(design), noncentered=False, center_predictors=False)
    model.set_priors(
        common=flat,
        group_specific=bambi.Prior("Normal", mu=0, sigma=half_flat),
        priors={"sigma": half_flat, **({"Intercept": flat} if design.intercept else {})},
    )
    model.build()
    return model.backend.model


def _frame(design: Design) -> pd.DataFrame:
    """Bambi sorts the levels of a factor, unless the factor is ordered: then they are ours."""
    data = grouped_frame(design)
    factors = [c for c in data if isinstance(data[c].dtype, pd.CategoricalDtype)]
    return data.assign(**{str(c): data[c].cat.as_ordered() for c in factors})


@dataclass(frozen=True, eq=False)
class Integrated:
    """The density at given standard deviations.

    Parameters
    ----------
    value : float
        Its logarithm, with the random effects (ML) or these and the coefficients (REML)
        integrated out.
    mode : ndarray, shape (p + q,)
        Of coefficients and random effects.
    precision : ndarray, shape (p + q, p + q)
        Negative second derivatives there.
    """

    value: float
    mode: np.ndarray
    precision: np.ndarray


class Density:
    """Bambi's log density as a function of log standard deviations, the Gaussian rest integrated.

    Parameters
    ----------
    model : pymc.Model
        Of `build`.
    design : Design
    """

    def __init__(self, model: Any, design: Design) -> None:
        self.design = design
        self._model = model
        rvs = {rv.name: rv for rv in model.free_RVs}
        self._deviations = [f"{_effect(design, b)}_sigma" for b in design.blocks] + ["sigma"]
        random = [_effect(design, block) for block in design.blocks]
        common = [name for name in rvs if name not in {*self._deviations, *random}]
        self._shapes = {n: np.shape(model.initial_point()[n]) for n in (*common, *random)}
        # Without the C compiler or numba: to compile takes longer than all evaluations.
        mode = {"mode": "FAST_COMPILE"}
        linear = [rvs[name] for name in self._shapes]
        self._logp = model.compile_logp(jacobian=False, **mode)
        self._gradient = model.compile_dlogp(vars=linear, jacobian=False, **mode)
        (mean,) = model.replace_rvs_by_values([model["mu"]])
        self._mean = model.compile_fn(
            mean, inputs=model.value_vars, on_unused_input="ignore", **mode
        )
        self.p = sum(int(np.prod(self._shapes[name])) for name in common)
        self.size = sum(int(np.prod(shape)) for shape in self._shapes.values())

    @property
    def y(self) -> np.ndarray:
        """Response that the model conditions on, shape (n,)."""
        (observed,) = self._model.observed_RVs
        return np.asarray(self._model.rvs_to_values[observed].data)

    @cached_property
    def columns(self) -> np.ndarray:
        """Bambi's own ``[X Z]``, shape (n, p + q): what the mean gains by one unit."""
        nothing = self.mean(np.zeros(self.size))
        return np.column_stack([self.mean(unit) - nothing for unit in np.eye(self.size)])

    def mean(self, w: np.ndarray) -> np.ndarray:
        """Mean of the response at coefficients and random effects, shape (n,)."""
        return np.asarray(self._mean(self._point(np.zeros(len(self._deviations)), w)))

    def at(self, log_deviations: np.ndarray) -> Integrated:
        """Integrate at the log standard deviations: the blocks', then the residual one."""
        origin = np.zeros(self.size)
        slope = self._slope(log_deviations, origin)
        # The slope is linear, so differences are second derivatives, whatever the step; one as
        # large as the response changes the slope by its own size, and loses no digits of it.
        step = float(np.abs(self.y).max())
        steps = step * np.eye(self.size)
        precision = np.array([slope - self._slope(log_deviations, w) for w in steps]) / step
        precision = (precision + precision.T) / 2
        mode = np.linalg.solve(precision, slope)
        mode += np.linalg.solve(precision, self._slope(log_deviations, mode))
        first = 0 if self.design.spec.method == "REML" else self.p
        inner = precision[first:, first:]
        top = float(self._logp(self._point(log_deviations, mode)))
        half = 0.5 * (len(inner) * np.log(2 * np.pi) - np.linalg.slogdet(inner)[1])
        return Integrated(top + float(half), mode, precision)

    def effects(self, w: np.ndarray) -> list[np.ndarray]:
        """Random effects of each block, shape (m, 1), in the order of our levels."""
        values = self._named(w)
        found = []
        for block in self.design.blocks:
            name = _effect(self.design, block)
            (levels,) = (self._model.coords[d] for d in self._model.named_vars_to_dims[name])
            at = [list(map(str, levels)).index(level) for level in block.levels]
            found.append(values[name][at][:, None])
        return found

    def _slope(self, log_deviations: np.ndarray, w: np.ndarray) -> np.ndarray:
        return np.asarray(self._gradient(self._point(log_deviations, w)))

    def _named(self, w: np.ndarray) -> dict[str, np.ndarray]:
        ends = np.cumsum([int(np.prod(shape)) for shape in self._shapes.values()])
        parts = np.split(w, ends[:-1])
        return {n: a.reshape(s) for (n, s), a in zip(self._shapes.items(), parts, strict=True)}

    def _point(self, log_deviations: np.ndarray, w: np.ndarray) -> dict[str, np.ndarray]:
        logs = zip(self._deviations, log_deviations, strict=True)
        return {**{f"{name}_log__": np.array(x) for name, x in logs}, **self._named(w)}


def _effect(design: Design, block: Block) -> str:
    """``1|g``, or ``x|g``, ``x:z|g``."""
    effect = ":".join(design.alias(name) for term in block.term.terms for name in term) or "1"
    return f"{effect}|{group_alias(design, block)}"


def _mode(density: Density) -> Any:
    """Maximum over the log standard deviations, started at the standard deviation of y."""
    y = density.design.y
    start = np.full(len(density.design.blocks) + 1, np.log(y.std()))
    bounds = [(start[0] + LOWEST, start[0] + 10.0)] * len(start)
    search: Any = minimize
    return search(
        lambda x: -density.at(x).value,
        start,
        method="L-BFGS-B",
        jac="3-point",
        bounds=bounds,
        options={"ftol": 1e-15, "gtol": 1e-9, "maxls": 50},
    )
