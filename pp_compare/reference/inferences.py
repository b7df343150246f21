"""Tests of the fixed effects of an item: standard errors and degrees of freedom as decimals.

By definition id as in ``docs/how-to/tests-and-intervals.md``. A definition that does not certainly
hold for all fixed effects, the expected information being singular say, has no table.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import numpy as np
from flint import arb, arb_mat, ctx

from pp_compare.certified.components.blocks import RandomBlock
from pp_compare.certified.equations.crossproducts import CrossProducts, cross_products
from pp_compare.certified.equations.krawczyk import NotProvedError
from pp_compare.certified.equations.mixed_equations import solve
from pp_compare.certified.general.approximations import FixedEffects, KenwardRoger, Satterthwaite
from pp_compare.certified.general.face import Face
from pp_compare.certified.general.information import Information, information
from pp_compare.certified.models import InterceptModel
from pp_compare.model.design import Design
from pp_compare.reference.general_proof import BITS, Refined
from pp_compare.reference.values import Value, table_of

Tables = dict[str, dict[str, dict[str, list[str]]]]


def inferences_of(info: Information, labels: tuple[str, ...], unit: arb) -> Tables:
    """Tables by definition and quantity.

    Parameters
    ----------
    info : Information
        At the optimum, its precision `BITS`.
    labels : tuple of str
        Of the fixed effects.
    unit : arb
        What one unit of the response in `info` is in the item's.
    """
    with ctx.workprec(BITS):
        effects = FixedEffects(info)
        rows = dict(zip(labels, np.eye(len(labels)), strict=True))
        satterthwaite, kenward = Satterthwaite(effects), KenwardRoger(effects)
        face = "satterthwaite-face" if info.face.singular else "satterthwaite"
        found: Tables = {}
        try:
            if info.reml:
                found["kenward-roger"] = {
                    "beta_se": table_of(list(_errors(kenward, rows, unit))),
                    "df": table_of([_df(k, kenward.t_df(row)) for k, row in rows.items()]),
                }
        except NotProvedError:
            pass
        try:
            lines = [_df(k, satterthwaite.t_df(row)) for k, row in rows.items()]
            found[face] = {"df": table_of(lines)}
        except NotProvedError:
            pass
        return found


def _errors(kenward: KenwardRoger, rows: dict[str, np.ndarray], unit: arb) -> Iterator[Value]:
    for label, row in rows.items():
        se = kenward.covariance(row[None])[0, 0].sqrt() * unit
        yield label, "", se, se


def _df(label: str, df: arb) -> Value:
    return label, "", df, df


def information_of_general(point: Refined) -> Information:
    """What is known of the variances at a refined optimum."""
    with ctx.workprec(BITS):
        factors = point.factors
        solution = solve(point.products, [t * t.transpose() for t in factors])
        return information(solution, factors, point.face, reml=point.reml)


def information_of_intercept(
    design: Design, model: InterceptModel, *, decimals: bool
) -> tuple[Information, arb]:
    """The same of one random intercept, and what a unit of its response is in the item's.

    Decimals become whole numbers in a unit of their last place, which doubles hold.
    """
    y, places = _whole(design.y) if decimals else (design.y, 0)
    blocks = [RandomBlock(block.codes, block.Z) for block in design.blocks]
    products = cross_products(y, design.X, blocks, bits=2 * BITS)
    with ctx.workprec(BITS):
        factor = _factor(products, model.found.rho)
        face = Face((1,), ((0,) if factor[0, 0] > 0 else (),))
        solution = solve(products, [factor * factor.transpose()])
        info = information(solution, [factor], face, reml=model.reml)
        return info, arb(10) ** -places


def _factor(products: CrossProducts, rho: arb) -> arb_mat:
    """T of a variance ratio, exactly 0 where that is."""
    exponent = products.coordinates.z_exponents[0][0]
    root = rho.sqrt() * arb(2) ** exponent if rho > 0 else arb(0)
    return arb_mat([[root]])


def _whole(y: np.ndarray) -> tuple[np.ndarray, int]:
    """Decimals as whole numbers of 10^-places."""
    written = [Decimal(repr(value)) for value in y.tolist()]
    places = max(-int(value.as_tuple().exponent) for value in written)
    numbers = [int(value.scaleb(places)) for value in written]
    assert max(map(abs, numbers)) < 2**53  # noqa: S101  # at most 15 digits are written
    return np.array(numbers, dtype=np.float64), places
