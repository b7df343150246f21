"""What a campaign found: rates with intervals, maps over the axes, coverage, the worst cases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LEVEL = 0.95
"""Of every interval, the engines' own included."""

FINDINGS = ("wrong optimum", "early stop", "failure")
"""Outcomes that a reader counts, the worst first."""


@dataclass(frozen=True)
class Rate:
    """So many of so many."""

    count: int
    of: int

    @property
    def value(self) -> float:
        """The share; nan of none."""
        return self.count / self.of if self.of else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's score interval (1927): it covers where the share is near 0 or 1, too."""
        if not self.of:
            return 0.0, 1.0
        # scipy.stats takes most of a second to load, and only who reads a campaign needs it.
        from scipy.stats import binomtest  # noqa: PLC0415

        found = binomtest(self.count, self.of).proportion_ci(LEVEL, method="wilson")
        return float(found.low), float(found.high)


@dataclass(frozen=True)
class EngineRecord:
    """One engine in one version.

    Parameters
    ----------
    engine, version : str
    fits : int
    rates : mapping of str to Rate
        By outcome, of the fits that could be judged; ``failure`` of all that were tried.
    silent : Rate
        Off the optimum and said to have converged, of all that were judged.
    lost : int
        Fits that ended their process, among the failures.
    unsupported, unjudged, below : int
    seconds : float
        Mean time of a fit inside the engine's own functions.
    digits_beta, digits_variances : float
        Mean digits right of the worst fixed effect and variance component.
    """

    engine: str
    version: str
    fits: int
    rates: Mapping[str, Rate]
    silent: Rate
    lost: int
    unsupported: int
    unjudged: int
    below: int
    seconds: float
    digits_beta: float
    digits_variances: float


@dataclass(frozen=True)
class Disagreement:
    """How often two engines stop where the criterion differs by more than both tolerances."""

    first: str
    second: str
    rate: Rate


@dataclass(frozen=True)
class Coverage:
    """One estimate of one engine against the value that the data were drawn with.

    Parameters
    ----------
    engine, label : str
    covered : Rate or None
        Intervals of estimate +- z SE that hold the truth; None for variances.
    bias, bias_error : float
        Mean of estimate less truth, and its standard error.
    spread : float
        Standard deviation of the estimates about the truth less bias.
    mean_se : float
        Root mean square of the engine's standard errors: to be held against `spread`.
    """

    engine: str
    label: str
    covered: Rate | None
    bias: float
    bias_error: float
    spread: float
    mean_se: float


@dataclass(frozen=True)
class Map:
    """Rates of one engine over two axes, or over one (`down` is then empty).

    Parameters
    ----------
    engine : str
    across, down : str
        Names of axes.
    columns, rows : tuple of str
        Their values, or their bins.
    cells : tuple of tuple of Rate
        Off the optimum or failed; a row for each of `rows`.
    """

    engine: str
    across: str
    down: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    cells: tuple[tuple[Rate, ...], ...]


@dataclass(frozen=True)
class WorstCase:
    """A data set that `reproduce` should see.

    `above` is the deviance above the optimum; nan of a failure.
    """

    index: int
    engine: str
    outcome: str
    above: float
    converged: bool | None
    formula: str
    method: str
    messages: str


@dataclass(frozen=True)
class CampaignReport:
    """A whole campaign, as far as it is done.

    Parameters
    ----------
    name, digest : str
        Of the plan.
    size, done : int
        Data sets planned and done.
    axes : mapping of str to str
        The axes that vary, with their values.
    fixed : mapping of str to str
        The others.
    """

    name: str
    digest: str
    size: int
    done: int
    axes: Mapping[str, str]
    fixed: Mapping[str, str]
    engines: tuple[EngineRecord, ...]
    disagreements: tuple[Disagreement, ...]
    coverage: tuple[Coverage, ...]
    maps: tuple[Map, ...]
    worst: tuple[WorstCase, ...]
