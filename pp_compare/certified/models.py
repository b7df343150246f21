"""One face for both certified cores: the optimum of a Design and the likelihood about it.

`certified_model(design)` picks the core: a single random intercept without prior weights has a
global proof, every other model a local one, and a global one where that is asked for and ends. All
answers are the project's own records; balls are rounded to the nearest double at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from pp_compare.certified.existence.record import Existence, existence_of
from pp_compare.certified.general_model import GeneralModel
from pp_compare.certified.intercept.degenerate import DegenerateModelError
from pp_compare.certified.intercept.statistics import InterceptStatistics
from pp_compare.certified.intercept_model import InterceptModel
from pp_compare.certified.optima import CertifiedModel, LocalOptimum, Optimum
from pp_compare.model.design import Design


def certified_model(
    design: Design, starts: Sequence[np.ndarray] = (), *, seconds: float = 0.0
) -> CertifiedModel:
    """Certify the optimum of a model.

    Parameters
    ----------
    design : Design
    starts : sequence of (t,) arrays
        Further starts of the search, in lme4's theta.
    seconds : float
        For the proof that a local optimum is the global one; none is tried by default. One random
        intercept is global at once.

    Raises
    ------
    DegenerateModelError
        Where the criterion has no optimum: the message says why.
    DataError
        Where the general core cannot take the model.

    Notes
    -----
    Where only some quantities are identified the optimum has those alone, and ``existence`` of the
    model says why.
    """
    if design.spec.is_random_intercept and design.weights is None:
        return InterceptModel(design)
    return GeneralModel(design, starts, seconds=seconds)


def decimal_model(design: Design) -> CertifiedModel:
    """Certify the optimum for the decimals that the doubles were read from.

    A response with at most 15 significant digits is what `repr` of its double prints.

    Raises
    ------
    DegenerateModelError
        Where the criterion has no optimum.
    """
    written = [Fraction(repr(y)) for y in design.y.tolist()]
    columns = [[Fraction(repr(x)) for x in row] for row in design.X.tolist()]
    codes = design.blocks[0].codes
    return InterceptModel(design, InterceptStatistics.from_rationals(written, columns, codes))


__all__ = [
    "CertifiedModel",
    "DegenerateModelError",
    "Existence",
    "GeneralModel",
    "InterceptModel",
    "LocalOptimum",
    "Optimum",
    "certified_model",
    "decimal_model",
    "existence_of",
]
