"""The certified model of every other kind: a local proof, and on request a global one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from scipy.linalg import block_diag

from pp_compare.certified.components.blocks import RandomBlock
from pp_compare.certified.cover.extend import extended
from pp_compare.certified.cover.proof import Cover
from pp_compare.certified.equations.crossproducts import CrossProducts, cross_products
from pp_compare.certified.existence.record import existence_of
from pp_compare.certified.general.estimates import Estimates, deviance_of, estimates_of, gls_of
from pp_compare.certified.general.optimum import general_optimum
from pp_compare.certified.general.proved import GeneralOptimum
from pp_compare.certified.intercept.degenerate import DegenerateModelError
from pp_compare.certified.optima import (
    Covariances,
    LocalOptimum,
    Optimum,
    Quantities,
    fixed_effects,
    floats,
    matrix,
    only,
    row_labels,
    semidefinite,
    text,
    variance_name,
)
from pp_compare.model import Quantity
from pp_compare.model.design import Design

FEW = 128
"""Bits for estimates of which a difference to others is wanted, in double precision at most."""


class GeneralModel:
    """Every other model: the best optimum that a search finds, and a local proof of it.

    It crosses to another process with its optimum in doubles; balls are made again where needed.
    """

    def __init__(
        self,
        design: Design,
        starts: Sequence[np.ndarray] = (),
        optimum: Optimum | None = None,
        seconds: float = 0.0,
    ) -> None:
        self.design = design
        self.starts = starts
        self.seconds = seconds
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
        """Design, starts, optimum and limit."""
        return GeneralModel, (self.design, self.starts, self.optimum, self.seconds)

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
    def products(self) -> CrossProducts:
        """Exact cross-products."""
        if "found" in self.__dict__:
            return self.found.point.solution.products
        return cross_products(*self._data, weights=self.design.weights)

    @cached_property
    def cover(self) -> Cover | None:
        """How far the proof came that no lower optimum exists; None where it was not tried."""
        if self.seconds <= 0 or self.existence.kind not in ("unique", "undecided"):
            return None
        weights, limit = self.design.weights, self.seconds
        return extended(self.found, *self._data, reml=self.reml, weights=weights, seconds=limit)

    @property
    def _is_global(self) -> bool:
        return self.cover is not None and self.cover.complete

    @cached_property
    def optimum(self) -> Optimum:
        """The best known optimum."""
        found = self.found
        theta = tuple(text(x) for x in found.theta.entries())
        best = LocalOptimum(theta, text(found.deviance), found.singular)
        others = tuple(
            LocalOptimum(tuple(repr(float(x)) for x in o.theta), repr(o.deviance), False)
            for o in found.others
        )
        everything = self._quantities(found.estimates) | {
            "loglik": Quantity("loglik", np.array(float(found.loglik)))
        }
        return Optimum(
            claim="global" if self._is_global else found.claim,
            reason="; ".join(filter(None, [self.existence.sentence, self._claimed()])),
            deviance=float(found.deviance),
            quantities=only(everything, self.existence),
            representative=everything,
            digits=self._digits(found),
            optima=(best, *others),
            singular=found.singular,
        )

    def deviance(self, sigma: float, covariances: Covariances) -> float:
        """``-2 loglik`` at given variances."""
        blocks = self._by_block(covariances)
        return float(deviance_of(self.products, sigma**2, blocks, reml=self.reml))

    def implied(self, sigma: float, covariances: Covariances) -> Quantities:
        """What given variances imply."""
        variances = sigma**2, self._by_block(covariances)
        design = self.design
        return self._quantities(gls_of(self.products, *variances, design.X, self.blocks))

    def near(self, delta: float) -> list[tuple[Quantities, Quantities]]:
        """Estimates at both ends of each axis of the ellipsoid ``d'Hd / 2 = delta`` in theta.

        The deviance is even in the diagonal of theta, so the second-order term leads at a boundary
        too. Directions without curvature are those that change no estimate.
        """
        theta = np.array([float(x) for x in self.found.theta.entries()])
        values, vectors = np.linalg.eigh(self.found.hessian)
        curved = values > 1e-10 * values.max()
        steps = vectors[:, curved] * np.sqrt(2 * delta / values[curved])
        return [(self.at(theta + step, FEW), self.at(theta - step, FEW)) for step in steps.T]

    def _by_block(self, covariances: Covariances) -> list[np.ndarray]:
        """By random term, the nearest covariance with no eigenvalue below 0."""
        return [semidefinite(part) for part in self.design.by_block(covariances)]

    def _claimed(self) -> str:
        """Why no more is claimed than is."""
        if self.existence.kind == "not identified" and self.found.claim == "none":
            return "what it fixes is that of the best point of a search"
        if self._is_global:
            return ""
        claimed = self.found.reason or "a local optimum, the best of a search; not proved global"
        return "; ".join(filter(None, [claimed, self._not_covered()]))

    def _not_covered(self) -> str:
        """What the attempt at a global proof left open."""
        if self.cover is None:
            return ""
        share = min(self.cover.share, 1 - 1e-6)
        return f"{self.cover.reason}: {share:.4%} of the covariances were excluded"

    @property
    def _data(self) -> tuple[np.ndarray, np.ndarray, list[RandomBlock]]:
        return self.design.y, self.design.X, self.blocks

    def at(self, theta: np.ndarray, bits: int = 256) -> Quantities:
        """Estimates at given theta, the residual variance profiled."""
        design = self.design
        found = estimates_of(self.products, theta, design.X, self.blocks, reml=self.reml, bits=bits)
        return self._quantities(found)

    def _quantities(self, estimates: Estimates) -> Quantities:
        design = self.design
        fitted = floats(estimates.fitted.entries())
        found = [
            *fixed_effects(design, estimates.beta, estimates.beta_cov),
            Quantity("sigma", np.array(float(estimates.sigma))),
            Quantity("fitted", fitted, row_labels(design)),
        ]
        for group, levels in design.group_levels.items():
            labels = design.random_labels(group)
            of_group = [i for i, block in enumerate(design.blocks) if block.group == group]
            cov = block_diag(*(matrix(estimates.random_cov[i]) for i in of_group))
            blup = np.hstack([matrix(estimates.blup[i]) for i in of_group])
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
            main |= {variance_name(block, i): cov[i, i] for i in range(cov.nrows())}
        beta = found.estimates.beta.entries() if "beta" in known else []
        main |= {f"beta {label}": b for label, b in zip(self.design.labels, beta, strict=False)}
        return {name: text(ball) for name, ball in main.items()}
