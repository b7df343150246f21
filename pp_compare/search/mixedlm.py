"""What only statsmodels' MixedLM answers: its score function and standard errors of variances."""

from __future__ import annotations

import numpy as np

from pp_compare.model.design import Design
from pp_compare.resources import resource
from pp_compare.verdict.probes import Call


def score_and_slope(design: Design, factor: float) -> tuple[float, float]:
    """MixedLM's score of one random intercept, and the slope of its own log-likelihood.

    Parameters
    ----------
    factor : float
        The parameter: ``tau / sigma``, of either sign; the log-likelihood is even in it.
    """
    score, slope = Call("score_and_slope", design, more=(factor,)).answer()
    return float(score), float(slope)


def variance_standard_error(design: Design) -> float:
    """``bse_re`` of the first variance after a default fit; nan where MixedLM raises."""
    return float(Call("variance_standard_error", design).answer())


def plain_script(template: str, design: Design) -> dict[str, str]:
    """A script that shows a defect of MixedLM with statsmodels and numpy alone, and its data.

    Parameters
    ----------
    template : {"score", "variance_se"}
    """
    text = resource("fixtures", "templates", f"{template}.py.txt").read_text(encoding="utf-8")
    reml = repr(design.spec.method == "REML")
    return {"reproduce.py": text.replace("@reml@", reml), "numbers.csv": _numbers(design)}


def _numbers(design: Design) -> str:
    """Response, cluster and design matrix as numbers."""
    table = np.column_stack([design.y, design.blocks[0].codes, design.X])
    return "".join(",".join(map(repr, row)) + "\n" for row in table.tolist())
