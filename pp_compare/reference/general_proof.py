"""The certificate of a local claim: Krawczyk's box about each optimum that is known.

The point is theta to some 35 digits, the box wide enough for its rounding, and the preconditioner
the inverse of the Hessian there to 17 digits: any that is near enough proves the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations, product
from typing import Any

from flint import arb, arb_mat, ctx

from pp_compare.certified.general.blocks import RandomBlock
from pp_compare.certified.general.crossproducts import CrossProducts, cross_products
from pp_compare.certified.general.curvature import derivatives
from pp_compare.certified.general.face import Face
from pp_compare.certified.general.mixed_equations import solve
from pp_compare.certified.general.optimum import GeneralOptimum
from pp_compare.certified.general.parametrisation import lower_triangle
from pp_compare.errors import PPCompareError
from pp_compare.model.design import Design
from pp_compare.reference.decimals import fraction, rounded

BITS = 384
"""Of whoever checks: a box of 1e-28 asks for a hundred, squares of unlike columns for more."""
BOX = Fraction(1, 10**26)
"""Radius of the box, in units of the standard deviation that the curvature gives a coordinate."""


def general_certificate(design: Design, found: GeneralOptimum) -> dict[str, Any]:
    """What a proof of the best optimum needs.

    Raises
    ------
    PPCompareError
        Where the claim is "none".
    """
    if found.claim == "none":
        raise PPCompareError(f"nothing is proved of {design.spec.formula}: {found.reason}")
    blocks = [RandomBlock(block.codes, block.Z) for block in design.blocks]
    reml = design.spec.method == "REML"
    products = cross_products(design.y, design.X, blocks, bits=2 * BITS)
    with ctx.workprec(BITS):
        face, factors = _on_face(products.sizes, found)
        point = _point(products, face, factors, reml)
    return {"proof": "krawczyk", "bits": BITS, "points": [point]}


def _on_face(sizes: Sequence[int], found: GeneralOptimum) -> tuple[Face, list[arb_mat]]:
    """The face whose free entries are those of theta's box, and the factors on it."""
    factors = [arb_mat(q, q) for q in sizes]
    free = set()
    for i, p in enumerate(lower_triangle(sizes)):
        factors[p.block][p.row, p.column] = found.theta[i, 0]
        if found.box[i, 0].rad() > 0:
            free.add(p)
    choices = [combinations(range(q), rank) for q, rank in zip(sizes, found.ranks, strict=True)]
    for pivots in product(*choices):
        face = Face(tuple(sizes), pivots)
        signed = [_signed(t, k) for t, k in zip(factors, pivots, strict=True)]
        certain = all(
            t[row, j] > 0 for t, k in zip(signed, pivots, strict=True) for j, row in enumerate(k)
        )
        if certain and set(face.parameters) == free:
            return face, signed
    raise PPCompareError("theta lies on no face that its box allows")


def _signed(factor: arb_mat, pivots: Sequence[int]) -> arb_mat:
    """The factor with each column's pivot positive."""
    result = arb_mat(factor)
    for j, row in enumerate(pivots):
        if result[row, j] < 0:
            for i in range(result.nrows()):
                result[i, j] = -result[i, j]
    return result


def _point(
    products: CrossProducts, face: Face, factors: Sequence[arb_mat], reml: bool
) -> dict[str, Any]:
    free = face.parameters
    values = [factors[p.block][p.row, p.column] for p in free]
    point = {"pivots": [list(k) for k in face.pivots], "theta": [], "radius": []}
    if not free:
        return {**point, "preconditioner": []}
    inverse = _inverse_hessian(products, face, values, reml)
    sizes = [inverse[k, k].sqrt() for k in range(len(free))]
    radius = [rounded(fraction(s) * BOX, 1) for s in sizes]
    theta = [_within(fraction(v), Fraction(r)) for v, r in zip(values, radius, strict=True)]
    rows = [[rounded(x, 17) for x in row] for row in inverse.tolist()]
    return {**point, "theta": theta, "radius": radius, "preconditioner": rows}


def _within(value: Fraction, radius: Fraction) -> str:
    """A coordinate to within a thousandth of its radius; what lies so near to 0 is 0."""
    if abs(value) < radius / 1000:
        return "0"
    digits = 4
    while abs(value) > radius * 10 ** (digits - 4):
        digits += 1
    return rounded(value, digits)


def _inverse_hessian(
    products: CrossProducts, face: Face, values: Sequence[arb], reml: bool
) -> arb_mat:
    """In the coordinates of theta, from the scaled ones of the cross-products."""
    units = [arb(2) ** products.coordinates.z_exponents[p.block][p.row] for p in face.parameters]
    x = arb_mat([[v.mid() * u] for v, u in zip(values, units, strict=True)])
    factors = face.factors(x)
    solution = solve(products, [t * t.transpose() for t in factors])
    _, hessian = derivatives(solution, factors, face.parameters, reml)
    inverse = hessian.inv()
    n = len(units)
    return arb_mat([[inverse[i, j] / units[i] / units[j] for j in range(n)] for i in range(n)])
