"""From the proof of a local optimum to that of the global one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pp_compare.certified.components.blocks import RandomBlock
from pp_compare.certified.cover.all_free import all_free
from pp_compare.certified.cover.neighbourhood import Neighbourhood
from pp_compare.certified.cover.proof import Cover, covered, unsuited
from pp_compare.certified.general.proved import GeneralOptimum

Floats = NDArray[np.float64]


def extended(
    found: GeneralOptimum,
    y: Floats,
    X: Floats,
    blocks: Sequence[RandomBlock],
    *,
    reml: bool,
    weights: Floats | None = None,
    seconds: float = 60.0,
) -> Cover:
    """Try to prove that a local optimum is the global one.

    Parameters
    ----------
    found : GeneralOptimum
        Of the same data and criterion.
    y, X, blocks, weights, reml
        As in ``general_optimum``.
    seconds : float
        At most; a batch of cells, up to about a second, is finished.

    Returns
    -------
    Cover
        ``complete`` where the claim is global; otherwise how far it came, and why no further.
    """
    products = found.point.solution.products
    reason = "nothing is proved locally" if found.claim != "local" else unsuited(products)
    face, factors = found.point.face, found.point.factors
    near = None if reason else Neighbourhood.around(products, face, factors, reml=reml)
    if near is None:
        return Cover(False, 0.0, 0, 0.0, reason or "no neighbourhood of the optimum is proved")
    least = all_free(y, X, blocks, weights)
    return covered(products, near, found.deviance, least, reml=reml, seconds=seconds)
