"""A fit that somebody made, and the model that it is a fit of."""

from __future__ import annotations

from dataclasses import dataclass

from pp_compare.model import Fit
from pp_compare.model.design import Design


@dataclass(frozen=True, eq=False)
class FittedModel:
    """A fit in hand with its design.

    Parameters
    ----------
    design : Design
        Rows, matrices, formula and criterion, recovered from the object and held against it.
    fit : Fit
        The object's own numbers under the design's labels; nothing is fitted again.
    source : str
        What was read, in a few words: ``MixedLMResults of statsmodels 0.15.0``.
    notes : tuple of str
        What had to be done to read it, and what it does not tell, each in a sentence.
    """

    design: Design
    fit: Fit
    source: str
    notes: tuple[str, ...] = ()
