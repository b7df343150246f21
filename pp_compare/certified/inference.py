"""Tests and intervals of the fixed effects at the certified optimum of a Design, in doubles.

Everything is made in balls (`general.information`, `general.approximations`) and rounded at the
end; a ball that is not narrow is no number.
"""

from __future__ import annotations

import numpy as np
from flint import arb, arb_mat, ctx

from pp_compare.certified.components.blocks import RandomBlock
from pp_compare.certified.equations.crossproducts import CrossProducts, cross_products
from pp_compare.certified.equations.krawczyk import NotProvedError
from pp_compare.certified.equations.mixed_equations import solve
from pp_compare.certified.equations.parametrisation import lower_triangle, units
from pp_compare.certified.general.approximations import (
    FixedEffects,
    KenwardRoger,
    Satterthwaite,
)
from pp_compare.certified.general.face import Face
from pp_compare.certified.general.information import Information, information
from pp_compare.certified.general.profile import Profiled, profiled
from pp_compare.certified.models import CertifiedModel, InterceptModel, certified_model
from pp_compare.model.design import Design

BITS = 192
"""The optimum is known to 30 digits, 100 bits; the rest is for what conditioning takes."""


CERTAIN = 1e-10
"""Relative radius above which a ball is not given as a number: no digit shown may be in doubt."""


class OptimumInference:
    """What the criterion says of the fixed effects about its certified optimum.

    Contrasts are rows of the fixed effects in the columns of X. A number that is not defined, or
    not certain, raises `NotProvedError` with the reason.

    Parameters
    ----------
    design : Design
    model : CertifiedModel, optional
        Of the same design, where it is there already.

    Raises
    ------
    DegenerateModelError
        Where the criterion has no optimum.
    UnavailableError
        Where the model has more parameters than can be handled.
    """

    def __init__(self, design: Design, model: CertifiedModel | None = None) -> None:
        self.design, self.model = design, model or certified_model(design)
        self.info = information_at_optimum(design, self.model)
        self.effects = FixedEffects(self.info)
        self.kenward = KenwardRoger(self.effects)
        self.held = KenwardRoger(self.effects, held=True)
        self.satter = Satterthwaite(self.effects)

    @property
    def singular(self) -> bool:
        """Whether the optimum lies on the boundary."""
        return self.info.face.singular

    @property
    def levels(self) -> int:
        """Levels of all random terms together."""
        return sum(self.info.solution.products.levels)

    def boundary(self) -> list[tuple[int, int, bool]]:
        """Random term and effect of all that is on the boundary, and whether its variance is 0.

        The others are multiples of the effects before them.
        """
        return [
            (block, row, all(x == 0 for x in factor.table()[row]))
            for block, factor in enumerate(self.info.factors)
            for row in self.info.face.dependent(block)
        ]

    def estimate(self, row: np.ndarray) -> tuple[float, float]:
        """A contrast (p,) and its standard error, the variances taken as known."""
        with ctx.workprec(BITS):
            variance = self.effects.covariance(row[None])[0, 0]
            return float(self.effects.values(row[None])[0, 0]), _number(variance.sqrt())

    def kenward_roger(self, row: np.ndarray, *, held: bool = False) -> tuple[float, float]:
        """Standard error and degrees of freedom of a contrast (p,) by Kenward and Roger."""
        way = self.held if held else self.kenward
        with ctx.workprec(BITS):
            return _number(way.covariance(row[None])[0, 0].sqrt()), _number(way.t_df(row))

    def satterthwaite(self, row: np.ndarray) -> float:
        """Degrees of freedom of a contrast (p,) by Satterthwaite, along the optimum's face."""
        with ctx.workprec(BITS):
            return _number(self.satter.t_df(row))

    def f(self, way: str, L: np.ndarray) -> tuple[float, float]:
        """F of L beta = 0 and its denominator's df: ``"kenward-roger"`` or ``"satterthwaite"``."""
        chosen = self.kenward if way == "kenward-roger" else self.satter
        with ctx.workprec(BITS):
            statistic, df = chosen.f(L)
            return _number(statistic), _number(df)

    def profile(self, k: int, level: float) -> Profiled:
        """Profile interval of one fixed effect."""
        design = self.design
        factors = [
            np.array([[float(x) for x in row] for row in factor.tolist()])
            for factor in self.info.factors
        ]
        return profiled(
            design.y, design.X, _blocks(design), k,
            factors=factors, level=level, weights=design.weights,
        )  # fmt: skip


def _number(ball: arb) -> float:
    """The midpoint of a ball that is narrow."""
    if not ball.rad() <= CERTAIN * abs(ball.mid()):
        raise NotProvedError(f"its enclosure, {ball.str(5)}, is too wide")
    return float(ball)


def _blocks(design: Design) -> list[RandomBlock]:
    return [RandomBlock(block.codes, block.Z) for block in design.blocks]


def information_at_optimum(design: Design, model: CertifiedModel | None = None) -> Information:
    """Sum up what is known of the variances at the certified optimum, in balls.

    Parameters
    ----------
    design : Design
    model : CertifiedModel, optional
        Of the same design, where it is there already.

    Raises
    ------
    DegenerateModelError
        Where the criterion has no optimum.
    UnavailableError
        Where the model has more parameters than can be handled.
    """
    model = model or certified_model(design)
    products = cross_products(
        design.y, design.X, _blocks(design), weights=design.weights, bits=2 * BITS
    )
    with ctx.workprec(BITS):
        factors = _factors(products, _theta(model))
        solution = solve(products, [t * t.transpose() for t in factors])
        face = Face(products.sizes, tuple(_pivots(t) for t in factors))
        return information(solution, factors, face, reml=design.spec.method == "REML")


def _theta(model: CertifiedModel) -> list[arb]:
    """lme4's theta as balls."""
    if isinstance(model, InterceptModel):
        rho = model.found.rho
        return [rho.sqrt() if rho > 0 else arb(0)]
    return list(model.found.theta.entries())  # type: ignore[attr-defined]  # a GeneralModel


def _factors(products: CrossProducts, theta: list[arb]) -> list[arb_mat]:
    factors = [arb_mat(q, q) for q in products.sizes]
    at = zip(lower_triangle(products.sizes), units(products).tolist(), theta, strict=True)
    for p, unit, value in at:
        factors[p.block][p.row, p.column] = value * unit
    return factors


def _pivots(factor: arb_mat) -> tuple[int, ...]:
    """Rows that are independent: the first of each column of T that is not 0 exactly."""
    columns = zip(*factor.tolist(), strict=True)
    first = (next((i for i, x in enumerate(c) if x != 0), None) for c in columns)
    return tuple(row for row in first if row is not None)
