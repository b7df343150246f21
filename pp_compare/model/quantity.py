"""Labelled numbers of one kind.

Vocabulary of quantities, one name for one thing (p fixed effects, q random effects a group,
m groups, n rows):

=====================  =========  ===========================================================
name                   shape      what it is
=====================  =========  ===========================================================
``beta``               (p,)       fixed effects, in the units of the response per column
``beta_cov``           (p, p)     their covariance as the engine reports it
``beta_se``            (p,)       their standard errors as the engine reports them
``random_cov[g]``      (q, q)     covariance of the random effects of grouping factor g
``sigma``              ()         residual standard deviation (not a variance)
``loglik``             ()         log-likelihood, restricted under REML, with every constant
``blup[g]``            (m, q)     predicted random effects (conditional modes) of g
``cluster_mean[g]``    (m,)       mean over a group's rows of X beta + Z u (predicted)
``fitted``             (n,)       X beta + Z u
=====================  =========  ===========================================================

The constant of ``loglik`` is that of R's ``logLik()``: ``-(N/2) log(2 pi) - ...`` under ML,
``-((N - p)/2) log(2 pi) - ...`` under REML without the ``log|X'X|`` term of some texts. lme4,
nlme and statsmodels agree on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np


@dataclass(frozen=True, eq=False)
class Quantity:
    """Labelled numbers of one kind.

    Parameters
    ----------
    name : str
        From the vocabulary above.
    values : ndarray of float, shape (), (r,) or (r, c)
    rows, columns : tuple of str
        Labels of the axes; empty where there is no such axis.
    """

    name: str
    values: np.ndarray
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = tuple(len(labels) for labels in (self.rows, self.columns) if labels)
        values = np.array(self.values, dtype=float)
        if values.shape != shape:
            raise ValueError(f"{self.name}: values of shape {values.shape}, labels of {shape}")
        values.setflags(write=False)
        object.__setattr__(self, "values", values)

    @property
    def is_symmetric_matrix(self) -> bool:
        """True for a covariance: both axes carry the same labels."""
        return bool(self.columns) and self.rows == self.columns

    @property
    def numbers(self) -> np.ndarray:
        """The numbers of `entries`, in their order."""
        if self.is_symmetric_matrix:
            return np.asarray(self.values[np.tril_indices(len(self.rows))])
        return self.values.ravel()

    def label(self, place: int) -> str:
        """The label of the number in a place of `entries`."""
        return next(islice(self.entries(), place, None))[0]

    def numbers_as(self, other: Quantity) -> np.ndarray:
        """The numbers that have the labels of another quantity, in its order; nan for none."""
        if (self.rows, self.columns) == (other.rows, other.columns):
            return self.numbers
        found = dict(self.entries())
        return np.array([found.get(label, np.nan) for label, _ in other.entries()])

    def entries(self) -> Iterator[tuple[str, float]]:
        """Every number once with its label; of a covariance only the lower triangle."""
        if not self.rows:
            yield "", float(self.values)
        elif not self.columns:
            yield from zip(self.rows, self.values.tolist(), strict=True)
        else:
            for i, row in enumerate(self.rows):
                last = i + 1 if self.is_symmetric_matrix else len(self.columns)
                for j, column in enumerate(self.columns[:last]):
                    label = row if len(self.columns) == 1 else f"{row}, {column}"
                    yield label, float(self.values[i, j])
