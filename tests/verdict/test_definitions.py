"""Other definitions of the fixed effects' covariance, against arithmetic of 50 digits."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np
import pandas as pd
import pytest

from pp_compare.engines import make_engine
from pp_compare.model import Dataset, Fit
from pp_compare.model.design import Design, build_design
from pp_compare.model.formula import parse_formula
from pp_compare.verdict.definitions import joint_hessian_cov
from tests.engines.likelihood import gls_covariance
from tests.examples import corpus_design


def small_design(method: str) -> Design:
    rng = np.random.default_rng(4)
    rows = pd.DataFrame(
        {"g": np.repeat(["a", "b", "c", "d"], [2, 3, 4, 5]), "x": rng.normal(size=14)}
    )
    rows["y"] = rows["x"] + rng.normal(size=14) + np.repeat(rng.normal(size=4), [2, 3, 4, 5])
    return build_design(Dataset("small", rows), parse_formula("y ~ x + (1 + x|g)", method))


def profiled(design: Design, parameters: list[Any]) -> Any:
    """Log-likelihood in the fixed effects and the entries of Psi, up to a constant."""
    X, y = mp.matrix(design.X.tolist()), mp.matrix(design.y.tolist())
    (block,) = design.blocks
    Z, codes = mp.matrix(block.Z.tolist()), block.codes
    beta, (a, b, c) = mp.matrix(parameters[:2]), parameters[2:]
    psi = mp.matrix([[a, b], [b, c]])
    H = mp.eye(len(y))
    for i in range(len(y)):
        for j in range(len(y)):
            if codes[i] == codes[j]:
                H[i, j] += (Z[i, :] * psi * Z[j, :].T)[0]
    inverse, r = H**-1, y - X * beta
    reml = design.spec.method == "REML"
    information = mp.log(mp.det(X.T * inverse * X)) if reml else 0
    df = len(y) - (2 if reml else 0)
    return -(df * mp.log((r.T * inverse * r)[0]) + mp.log(mp.det(H)) + information) / 2


def joint_covariance(design: Design, fit: Fit) -> np.ndarray:
    """Fixed block of the inverse of minus the Hessian, by differences with 50 digits."""
    psi = [
        mp.mpf(v) / mp.mpf(float(fit["sigma"])) ** 2
        for v in fit["random_cov[g]"][[0, 1, 1], [0, 0, 1]]
    ]
    start, h = [mp.mpf(b) for b in fit["beta"]] + psi, mp.mpf(10) ** -12

    def at(i: int, j: int, up: int, right: int) -> Any:
        moved = list(start)
        moved[i] += up * h
        moved[j] += right * h
        return profiled(design, moved)

    information = mp.matrix(5, 5)
    for i in range(5):
        for j in range(i, 5):
            around = at(i, j, 1, 1) - at(i, j, 1, -1) - at(i, j, -1, 1) + at(i, j, -1, -1)
            information[i, j] = information[j, i] = -around / (4 * h * h)
    cov = information**-1
    return np.array([[float(cov[i, j]) for j in range(2)] for i in range(2)])


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_the_joint_information_is_that_of_50_digits(method: str) -> None:
    design = small_design(method)
    fit = make_engine("certified").fit(design)
    with mp.workdps(50):
        right = joint_covariance(design, fit)
    # Rounding: 14 eps times the condition of the information, some 1e3.
    found = joint_hessian_cov(design, fit, gls_covariance(design, fit))
    assert np.abs(found - right).max() <= 1e-10 * np.abs(right).max()


def test_mixedlm_gives_the_joint_information_next_to_a_variance_of_0() -> None:
    """The best variance of plots is 0: there, differences of doubles lost all but two digits."""
    design = corpus_design("Spruce", "ML")
    fit = make_engine("statsmodels").fit(design)
    assert float(fit["random_cov[plot]"][0, 0]) < 1e-5 * float(fit["sigma"]) ** 2
    gls = gls_covariance(design, fit)
    joint = joint_hessian_cov(design, fit, gls)
    off = np.abs(fit["beta_cov"] - joint) / np.abs(fit["beta_cov"] - gls).max()
    # n eps times the condition of what both invert, some 1e3.
    assert off.max() <= 1e-9
    assert np.sqrt(joint[0, 0] / gls[0, 0]) > 1.2
