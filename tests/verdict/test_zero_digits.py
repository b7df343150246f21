"""A covariance that is exactly 0: no engine has digits of it, and no statistic counts it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from pp_compare.certified.models import certified_model
from pp_compare.data.files import read_dataset
from pp_compare.model import Fit, Quantity
from pp_compare.model.design import build_design
from pp_compare.model.formula import parse_formula
from pp_compare.report.digest import least_digits
from pp_compare.report.record import CaseReport
from pp_compare.verdict.agreement import compare
from pp_compare.verdict.tolerance import derive_tolerances

CASES = Path(__file__).parents[1] / "cases"


def test_digits_of_a_covariance_that_is_0() -> None:
    """`arm` lies between the groups and x alike in all: their covariance with x is 0 by design."""
    data = read_dataset(CASES / "zero_covariance_digits.csv")
    design = build_design(data, parse_formula("y ~ arm + x + (1|g)", "REML"))
    model = certified_model(design)
    best = model.optimum.quantities
    cov = best["beta_cov"]
    zero = cov.values == 0
    assert zero.any()
    # An optimiser's answer: the zero is an 1e-18 or a 0, everything else is right to ten digits.
    for rounding in (1e-18, 0.0):
        values = np.where(zero, rounding, cov.values * (1 + 1e-10))
        theirs = Quantity("beta_cov", values, cov.rows, cov.columns)
        fit = Fit("lme4", "ok", {**best, "beta_cov": theirs})
        lines = compare(fit, Fit("certified", "ok", best), derive_tolerances(design, model))
        assert {line.verdict for line in lines} == {"pass"}
        assert any(math.isnan(line.digits) for line in lines)
        case = CaseReport("c", "", "", "REML", 12, 0, {}, "", {}, comparisons=tuple(lines))
        assert 9.9 < least_digits(case)["lme4", "beta_cov"] < 10.1
