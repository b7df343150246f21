"""Numbers as they are printed, before anything is known of the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pp_compare.fitted.numbers import Number
from pp_compare.model import Method

Kind = Literal[
    "beta",
    "beta_se",
    "statistic",
    "p_t",
    "p_z",
    "lower",
    "upper",
    "beta_corr",
    "random_variance",
    "random_sd",
    "random_cov",
    "random_corr",
    "sigma2",
    "sigma",
    "criterion",
    "loglik",
    "aic",
    "bic",
    "residual",
    "n_obs",
    "n_groups",
    "group_size",
    "quantity",
]


@dataclass(frozen=True)
class Printed:
    """One number of a printout.

    Parameters
    ----------
    kind : str
        What it is (`Kind`).
    labels : tuple of str
        The printout's own labels, or positions for what is printed without.
    number : Number
    place : str
        Where it stands, in words.
    """

    kind: Kind
    labels: tuple[str, ...]
    number: Number
    place: str


@dataclass(frozen=True)
class Printout:
    """A whole printout.

    Parameters
    ----------
    program : {"lme4", "nlme", "statsmodels"}
    method : {"REML", "ML"}
    formula : str or None
        In lme4's grammar, where the printout says it.
    numbers : tuple of Printed
    unchecked : tuple of str
        Numbers that are shown and of which nothing here says what they should be.
    converged : bool or None
        By its own word.
    """

    program: Literal["lme4", "nlme", "statsmodels"]
    method: Method
    formula: str | None
    numbers: tuple[Printed, ...]
    unchecked: tuple[str, ...] = ()
    converged: bool | None = None
