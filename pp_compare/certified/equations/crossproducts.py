"""Exact cross-products of a linear mixed model, split into independent components.

A criterion of a mixed model sees its data through Z'Z, Z'X, Z'y, X'X, X'y and y'y alone; these
hold no rounding error here. Across components (see ``blocks``) the marginal covariance is zero, so
a model with one grouping factor becomes many small systems and a crossed one stays whole, with no
case distinction anywhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from flint import arb, arb_mat, ctx
from numpy.typing import NDArray

from pp_compare.certified.components.blocks import RandomBlock
from pp_compare.certified.components.component import Stratum, part
from pp_compare.certified.components.exact_sums import FixedSums, strata
from pp_compare.certified.components.integer_columns import IntegerColumn
from pp_compare.certified.equations.krawczyk import NotProvedError, cholesky
from pp_compare.errors import DataError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Coordinates:
    """The exact change of coordinates in which a model is well conditioned.

    Fixed effects are expressed in the columns X W, the response as (y - X b) / 2^e, and column j
    of a random term as z_j / 2^(s_j): W = ``basis`` (p, p), upper triangular, and b = ``shift``
    (p, 1) are those of ordinary least squares, rounded, so that X'X is nearly I and y nearly its
    OLS residual; e = ``y_exponent`` and s = ``z_exponents`` bring y and Z near unit size.
    """

    basis: arb_mat
    shift: arb_mat
    y_exponent: int
    z_exponents: tuple[tuple[int, ...], ...]

    @property
    def of_fixed(self) -> arb_mat:
        """What [X y] is multiplied by, (p + 1, p + 1)."""
        unit, p = arb(2) ** -self.y_exponent, self.basis.nrows()
        shift = (self.shift * unit).entries()
        rows = [[*row, -b] for row, b in zip(self.basis.table(), shift, strict=True)]
        return arb_mat([*rows, [arb(0)] * p + [unit]])


@dataclass(frozen=True)
class CrossProducts:
    """A mixed model of n rows as its cross-products in ``coordinates``.

    ``sizes`` and ``levels`` are q and m of each random term; ``xx`` (p, p), ``xy`` (p, 1), ``yy``;
    ``log_weights`` is the sum of the logarithms of the prior weights, 0 without any.
    """

    n: int
    sizes: tuple[int, ...]
    levels: tuple[int, ...]
    strata: tuple[Stratum, ...]
    xx: arb_mat
    xy: arb_mat
    yy: arb
    coordinates: Coordinates
    log_weights: arb

    @property
    def p(self) -> int:
        """The number of fixed effects."""
        return self.xx.nrows()

    def offsets(self, stratum: Stratum) -> list[int]:
        """Where each level of a component begins among its coefficients."""
        widths = [self.sizes[block] for block in stratum.blocks]
        return [sum(widths[:i]) for i in range(len(widths))]


def cross_products(
    y: Floats,
    X: Floats,
    blocks: Sequence[RandomBlock],
    *,
    weights: Floats | None = None,
    bits: int = 512,
) -> CrossProducts:
    """Form the exact cross-products of a model and move them to good coordinates.

    Parameters
    ----------
    y : (n,) float64 array
    X : (n, p) float64 array
        Linearly independent columns; p may be 0.
    blocks : sequence of RandomBlock
        One per random term; terms on the same factor are uncorrelated.
    weights : (n,) float64 array, optional
        Prior weights, positive: the products are Z'WZ, Z'WX and so on, which are those of rows
        scaled by the roots of the weights, without the rounding of a root.
    bits : int
        Precision of the change of coordinates; raised by itself where X needs more.

    Raises
    ------
    DataError
        If shapes disagree, a value is not finite, X has linearly dependent columns (decided
        exactly), or y is an exact linear combination of the columns of X.
    """
    _check(y, X, blocks)
    heavy = None if weights is None else IntegerColumn.of(weights)
    fixed = FixedSums.of(y, X, heavy)
    fixed.require_identified()
    while True:
        try:
            with ctx.workprec(bits):
                return _in_good_coordinates(fixed, blocks, len(y), weights)
        except NotProvedError:
            # The columns are independent in exact arithmetic, so enough precision shows it.
            bits *= 2


def _in_good_coordinates(
    fixed: FixedSums, blocks: Sequence[RandomBlock], n: int, weights: Floats | None
) -> CrossProducts:
    full = fixed.matrix()
    p = full.nrows() - 1
    xx, xy, yy = part(full, 0, p, 0, p), part(full, 0, p, p, 1), full[p, p]
    basis = cholesky(xx).inv().transpose().mid()
    shift = (basis * (basis.transpose() * xy)).mid()
    gap = xy - xx * shift
    rss = yy - (shift.transpose() * (xy + gap)).trace()
    if not rss > 0:
        raise NotProvedError("the residual sum of squares is not yet certainly positive")
    coordinates = Coordinates(
        basis=basis,
        shift=shift,
        y_exponent=round(float((rss / n).log() / arb(4).log())),
        z_exponents=tuple(tuple(_binary_size(z) for z in block.Z.T) for block in blocks),
    )
    unit = arb(2) ** -coordinates.y_exponent
    return CrossProducts(
        n=n,
        sizes=tuple(block.size for block in blocks),
        levels=tuple(block.levels for block in blocks),
        strata=strata(fixed, blocks, coordinates.z_exponents, coordinates.of_fixed),
        xx=basis.transpose() * xx * basis,
        xy=basis.transpose() * gap * unit,
        yy=rss * unit**2,
        coordinates=coordinates,
        log_weights=sum((arb(w).log() for w in (weights if weights is not None else ())), arb(0)),
    )


def _binary_size(z: Floats) -> int:
    """Return s such that z / 2^s has a root mean square near one."""
    if not z.any():
        return 0
    largest = np.abs(z).max()
    return round(float(np.log2(largest) + np.log2(np.mean((z / largest) ** 2)) / 2))


def _check(y: Floats, X: Floats, blocks: Sequence[RandomBlock]) -> None:
    n = len(y)
    if X.ndim != 2 or X.shape[0] != n or n <= X.shape[1]:
        raise DataError(f"X is {X.shape} and y has {n} rows; X needs {n} rows and fewer columns.")
    if not blocks:
        raise DataError("A mixed model needs at least one random term; none was given.")
    for i, block in enumerate(blocks, start=1):
        if block.group.shape != (n,) or block.Z.ndim != 2 or block.Z.shape[0] != n:
            raise DataError(
                f"Random term {i} has group {block.group.shape} and Z {block.Z.shape}; "
                f"both need the {n} rows of y."
            )
        if block.group.min() < 0:
            raise DataError(
                f"Random term {i} has group code {block.group.min()}; codes start at 0."
            )
    if not all(np.isfinite(a).all() for a in (y, X, *(b.Z for b in blocks))):
        raise DataError("y, X or Z holds a NaN or an infinity; drop those rows first.")
