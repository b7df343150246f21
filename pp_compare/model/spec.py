"""What is fitted: the fixed part, the random terms, the criterion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Method = Literal["REML", "ML"]
Term = tuple[str, ...]
"""A product of variables, each written as in the formula: ``("x",)``, ``("x", "C(z)")``. A column
goes by its bare name; one whose name is itself an expression keeps its backticks."""


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

    Made by `pp_compare.model.formula.parse_formula` from the grammar of lme4.

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
    offset : tuple of str
        Variables whose sum is taken from the response before anything is fitted.
    weights : str, optional
        Column of prior weights: the residual variance of row i is ``sigma^2 / w_i``.
    """

    formula: str
    response: str
    intercept: bool
    fixed: tuple[Term, ...]
    random: tuple[RandomTerm, ...]
    method: Method = "REML"
    offset: tuple[str, ...] = ()
    weights: str | None = None

    @property
    def is_random_intercept(self) -> bool:
        """True for exactly one random intercept and nothing else random."""
        return len(self.random) == 1 and self.random[0].intercept and not self.random[0].terms

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the grouping factors, each once, in the order of the formula."""
        return tuple(dict.fromkeys(term.group_name for term in self.random))
