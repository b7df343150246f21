"""The certified model of a single random intercept without prior weights: a global proof."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from flint import arb, arb_mat

from pp_compare.certified.existence.record import intercept_existence
from pp_compare.certified.intercept.likelihood import GLS, gls_at, loglik_at
from pp_compare.certified.intercept.optimum import InterceptOptimum, intercept_optimum, rho_within
from pp_compare.certified.intercept.statistics import InterceptStatistics
from pp_compare.certified.optima import (
    Covariances,
    DistinctRows,
    LocalOptimum,
    Optimum,
    Quantities,
    fixed_effects,
    floats,
    only,
    row_labels,
    square,
    text,
)
from pp_compare.model import Quantity
from pp_compare.model.design import Design


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

    @cached_property
    def _rows(self) -> DistinctRows:
        return DistinctRows.of(self.design.X)

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
            quantities=only(everything, self.existence),
            representative=everything,
            digits=self._digits(found),
            optima=tuple(
                LocalOptimum((text(point.rho),), text(point.deviance), point.boundary)
                for point in optima
            ),
            singular=bool(found.rho == 0),
        )

    def deviance(self, sigma: float, covariances: Covariances) -> float:
        """``-2 loglik`` at given variances."""
        tau2 = max(float(covariances[self.group][0, 0]), 0.0)
        return -2.0 * float(loglik_at(self.statistics, None, square(sigma), tau2, reml=self.reml))

    def implied(self, sigma: float, covariances: Covariances) -> Quantities:
        """What given variances imply."""
        tau2 = max(float(covariances[self.group][0, 0]), 0.0)
        gls = gls_at(self.statistics, reml=self.reml, sigma2=square(sigma), tau2=tau2)
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
        fitted = self._rows.times(beta) + floats(gls.blup)[design.blocks[0].codes]
        found = [
            *fixed_effects(design, beta, gls.beta_cov),
            Quantity("sigma", np.array(float(sigma))),
            Quantity(f"random_cov[{group}]", np.array([[float(tau2)]]), labels, labels),
            Quantity(f"blup[{group}]", floats(gls.blup)[:, None], levels, labels),
            Quantity(f"cluster_mean[{group}]", floats(gls.cluster_mean), levels),
            Quantity("fitted", fitted, row_labels(design)),
        ]
        return {quantity.name: quantity for quantity in found}

    def _digits(self, found: InterceptOptimum) -> dict[str, str]:
        known, main = self.existence.identified, {"deviance": found.deviance}
        if "sigma" in known:
            main["sigma"] = found.sigma
        if f"random_cov[{self.group}]" in known:
            main |= {"tau2": found.tau2, "tau2 / sigma2": found.rho}
        main |= {f"beta {k}": b for k, b in zip(self.design.labels, found.beta, strict=True)}
        return {name: text(ball) for name, ball in main.items()}
