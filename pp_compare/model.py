"""The records everything else is made of: Dataset, ModelSpec, Quantity, Fit. No input or output.

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

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

Method = Literal["REML", "ML"]
Status = Literal["ok", "error", "unsupported"]
Term = tuple[str, ...]
"""A product of variables, each written as in the formula: ``("x",)``, ``("x", "C(z)")``."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """A table of observations, as read, with where it comes from.

    Parameters
    ----------
    name : str
        Short name, used in reports and file names.
    frame : pandas.DataFrame
        One row an observation. Not to be changed after the Dataset is made.
    provenance : str
        Where the data come from, in one line.
    """

    name: str
    frame: pd.DataFrame
    provenance: str = ""

    def sha256(self) -> str:
        """Checksum of the table as exact CSV (`exact_csv`)."""
        return hashlib.sha256(self.exact_csv().encode()).hexdigest()

    def exact_csv(self) -> str:
        """The table as CSV in which every double reads back to the same bits.

        `repr` of a Python float is the shortest decimal that does so (David Gay's algorithm).
        """
        return self.frame.to_csv(index=False, float_format=_shortest, lineterminator="\n")


def _shortest(x: Any) -> str:
    """Numpy's own `repr` says np.float64(...)."""
    return repr(float(x))


@dataclass(frozen=True)
class RandomTerm:
    """Correlated random effects of one grouping factor: lme4's ``(terms | group)``.

    Two terms with the same group are uncorrelated with each other, which is how lme4 reads
    ``(x || g)``: ``(1 | g) + (0 + x | g)``.

    Parameters
    ----------
    group : tuple of str
        Columns whose interaction is the grouping factor; ``("a", "b")`` is lme4's ``a:b``.
    intercept : bool
        Whether the random effects include an intercept.
    terms : tuple of Term
        The random slopes.
    """

    group: tuple[str, ...]
    intercept: bool
    terms: tuple[Term, ...] = ()

    @property
    def group_name(self) -> str:
        """The grouping factor as lme4 names it, ``a`` or ``a:b``."""
        return ":".join(self.group)


@dataclass(frozen=True)
class ModelSpec:
    """A linear mixed model: response, fixed part, random terms, and the criterion.

    Made by `pp_compare.formula.parse_formula` from the grammar of lme4.

    Parameters
    ----------
    formula : str
        What was typed.
    response : str
    intercept : bool
        Whether the fixed part has an intercept.
    fixed : tuple of Term
    random : tuple of RandomTerm
    method : {"REML", "ML"}
    """

    formula: str
    response: str
    intercept: bool
    fixed: tuple[Term, ...]
    random: tuple[RandomTerm, ...]
    method: Method = "REML"

    @property
    def is_random_intercept(self) -> bool:
        """True for exactly one random intercept and nothing else random."""
        return len(self.random) == 1 and self.random[0].intercept and not self.random[0].terms

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the grouping factors, each once, in the order of the formula."""
        return tuple(dict.fromkeys(term.group_name for term in self.random))


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


@dataclass(frozen=True, eq=False)
class Fit:
    """What an engine answered to one model on one data set.

    Parameters
    ----------
    engine : str
        Engine id, with its setting: ``statsmodels:lbfgs``.
    status : {"ok", "error", "unsupported"}
    quantities : mapping of str to Quantity
        By name; empty unless `status` is ``"ok"``.
    converged : bool or None
        What the engine says of itself; None where it does not say.
    singular : bool or None
        Whether the random-effects covariance is on the boundary, by the engine's own word.
    messages : tuple of str
        Its warnings and messages, or the reason for an error, in its own words.
    settings : mapping of str to str
        What was asked of it beyond its defaults.
    versions : mapping of str to str
        Of the packages that did the work.
    seconds : float
        Wall time inside the engine's own public functions.
    design_error : float or None
        Largest difference between the engine's own response and model matrix, aligned by label,
        and ours; nan where their labels differ; None where the engine has none of its own.
    estimator : str
        What the engine solves where that is not the (restricted) maximum of the likelihood, as in
        "Swamy-Arora's moments"; its estimates are then another definition, not another optimum.
    not_given : mapping of str to str
        Kinds of quantities (``blup``) that the engine has no answer for, with the reason.
    extra : mapping
        What only this engine knows (certified: the local optima and what is proved).
    """

    engine: str
    status: Status
    quantities: Mapping[str, Quantity] = field(default_factory=dict)
    converged: bool | None = None
    singular: bool | None = None
    messages: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    design_error: float | None = None
    estimator: str = ""
    not_given: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, object] = field(default_factory=dict)

    def __getitem__(self, name: str) -> np.ndarray:
        """Values of the quantity `name`; KeyError where the engine did not give it."""
        return self.quantities[name].values

    @property
    def covariances(self) -> dict[str, np.ndarray]:
        """Covariance of the random effects, shape (q, q), by grouping factor."""
        found = {n.partition("["): q.values for n, q in self.quantities.items()}
        return {group[:-1]: cov for (kind, _, group), cov in found.items() if kind == "random_cov"}

    @classmethod
    def failed(cls, engine: str, reason: str, **fields: object) -> Fit:
        """A Fit for an engine that raised, crashed or ran out of time."""
        return cls(engine, "error", messages=(reason,), **fields)  # type: ignore[arg-type]  # fields are Fit's own, by name

    @classmethod
    def unsupported(cls, engine: str, reason: str) -> Fit:
        """A Fit for an engine that cannot express the model, with the reason."""
        return cls(engine, "unsupported", messages=(reason,))
