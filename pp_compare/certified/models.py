"""One face for both certified cores: the optimum of a Design and the likelihood about it.

`certified_model(design)` picks the core: a single random intercept without prior weights has a
global proof, every other model a local one. All answers are the project's own records; balls are
rounded to the nearest double at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
from flint import arb, arb_mat, fmpq
from scipy.linalg import block_diag

from pp_compare.certified.existence.record import Existence, existence_of, intercept_existence
from pp_compare.certified.general.blocks import RandomBlock
from pp_compare.certified.general.estimates import (
    Estimates,
    deviance_at_variances,
    estimates_at_theta,
)
from pp_compare.certified.general.estimates import gls_at as general_gls_at
from pp_compare.certified.general.optimum import GeneralOptimum, general_optimum
from pp_compare.certified.intercept.degenerate import DegenerateModelError
from pp_compare.certified.intercept.likelihood import GLS, gls_at, loglik_at
from pp_compare.certified.intercept.optimum import InterceptOptimum, intercept_optimum, rho_within
from pp_compare.certified.intercept.statistics import InterceptStatistics
from pp_compare.model import Quantity
from pp_compare.model.design import Block, Design

Quantities = dict[str, Quantity]
Covariances = Mapping[str, np.ndarray]
"""Covariance of the random effects of each grouping factor, over all its terms, (q, q)."""


@dataclass(frozen=True)
class LocalOptimum:
    """One optimum of the criterion: where, how deep, and whether on the boundary.

    `position` is ``tau2 / sigma2`` for one random intercept, else lme4's theta; decimal strings.
    """

    position: tuple[str, ...]
    deviance: str
    boundary: bool


@dataclass(frozen=True, eq=False)
class Optimum:
    """The best optimum, with what is proved of it.

    Parameters
    ----------
    claim : {"global", "local", "none"}
    reason : str
        Why no more is claimed; empty for a global optimum.
    deviance : float
        ``-2 loglik``.
    quantities : dict of Quantity
        What the criterion fixes, each number the double nearest to the enclosure's midpoint.
    representative : dict of Quantity
        All quantities at one of the best points. Where the criterion does not fix them, others are
        as good: a place to evaluate at, never an answer.
    digits : mapping of str to str
        The main numbers to 30 digits: deviance, sigma, variances, fixed effects.
    optima : tuple of LocalOptimum
        Every local optimum (global claim) or those that the search found, the best first.
    singular : bool
        Whether the optimum lies on the boundary.
    """

    claim: Literal["global", "local", "none"]
    reason: str
    deviance: float
    quantities: Quantities
    representative: Quantities
    digits: Mapping[str, str]
    optima: tuple[LocalOptimum, ...]
    singular: bool


class CertifiedModel(Protocol):
    """The criterion of one Design: its optimum, its values, and what given variances imply."""

    @property
    def existence(self) -> Existence:
        """Whether the criterion has an optimum, and which quantities it fixes."""

    @property
    def optimum(self) -> Optimum:
        """The best optimum."""

    def deviance(self, sigma: float, covariances: Covariances) -> float:
        """``-2 loglik`` at given variances, with the fixed effects that are best for them.

        Eigenvalues of a covariance that are below 0, as rounding leaves them, are taken as 0.
        """

    def implied(self, sigma: float, covariances: Covariances) -> Quantities:
        """Fixed effects, their covariance and predictions that given variances imply."""

    def near(self, delta: float) -> list[tuple[Quantities, Quantities]]:
        """Estimates at both ends of each principal axis of {deviance <= minimum + delta}."""


def certified_model(design: Design, starts: Sequence[np.ndarray] = ()) -> CertifiedModel:
    """Certify the optimum of a model.

    Raises
    ------
    DegenerateModelError
        Where the criterion has no optimum: the message says why.
    DataError
        Where the general core cannot take the model.

    Notes
    -----
    Where only some quantities are identified the optimum has those alone, and ``existence`` of the
    model says why.
    """
    if design.spec.is_random_intercept and design.weights is None:
        return InterceptModel(design)
    return GeneralModel(design, starts)


def decimal_model(design: Design) -> CertifiedModel:
    """Certify the optimum for the decimals that the doubles were read from.

    A response with at most 15 significant digits is what `repr` of its double prints.

    Raises
    ------
    DegenerateModelError
        Where the criterion has no optimum.
    """
    written = [Fraction(repr(y)) for y in design.y.tolist()]
    columns = [[Fraction(repr(x)) for x in row] for row in design.X.tolist()]
    codes = design.blocks[0].codes
    return InterceptModel(design, InterceptStatistics.from_rationals(written, columns, codes))


class InterceptModel:
    """A single random intercept: the global optimum, proved.

    It crosses to another process with its optimum in doubles; balls are made again where needed.
    """

    def __init__(
        self,
        design: Design,
        statistics: InterceptStatistics | None = None,
        optimum: Optimum | None = None,
    ) -> None:
        self.design = design
        self.reml = design.spec.method == "REML"
        self.group = design.blocks[0].group
        self._given = statistics
        self.statistics = statistics or InterceptStatistics.from_arrays(
            design.y, design.X, design.blocks[0].codes
        )
        self.existence = intercept_existence(design, self.statistics)
        if optimum is None:
            self.found = self._search()
        else:
            self.optimum = optimum

    def __reduce__(self) -> tuple[object, ...]:
        """Design and optimum."""
        if self._given is not None:
            raise TypeError("a model of decimals does not cross to another process")
        return InterceptModel, (self.design, None, self.optimum)

    def _search(self) -> InterceptOptimum:
        return intercept_optimum(self.statistics, reml=self.reml)

    @cached_property
    def found(self) -> InterceptOptimum:
        """The optimum as balls."""
        return self._search()

    @cached_property
    def optimum(self) -> Optimum:
        """The global optimum."""
        found = self.found
        optima = sorted(found.optima, key=lambda point: float(point.deviance))
        everything = self._quantities(found, found.sigma, found.tau2) | {
            "loglik": Quantity("loglik", np.array(float(found.loglik)))
        }
        return Optimum(
            claim="global",
            reason=self.existence.sentence,
            deviance=float(found.deviance),
            quantities=_only(everything, self.existence),
            representative=everything,
            digits=self._digits(found),
            optima=tuple(
                LocalOptimum((_text(point.rho),), _text(point.deviance), point.boundary)
                for point in optima
            ),
            singular=bool(found.rho == 0),
        )

    def deviance(self, sigma: float, covariances: Covariances) -> float:
        """``-2 loglik`` at given variances."""
        tau2 = max(float(covariances[self.group][0, 0]), 0.0)
        return -2.0 * float(loglik_at(self.statistics, None, _square(sigma), tau2, reml=self.reml))

    def implied(self, sigma: float, covariances: Covariances) -> Quantities:
        """What given variances imply."""
        tau2 = max(float(covariances[self.group][0, 0]), 0.0)
        gls = gls_at(self.statistics, reml=self.reml, sigma2=_square(sigma), tau2=tau2)
        return self._quantities(gls, arb(sigma), gls.tau2)

    def near(self, delta: float) -> list[tuple[Quantities, Quantities]]:
        """Estimates at both ends of the interval of tau2/sigma2 within `delta`."""
        ends = rho_within(self.statistics, self.found, reml=self.reml, delta=delta)
        first, last = (gls_at(self.statistics, rho, reml=self.reml) for rho in ends)
        return [tuple(self._quantities(g, g.sigma2.sqrt(), g.tau2) for g in (first, last))]  # type: ignore[list-item]  # two ends

    def _quantities(self, gls: GLS | InterceptOptimum, sigma: arb, tau2: arb) -> Quantities:
        design, group = self.design, self.group
        levels, labels = design.group_levels[group], design.random_labels(group)
        beta = arb_mat(len(gls.beta), 1, list(gls.beta))
        fitted = _fixed_part(design.X, beta) + _floats(gls.blup)[design.blocks[0].codes]
        found = [
            *_fixed_effects(design, beta, gls.beta_cov),
            Quantity("sigma", np.array(float(sigma))),
            Quantity(f"random_cov[{group}]", np.array([[float(tau2)]]), labels, labels),
            Quantity(f"blup[{group}]", _floats(gls.blup)[:, None], levels, labels),
            Quantity(f"cluster_mean[{group}]", _floats(gls.cluster_mean), levels),
            Quantity("fitted", fitted, _row_labels(design)),
        ]
        return {quantity.name: quantity for quantity in found}

    def _digits(self, found: InterceptOptimum) -> dict[str, str]:
        known, main = self.existence.identified, {"deviance": found.deviance}
        if "sigma" in known:
            main["sigma"] = found.sigma
        if f"random_cov[{self.group}]" in known:
            main |= {"tau2": found.tau2, "tau2 / sigma2": found.rho}
        main |= {f"beta {k}": b for k, b in zip(self.design.labels, found.beta, strict=True)}
        return {name: _text(ball) for name, ball in main.items()}


class GeneralModel:
    """Every other model: the best optimum that a search finds, and a local proof of it.

    It crosses to another process with its optimum in doubles; balls are made again where needed.
    """

    def __init__(
        self,
        design: Design,
        starts: Sequence[np.ndarray] = (),
        optimum: Optimum | None = None,
    ) -> None:
        self.design = design
        self.starts = starts
        self.reml = design.spec.method == "REML"
        self.existence = existence_of(design)
        if self.existence.kind == "no optimum":
            raise DegenerateModelError(self.existence.sentence)
        self.blocks = [RandomBlock(block.codes, block.Z) for block in design.blocks]
        if optimum is None:
            self.found = self._search()
        else:
            self.optimum = optimum

    def __reduce__(self) -> tuple[object, ...]:
        """Design, starts and optimum."""
        return GeneralModel, (self.design, self.starts, self.optimum)

    def _search(self) -> GeneralOptimum:
        return general_optimum(
            self.design.y,
            self.design.X,
            self.blocks,
            reml=self.reml,
            weights=self.design.weights,
            starts=self.starts,
        )

    @cached_property
    def found(self) -> GeneralOptimum:
        """The optimum as balls."""
        return self._search()

    @cached_property
    def optimum(self) -> Optimum:
        """The best known optimum."""
        found = self.found
        theta = tuple(_text(x) for x in found.theta.entries())
        best = LocalOptimum(theta, _text(found.deviance), found.singular)
        others = tuple(
            LocalOptimum(tuple(repr(float(x)) for x in o.theta), repr(o.deviance), False)
            for o in found.others
        )
        everything = self._quantities(found.estimates) | {
            "loglik": Quantity("loglik", np.array(float(found.loglik)))
        }
        return Optimum(
            claim=found.claim,
            reason="; ".join(filter(None, [self.existence.sentence, self._claimed()])),
            deviance=float(found.deviance),
            quantities=_only(everything, self.existence),
            representative=everything,
            digits=self._digits(found),
            optima=(best, *others),
            singular=found.singular,
        )

    def deviance(self, sigma: float, covariances: Covariances) -> float:
        """``-2 loglik`` at given variances."""
        return float(
            deviance_at_variances(
                *self._data,
                sigma**2,
                self._by_block(covariances),
                reml=self.reml,
                weights=self.design.weights,
            )
        )

    def implied(self, sigma: float, covariances: Covariances) -> Quantities:
        """What given variances imply."""
        blocks = self._by_block(covariances)
        weights = self.design.weights
        return self._quantities(general_gls_at(*self._data, sigma**2, blocks, weights=weights))

    def near(self, delta: float) -> list[tuple[Quantities, Quantities]]:
        """Estimates at both ends of each axis of the ellipsoid ``d'Hd / 2 = delta`` in theta.

        The deviance is even in the diagonal of theta, so the second-order term leads at a boundary
        too. Directions without curvature are those that change no estimate.
        """
        theta = np.array([float(x) for x in self.found.theta.entries()])
        values, vectors = np.linalg.eigh(self.found.hessian)
        curved = values > 1e-10 * values.max()
        steps = vectors[:, curved] * np.sqrt(2 * delta / values[curved])
        return [(self.at(theta + step), self.at(theta - step)) for step in steps.T]

    def _by_block(self, covariances: Covariances) -> list[np.ndarray]:
        """By random term, the nearest covariance with no eigenvalue below 0."""
        return [_semidefinite(part) for part in self.design.by_block(covariances)]

    def _claimed(self) -> str:
        """Why no more is claimed than is."""
        if self.existence.kind == "not identified" and self.found.claim == "none":
            return "what it fixes is that of the best point of a search"
        return self.found.reason or "a local optimum, the best of a search; not proved global"

    @property
    def _data(self) -> tuple[np.ndarray, np.ndarray, list[RandomBlock]]:
        return self.design.y, self.design.X, self.blocks

    def at(self, theta: np.ndarray) -> Quantities:
        """Estimates at given theta, the residual variance profiled."""
        weights = self.design.weights
        return self._quantities(
            estimates_at_theta(*self._data, theta, reml=self.reml, weights=weights)
        )

    def _quantities(self, estimates: Estimates) -> Quantities:
        design = self.design
        fitted = _floats(estimates.fitted.entries())
        found = [
            *_fixed_effects(design, estimates.beta, estimates.beta_cov),
            Quantity("sigma", np.array(float(estimates.sigma))),
            Quantity("fitted", fitted, _row_labels(design)),
        ]
        for group, levels in design.group_levels.items():
            labels = design.random_labels(group)
            of_group = [i for i, block in enumerate(design.blocks) if block.group == group]
            cov = block_diag(*(_matrix(estimates.random_cov[i]) for i in of_group))
            blup = np.hstack([_matrix(estimates.blup[i]) for i in of_group])
            means = design.group_means(group, fitted)
            found += [
                Quantity(f"random_cov[{group}]", cov, labels, labels),
                Quantity(f"blup[{group}]", blup, levels, labels),
                Quantity(f"cluster_mean[{group}]", means, levels),
            ]
        return {quantity.name: quantity for quantity in found}

    def _digits(self, found: GeneralOptimum) -> dict[str, str]:
        main = {"deviance": found.deviance}
        known = self.existence.identified
        if "sigma" in known:
            main |= {"sigma": found.estimates.sigma}
        for block, cov in zip(self.design.blocks, found.estimates.random_cov, strict=True):
            if f"random_cov[{block.group}]" not in known:
                continue
            main |= {_variance_name(block, i): cov[i, i] for i in range(cov.nrows())}
        beta = found.estimates.beta.entries() if "beta" in known else []
        main |= {f"beta {label}": b for label, b in zip(self.design.labels, beta, strict=False)}
        return {name: _text(ball) for name, ball in main.items()}


def _only(quantities: Quantities, existence: Existence) -> Quantities:
    """Those that the criterion fixes."""
    return {name: q for name, q in quantities.items() if name in existence.identified}


def _semidefinite(cov: np.ndarray) -> np.ndarray:
    """The nearest positive semidefinite matrix; itself where it is one."""
    values, vectors = np.linalg.eigh(cov)
    if values[0] >= 0:
        return cov
    nearest: np.ndarray = (vectors * np.maximum(values, 0.0)) @ vectors.T
    return nearest


def _square(x: float) -> fmpq:
    """The exact square of the double."""
    numerator, denominator = x.as_integer_ratio()
    return fmpq(numerator, denominator) ** 2


def _variance_name(block: Block, i: int) -> str:
    return f"var {block.labels[i]} | {block.group}"


def _fixed_effects(design: Design, beta: arb_mat, beta_cov: arb_mat) -> list[Quantity]:
    variances = [beta_cov[k, k].sqrt() for k in range(len(design.labels))]
    return [
        Quantity("beta", _floats(beta.entries()), design.labels),
        Quantity("beta_cov", _matrix(beta_cov), design.labels, design.labels),
        Quantity("beta_se", _floats(variances), design.labels),
    ]


def _fixed_part(X: np.ndarray, beta: arb_mat) -> np.ndarray:
    """X beta, rounded once; rows that stand more than once are computed once."""
    rows, inverse = np.unique(X, axis=0, return_inverse=True)
    values = arb_mat(len(rows), rows.shape[1], rows.ravel().tolist()) * beta
    return _floats(values.entries())[inverse.ravel()]


def _row_labels(design: Design) -> tuple[str, ...]:
    return tuple(str(i + 1) for i in range(design.n_obs))


def _floats(balls: Sequence[arb]) -> np.ndarray:
    return np.array([float(ball) for ball in balls])


def _matrix(balls: arb_mat) -> np.ndarray:
    return _floats(balls.entries()).reshape(balls.nrows(), balls.ncols())


def _text(ball: arb) -> str:
    """Decimal digits that are all proved, at most 30."""
    return str(ball.str(30, radius=False))


__all__ = [
    "CertifiedModel",
    "DegenerateModelError",
    "Existence",
    "LocalOptimum",
    "Optimum",
    "certified_model",
    "decimal_model",
    "existence_of",
]
