"""Other columns of Z for the same random effects: Z B with G replaced by B^-1 G B'^-1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from flint import arb_mat
from numpy.typing import NDArray

from pp_compare.certified.components.component import Component
from pp_compare.certified.equations.crossproducts import CrossProducts

Floats = NDArray[np.float64]


def level_basis(products: CrossProducts, term: int) -> Floats:
    """B with B' (mean of Z_l'Z_l) B = I, in doubles."""
    q, count = products.sizes[term], 0
    total: Floats = np.zeros((q, q))
    for stratum in products.strata:
        starts = zip(stratum.blocks, products.offsets(stratum), strict=True)
        for at in [start for block, start in starts if block == term]:
            for c in stratum.components:
                block = [float(c.zz[at + i, at + j]) for i in range(q) for j in range(q)]
                total, count = total + np.array(block).reshape(q, q), count + 1
    return np.asarray(np.linalg.inv(np.linalg.cholesky(total / count)).T)


def turned(products: CrossProducts, bases: Sequence[Floats]) -> CrossProducts:
    """The same model with Z B for Z."""

    def turn(c: Component) -> Component:
        B, at = arb_mat(c.zz.nrows(), c.zz.nrows()), 0
        for term, _ in c.levels:
            for i, row in enumerate(bases[term].tolist()):
                for j, value in enumerate(row):
                    B[at + i, at + j] = value
            at += products.sizes[term]
        Bt = B.transpose()
        return replace(c, zz=Bt * c.zz * B, zf=Bt * c.zf)

    strata = tuple(replace(s, components=tuple(map(turn, s.components))) for s in products.strata)
    return replace(products, strata=strata)
