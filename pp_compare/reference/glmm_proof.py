"""The certificate and the values of a generalised mixed model: Krawczyk's box about its maximum.

As ``general_proof``: the point to some 30 digits, a box wide enough for its rounding, and the
inverse of the information to 17 digits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from flint import arb, arb_mat, ctx

from pp_compare.certified.glmm.model import GlmmModel
from pp_compare.certified.glmm.optimum import glmm_optimum
from pp_compare.errors import PPCompareError
from pp_compare.model.design import Block
from pp_compare.reference.decimals import decimals, fraction, rounded
from pp_compare.reference.values import Value, covariance_rows, table_of

BITS = 192
"""Of whoever checks: a box of 1e-32, and what sums over hundreds of random effects take."""
BOX = Fraction(1, 10**32)
"""Radius of the box, in units of the standard error of a coordinate."""
DIGITS = 40
"""Of each coordinate that the core is asked for, in the same unit."""


@dataclass(frozen=True, eq=False)
class Maximum:
    """A proved maximum.

    Attributes
    ----------
    loglik : arb
    at : (t, 1) arb_mat
        Fixed effects, and the entries of the covariance factors.
    covariance : (f, f) arb_mat
        The inverse of the information in the coordinates that are not held at 0.
    zero : tuple of int
        Places of standard deviations that are 0.
    """

    loglik: arb
    at: arb_mat
    covariance: arb_mat
    zero: tuple[int, ...]

    @property
    def free(self) -> list[int]:
        """Places that are not held at 0."""
        return [i for i in range(self.at.nrows()) if i not in self.zero]


def proved_maximum(model: GlmmModel, definition: str) -> Maximum:
    """The maximum to `DIGITS` digits.

    Raises
    ------
    PPCompareError
        Where nothing is proved.
    """
    near = model.found(definition)
    if near.claim == "none" or near.at is None:
        raise PPCompareError(f"nothing is proved: {near.reason}")
    start = np.array([float(x.mid()) for x in near.at.entries()])
    criterion = model.criterion(definition)
    found = glmm_optimum(criterion, [start], digits=DIGITS)
    if found.claim == "none" or found.at is None or found.loglik is None:
        raise PPCompareError(f"nothing is proved to {DIGITS} digits: {found.reason}")
    with ctx.workprec(BITS):
        _, hessian = criterion.derivatives(found.at)
        free = [i for i in range(found.at.nrows()) if i not in found.fixed_at_zero]
        information = arb_mat([[hessian[i, j] for j in free] for i in free])
        return Maximum(found.loglik, found.at, information.inv(), found.fixed_at_zero)


def glmm_certificate(found: Maximum) -> dict[str, Any]:
    """What a proof needs."""
    with ctx.workprec(BITS):
        free, inverse = found.free, found.covariance.tolist()
        errors = [row[k].sqrt() for k, row in enumerate(inverse)]
        radius = [rounded(fraction(error) * BOX, 1) for error in errors]
        places = zip(free, radius, strict=True)
        return {
            "proof": "krawczyk",
            "bits": BITS,
            "zero": list(found.zero),
            "point": [_within(fraction(found.at[i, 0]), Fraction(r)) for i, r in places],
            "radius": radius,
            "preconditioner": [[rounded(x, 17) for x in row] for row in inverse],
        }


def _within(value: Fraction, radius: Fraction) -> str:
    """A coordinate to within a thousandth of its radius."""
    digits = 4
    while abs(value) > radius * 10 ** (digits - 4):
        digits += 1
    return rounded(value, digits)


def glmm_values(model: GlmmModel, found: Maximum) -> dict[str, dict[str, list[str]]]:
    """The tables of an item."""
    with ctx.workprec(BITS):
        return {name: table_of(list(rows)) for name, rows in _quantities(model, found)}


def glmm_optimum_record(found: Maximum) -> dict[str, Any]:
    """Where it is, and how deep."""
    with ctx.workprec(BITS):
        errors = iter([found.covariance[k, k].sqrt() for k in range(found.covariance.nrows())])
        units = [arb(1) if i in found.zero else next(errors) for i in range(found.at.nrows())]
        places = zip(found.at.entries(), units, strict=True)
        where = [list(decimals(x, unit)) for x, unit in places]
        return {"position": where, "deviance": list(decimals(-2 * found.loglik, arb(1)))}


def _quantities(model: GlmmModel, found: Maximum) -> Iterator[tuple[str, Iterator[Value]]]:
    design, one, cov = model.design.design, arb(1), found.covariance
    labels = design.labels
    beta = found.at.entries()[: len(labels)]
    errors = [cov[k, k].sqrt() for k in range(len(labels))]
    yield "deviance", iter([("", "", -2 * found.loglik, one)])
    yield "loglik", iter([("", "", found.loglik, one)])
    yield "beta", ((k, "", b, se) for k, b, se in zip(labels, beta, errors, strict=True))
    yield "beta_se", ((k, "", se, se) for k, se in zip(labels, errors, strict=True))
    yield "beta_cov", covariance_rows(labels, cov, errors)
    factors = list(_factors(design.blocks, found.at.entries()[len(labels) :]))
    for group in design.group_levels:
        own = [(b, T) for b, T in zip(design.blocks, factors, strict=True) if b.group == group]
        yield f"random_cov[{group}]", (row for b, T in own for row in _covariance(b, T))


def _factors(blocks: Sequence[Block], theta: Sequence[arb]) -> Iterator[arb_mat]:
    values = iter(theta)
    for block in blocks:
        q = len(block.columns)
        factor = arb_mat(q, q)
        for j in range(q):
            for i in range(j, q):
                factor[i, j] = next(values)
        yield factor


def _covariance(block: Block, factor: arb_mat) -> Iterator[Value]:
    """Elements in units of standard deviations; of 1, on the scale of the link, where that is 0."""
    G = factor * factor.transpose()
    sizes = [G[i, i].sqrt() if G[i, i] > 0 else arb(1) for i in range(G.nrows())]
    yield from covariance_rows(block.labels, G, sizes)
