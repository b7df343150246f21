"""The Report: all comparisons of a run with their provenance."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Literal

import pandas as pd

from pp_compare.errors import PPCompareError
from pp_compare.identities import IdentityCheck
from pp_compare.model import Fit
from pp_compare.model.design import Design
from pp_compare.verdict.agreement import Comparison
from pp_compare.verdict.judgement import Judgement
from pp_compare.verdict.outcome import ProbeCheck

SCHEMA = "pp-compare/report/2"
WRITER = "pp_compare.report.audit.folder"
"""The module that writes a report, above this one and heavy: loaded where a report is saved."""
FailOn = Literal["wrong", "news", "any", "none"]
VERDICTS = ("pass", "fail", "known", "skip")


def plain_name(text: str) -> str:
    """Text as the name of a folder."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", text).lstrip(".")


def data_path(case: str) -> Path:
    """Where a saved report has the data of a case, below its own folder."""
    return Path("cases", plain_name(case), "data.csv")


@dataclass(frozen=True)
class RSource:
    """Where one R engine's numbers come from.

    Parameters
    ----------
    engine : str
        Engine id, by the part it plays.
    stack : str or None
        Of references, that is played back, as ``bookworm``; None where R is live.
    versions : mapping of str to str
        Of R and its packages; empty where no fit told them.
    road : str
        How R is reached, as in ``rpy2 3.6.4``; empty where it is not known, or played back.
    missing : str
        What was looked for and not found, where it is played back for want of that.
    """

    engine: str
    stack: str | None
    versions: Mapping[str, str]
    road: str = ""
    missing: str = ""


@dataclass(frozen=True)
class Provenance:
    """Where and with what a run was made.

    `r_source` is ``"live"``, ``"recorded:<stack>"``, both joined by a plus sign, or None where no R
    engine took part; `r_sources` tells it engine by engine.
    """

    python: str
    platform: str
    blas: str
    packages: Mapping[str, str]
    R: str | None
    r_packages: Mapping[str, str]
    r_source: str | None
    started: str
    command: str
    r_sources: tuple[RSource, ...] = ()


@dataclass(frozen=True, eq=False)
class CaseReport:
    """One model on one data set: the fits, and what was found when they were held together.

    Parameters
    ----------
    case : str
    why : str
        The reason the case exists.
    formula : str
    method : str
    n_obs : int
    rows_dropped : int
    columns_dropped : tuple of str
        Fixed effects that the others span, left out for all engines alike.
    n_groups : mapping of str to int
    data_sha256 : str
    fits : dict of str to Fit
        By engine id, in the order asked for.
    identities : tuple of IdentityCheck
    comparisons : tuple of Comparison
    probes : tuple of ProbeCheck
    judgements : tuple of Judgement
        What each engine's numbers are worth, in the order of `fits`; none of ``certified``.
    stale : tuple of str
        Known deviations whose example this is and which do not show.
    data_csv : str
        The data as exact CSV.
    weights : str or None
        The column of prior weights.
    """

    case: str
    why: str
    formula: str
    method: str
    n_obs: int
    rows_dropped: int
    n_groups: Mapping[str, int]
    data_sha256: str
    fits: Mapping[str, Fit]
    identities: tuple[IdentityCheck, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    probes: tuple[ProbeCheck, ...] = ()
    judgements: tuple[Judgement, ...] = ()
    stale: tuple[str, ...] = ()
    columns_dropped: tuple[str, ...] = ()
    data_csv: str = field(default="", repr=False)
    weights: str | None = None

    @property
    def title(self) -> str:
        """Case and method, as in tables."""
        return f"{self.case} {self.method}"

    @property
    def file_name(self) -> str:
        """Case and method as a plain name of a folder."""
        return plain_name(f"{self.case}-{self.method}")

    @property
    def failing(self) -> bool:
        """Whether anything unexpected was found."""
        verdicts = [c.verdict for c in self.identities] + [c.verdict for c in self.comparisons]
        return bool(self.stale) or "fail" in verdicts


class VerdictError(PPCompareError, AssertionError):
    """A report that holds what its `Report.fail_on` asks about."""


@dataclass(frozen=True, eq=False, repr=False)
class Report:
    """A whole run.

    Parameters
    ----------
    provenance : Provenance
    cases : tuple of CaseReport
    seconds : float
        Wall time of the run.
    fail_on : {"wrong", "news", "any", "none"}
        What `exit_status` asks about.
    designs : tuple of Design
        Of the cases, where the report is to be saved with its figures.
    writer : str
        The module that writes it into a folder.

    Examples
    --------
    A notebook shows a report as its judgements with the estimates; in text it has ten lines.

    >>> import pp_compare
    >>> import statsmodels.formula.api as smf
    >>> batches = pp_compare.case("Dyestuff").dataset.frame
    >>> report = pp_compare.check(smf.mixedlm("Yield ~ 1", batches, groups="Batch").fit())
    >>> print(report)  # doctest: +ELLIPSIS
    statsmodels is right: at the optimum, which is proved; fixed effects to ... digits
    model: Yield ~ 1 + (1 | Batch), REML; 30 rows, 6 Batch
    ...
    >>> float(report.estimates().loc[("sigma", ""), "certified"].round(3))
    49.51
    >>> report.raise_for_status()
    """

    provenance: Provenance
    cases: tuple[CaseReport, ...]
    seconds: float
    fail_on: FailOn = "news"
    designs: tuple[Design, ...] = field(default=(), repr=False)
    writer: str = field(default=WRITER, repr=False)

    def __repr__(self) -> str:
        """At most ten lines, the judgement first."""
        from pp_compare.report.short import short_text  # noqa: PLC0415  # it reads this record

        return short_text(self)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from pp_compare.report.short import short_html  # noqa: PLC0415  # as above

        return short_html(self)

    def to_frame(self) -> pd.DataFrame:
        """One row a comparison."""
        from pp_compare.report.frames import comparison_frame  # noqa: PLC0415  # as above

        return comparison_frame(self)

    def estimates(self) -> pd.DataFrame:
        """Engines side by side, one row a number."""
        from pp_compare.report.frames import estimates_frame  # noqa: PLC0415  # as above

        return estimates_frame(self)

    def paragraph(self) -> str:
        """What to write in a paper, made from these numbers; one paragraph a model."""
        from pp_compare.report.paragraph import paragraphs  # noqa: PLC0415  # as above

        return "\n\n".join(paragraphs(self))

    def save(self, folder: str | Path) -> Path:
        """Write report.html, report.json, the evidence and the data into a folder.

        Returns
        -------
        Path
            Of the page, to be opened.
        """
        import_module(self.writer).save(Path(folder), self)
        return Path(folder) / "report.html"

    def raise_for_status(self) -> None:
        """Raise where `exit_status` is 1.

        Raises
        ------
        VerdictError
            An AssertionError with the text of the report.
        """
        if self.exit_status:
            raise VerdictError(f"{self!r}")

    def counts(self) -> dict[str, int]:
        """Identities, comparisons and probes by verdict."""
        found: Counter[str] = Counter(
            line.verdict for case in self.cases for line in case.comparisons
        )
        found.update(line.verdict for case in self.cases for line in case.identities)
        found.update(line.verdict for case in self.cases for line in case.probes)
        return {verdict: found[verdict] for verdict in VERDICTS}

    @property
    def compared(self) -> int:
        """How many comparisons, identities and probes were made, skips left out."""
        counts = self.counts()
        return sum(counts.values()) - counts["skip"]

    @property
    def stale(self) -> tuple[str, ...]:
        """Known deviations that no longer show where they are pinned."""
        return tuple(dict.fromkeys(entry for case in self.cases for entry in case.stale))

    @property
    def engine_seconds(self) -> float:
        """Time inside the engines' own public functions."""
        return sum(fit.seconds for case in self.cases for fit in case.fits.values())

    @property
    def judgements(self) -> tuple[Judgement, ...]:
        """Of all models, one an engine."""
        return tuple(judgement for case in self.cases for judgement in case.judgements)

    @property
    def news(self) -> bool:
        """Whether anything is in no registry, or no longer shows where it is pinned."""
        return bool(self.counts()["fail"]) or bool(self.stale)

    @property
    def exit_status(self) -> int:
        """1 where there is what `fail_on` asks about, or nothing was compared; else 0.

        ``wrong``: an engine is wrong, at a wrong optimum or without an answer, known or not.
        ``news``: something differs that is in no registry, or no longer shows where it is pinned.
        ``any``: either, or an engine that is short of the optimum. ``none``: nothing.
        """
        if self.fail_on == "none":
            return 0
        wrong = any(judgement.bad for judgement in self.judgements)
        short = any(judgement.standing.startswith("short") for judgement in self.judgements)
        asked = {"wrong": wrong, "news": self.news, "any": wrong or short or self.news}
        return int(asked[self.fail_on] or self.compared == 0)
