"""The certificate of a local claim: Krawczyk's box about each optimum that is known.

The point is theta to some 35 digits, the box wide enough for its rounding, and the preconditioner
the inverse of the Hessian there to 17 digits: any that is near enough proves the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, product
from typing import Any

from flint import arb, arb_mat, ctx

from pp_compare.certified.components.blocks import RandomBlock
from pp_compare.certified.equations.crossproducts import CrossProducts, cross_products
from pp_compare.certified.equations.curvature import derivatives
from pp_compare.certified.equations.mixed_equations import solve
from pp_compare.certified.equations.parametrisation import lower_triangle
from pp_compare.certified.general.face import Face
from pp_compare.certified.general.proved import GeneralOptimum
from pp_compare.errors import PPCompareError
from pp_compare.model.design import Design
from pp_compare.reference.decimals import fraction, rounded

BITS = 384
"""Of whoever checks: a box of 1e-28 asks for a hundred, squares of unlike columns for more."""
BOX = Fraction(1, 10**26)
"""Radius of the box, in units of the standard deviation that the curvature gives a coordinate."""
LEFT = arb(10) ** -50
"""The same of the ball in which the optimum is after Newton's steps, which square 1e-30."""


@dataclass(frozen=True)
class Refined:
    """A proved optimum, closer than its proof needs: what the core gives is enough for doubles.

    Attributes
    ----------
    products : CrossProducts
    face : Face
    x : (t, 1) arb_mat
        The free entries of the scaled factors.
    inverse : (t, t) arb_mat
        Of the Hessian in them.
    reml : bool
    """

    products: CrossProducts
    face: Face
    x: arb_mat
    inverse: arb_mat
    reml: bool

    @property
    def factors(self) -> list[arb_mat]:
        """The scaled factors."""
        return self.face.factors(self.x)

    @property
    def units(self) -> list[arb]:
        """What one unit of theta is in scaled coordinates."""
        exponents = self.products.coordinates.z_exponents
        return [arb(2) ** exponents[p.block][p.row] for p in self.face.parameters]


def refined(design: Design, found: GeneralOptimum) -> Refined:
    """Two more steps of Newton's method; the ball is far wider than what they leave.

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
        start = [factors[p.block][p.row, p.column] for p in face.parameters]
        point = Refined(products, face, arb_mat(0, 0), arb_mat(0, 0), reml)
        if not start:
            return point
        x = arb_mat([[v.mid() * u] for v, u in zip(start, point.units, strict=True)])
        for _ in range(3):
            at = face.factors(x)
            solution = solve(products, [t * t.transpose() for t in at])
            gradient, hessian = derivatives(solution, at, face.parameters, reml)
            inverse = hessian.inv()
            x = (x - inverse * gradient).mid()
        radii = [inverse[k, k].sqrt() * LEFT for k in range(len(start))]
        ball = arb_mat([[arb(x[k, 0], r.upper())] for k, r in enumerate(radii)])
        return Refined(products, face, ball, inverse, reml)


def general_certificate(point: Refined) -> dict[str, Any]:
    """What a proof of the best optimum needs."""
    with ctx.workprec(BITS):
        return {"proof": "krawczyk", "bits": BITS, "points": [_point(point)]}


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


def _point(at: Refined) -> dict[str, Any]:
    point = {"pivots": [list(k) for k in at.face.pivots], "theta": [], "radius": []}
    n, units = at.x.nrows(), at.units
    if not n:
        return {**point, "preconditioner": []}
    values = [at.x[k, 0] / unit for k, unit in enumerate(units)]
    inverse = [[at.inverse[i, j] / units[i] / units[j] for j in range(n)] for i in range(n)]
    radius = [rounded(fraction(inverse[k][k].sqrt()) * BOX, 1) for k in range(n)]
    theta = [_within(fraction(v), Fraction(r)) for v, r in zip(values, radius, strict=True)]
    rows = [[rounded(x, 17) for x in row] for row in inverse]
    return {**point, "theta": theta, "radius": radius, "preconditioner": rows}


def _within(value: Fraction, radius: Fraction) -> str:
    """A coordinate to within a thousandth of its radius; what lies so near to 0 is 0."""
    if abs(value) < radius / 1000:
        return "0"
    digits = 4
    while abs(value) > radius * 10 ** (digits - 4):
        digits += 1
    return rounded(value, digits)
