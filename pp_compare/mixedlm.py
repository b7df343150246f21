"""What only statsmodels' MixedLM answers: its score function and standard errors of variances."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from statsmodels.regression.mixed_linear_model import MixedLM

from pp_compare.design import Design
from pp_compare.engines.statsmodels import arguments, layout
from pp_compare.resources import resource

STEP = 1e-5
"""Of central differences, relative to the factor: error 1e-10 from curvature, 1e-11 from rounding
of a criterion of order 1."""


def prepared_model(design: Design) -> Any:
    """A MixedLM on which ``loglike`` and ``score`` can be called; fitted with no iterations."""
    plan = layout(design)
    if isinstance(plan, str):
        raise TypeError(plan)
    model = MixedLM.from_formula(**arguments(design, plan))
    model.reml = design.spec.method == "REML"
    model.cov_pen = model.fe_pen = model._freepat = None
    model._cov_sing = 0
    return model


def score_and_slope(design: Design, factor: float) -> tuple[float, float]:
    """MixedLM's score of one random intercept, and the slope of its own log-likelihood.

    Parameters
    ----------
    factor : float
        The parameter: ``tau / sigma``, of either sign; the log-likelihood is even in it.
    """
    model, h = prepared_model(design), STEP * abs(factor)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        up, down = (float(model.loglike(np.array([factor + d]))) for d in (h, -h))
        return float(np.atleast_1d(model.score(np.array([factor])))[0]), (up - down) / (2 * h)


def variance_standard_error(design: Design) -> float:
    """``bse_re`` of the first variance after a default fit; nan where MixedLM raises."""
    plan = layout(design)
    if isinstance(plan, str):
        raise TypeError(plan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = MixedLM.from_formula(**arguments(design, plan))
            result = model.fit(reml=design.spec.method == "REML")
            return float(np.asarray(result.bse_re)[0])
        except (np.linalg.LinAlgError, ValueError):
            return float("nan")


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
