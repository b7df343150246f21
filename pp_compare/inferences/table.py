"""What tests and intervals are recorded as: lines of one definition from one source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from scipy import special

LEVEL = 0.95
"""Of every interval."""

DEFINITIONS: Mapping[str, str] = {
    "kenward-roger": (
        "t with Kenward and Roger's (1997) adjusted standard error and degrees of freedom; REML. "
        "Every element of the random effects' covariances counts, on the boundary too"
    ),
    "kenward-roger-face": (
        "as kenward-roger, with the random effects whose variance is 0 left out of the model"
    ),
    "satterthwaite": (
        "t with the model's own standard error and Satterthwaite's degrees of freedom, from the "
        "observed information of the variances (Kuznetsova et al. 2017)"
    ),
    "satterthwaite-face": (
        "as satterthwaite, the information being that along the boundary on which the optimum "
        "lies: what is 0 there, or a multiple of another, stays so"
    ),
    "containment": "t with the degrees of freedom of the level a column varies at (Pinheiro and "
    "Bates 2000, p. 91); under ML the standard error is inflated by sqrt(N / (N - p)), nlme's "
    "adjustSigma",
    "wald": "normal, the variances taken as known",
    "joint-wald": "normal, with standard errors from the joint observed information of the fixed "
    "effects and the variances",
    "profile": "where the ML deviance, all else at its best, has risen by a chi-squared quantile",
    "likelihood-ratio": "each term left out, both models fitted by ML; chi-squared",
    "f:kenward-roger": "all coefficients of a term 0: F as Kenward and Roger (1997) scale it",
    "f:satterthwaite": "all coefficients of a term 0: F with the degrees of freedom of Fai and "
    "Cornelius (1996), from those of its principal contrasts",
    "f:satterthwaite-face": "as f:satterthwaite, from satterthwaite-face",
    "explained": "intraclass correlation; R2 of Nakagawa and Schielzeth (2013), eq. 26 and 27, the "
    "variance of random slopes averaged over the rows (Johnson 2014, eq. 10)",
    "means:lm": "marginal means of least squares on all rows, t on N - p degrees of freedom",
    "means:kenward-roger": "marginal means of the mixed model, as kenward-roger",
    "means:satterthwaite": "marginal means of the mixed model, as satterthwaite",
    "means:satterthwaite-face": "marginal means of the mixed model, as satterthwaite-face",
    "means:asymptotic": "marginal means of the mixed model, as wald",
    "contrasts:lm": "differences of marginal means of least squares, none adjusted for their "
    "number",
    "contrasts:kenward-roger": "differences of marginal means, as kenward-roger; not adjusted",
    "contrasts:satterthwaite": "differences of marginal means, as satterthwaite; not adjusted",
    "contrasts:satterthwaite-face": "differences of marginal means, as satterthwaite-face; not "
    "adjusted",
    "contrasts:asymptotic": "differences of marginal means, as wald; not adjusted",
}
"""What each table holds, by its id."""


@dataclass(frozen=True)
class Estimate:
    """One line: nan wherever a definition does not give a number; df inf for a normal.

    Of an F test ``df`` is the denominator's and ``df_above`` the number of contrasts.
    """

    term: str
    estimate: float = np.nan
    se: float = np.nan
    df: float = np.nan
    statistic: float = np.nan
    p: float = np.nan
    lower: float = np.nan
    upper: float = np.nan
    df_above: float = np.nan


@dataclass(frozen=True)
class InferenceTable:
    """Lines of one definition from one source, such as ``lme4 + pbkrtest`` or ``certified``."""

    definition: str
    source: str
    lines: tuple[Estimate, ...]


def by_t(term: str, estimate: float, se: float, df: float) -> Estimate:
    """A line from an estimate, its standard error and t's degrees of freedom (inf: normal)."""
    statistic = estimate / se
    reach = float(special.stdtrit(df, (1 + LEVEL) / 2)) * se
    p = float(2 * special.stdtr(df, -abs(statistic)))
    return Estimate(term, estimate, se, df, statistic, p, estimate - reach, estimate + reach)


def by_f(term: str, statistic: float, above: int, below: float) -> Estimate:
    """A line of an F test on `above` and `below` degrees of freedom."""
    p = float(special.fdtrc(above, below, statistic))
    return Estimate(term, df=below, statistic=statistic, p=p, df_above=float(above))


def table_frame(tables: Sequence[InferenceTable]) -> pd.DataFrame:
    """One row a definition, source and term."""
    return pd.DataFrame(
        [
            {"definition": table.definition, "source": table.source, **asdict(line)}
            for table in tables
            for line in table.lines
        ]
    )
