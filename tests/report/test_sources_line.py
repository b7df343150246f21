"""The first line of a report: which R, by which road, or what was looked for and not found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pp_compare.report.audit.terminal import sources_line
from pp_compare.report.record import Report, RSource
from tests.report.conftest import PROVENANCE

LME4 = {"R": "4.2.2", "lme4": "1.1-31"}
NLME = {"R": "4.2.2", "nlme": "3.1-162"}
NO_R = "no program Rscript on the PATH"
END = "; statsmodels 0.15.0, Python 3.11.7."


@pytest.mark.parametrize(
    ("sources", "line"),
    [
        ((), "No R engine took part"),
        (
            (RSource("lme4", None, LME4, "rpy2 3.6.4"), RSource("nlme", None, NLME, "rpy2 3.6.4")),
            "R 4.2.2 runs here by rpy2 3.6.4 (lme4 1.1-31, nlme 3.1-162)",
        ),
        (
            (RSource("lme4", None, LME4, "/usr/bin/Rscript"),),
            "R 4.2.2 runs here by /usr/bin/Rscript (lme4 1.1-31)",
        ),
        (
            tuple(RSource(e, "bookworm", v, "", NO_R) for e, v in (("lme4", LME4), ("nlme", NLME))),
            "lme4 and nlme are played back from recorded:bookworm (R 4.2.2, lme4 1.1-31, "
            f"nlme 3.1-162), for they do not run here: {NO_R}",
        ),
        (
            (RSource("lme4", "bookworm", {}, "", NO_R),),
            f"lme4 gave no answer, for it does not run here: {NO_R}; recorded:bookworm has none to "
            "these models",
        ),
        (
            # R as it comes brings nlme and no lme4: one is live, one is not.
            (
                RSource("lme4", "bookworm", LME4, "", "no package 'lme4'"),
                RSource("nlme", None, NLME | {"R": "4.5.0"}, "Rscript"),
            ),
            "lme4 is played back from recorded:bookworm (R 4.2.2, lme4 1.1-31), for it does not "
            "run here: no package 'lme4'; R 4.5.0 runs here by Rscript (nlme 3.1-162)",
        ),
        (
            (RSource("recorded:sid/lme4", "sid", LME4),),
            "recorded:sid/lme4 is played back from recorded:sid (R 4.2.2, lme4 1.1-31)",
        ),
    ],
)
def test_it_says_where_the_numbers_of_r_come_from(sources: tuple[RSource, ...], line: str) -> None:
    report = Report(replace(PROVENANCE, r_sources=sources), (), 1.0)
    assert sources_line(report) == line + END
