"""What a Fit must satisfy at its own estimates, written out with dense matrices."""

from __future__ import annotations

import numpy as np

from pp_compare.model import Fit
from pp_compare.model.design import Design


def effects_design(design: Design, group: str) -> np.ndarray:
    """Z of all random terms of a group: (n, q), a row's effects at its own level."""
    return np.hstack([block.Z for block in design.blocks if block.group == group])


def linear_predictor(design: Design, fit: Fit) -> np.ndarray:
    """X beta + Z u from the fit's labelled numbers; wrong labels give wrong predictions."""
    predicted = design.X @ fit["beta"]
    for group, codes in design.group_codes.items():
        u = fit[f"blup[{group}]"]
        predicted += (effects_design(design, group) * u[codes]).sum(axis=1)
    return predicted


def marginal_covariance(design: Design, fit: Fit) -> np.ndarray:
    """V = sigma^2 I + sum of Z G Z'."""
    V = float(fit["sigma"]) ** 2 * np.eye(design.n_obs)
    for group, codes in design.group_codes.items():
        Z = effects_design(design, group)
        V += (Z @ fit[f"random_cov[{group}]"] @ Z.T) * (codes[:, None] == codes[None, :])
    return V


def gls_covariance(design: Design, fit: Fit) -> np.ndarray:
    """(X' V^-1 X)^-1."""
    V = marginal_covariance(design, fit)
    return np.linalg.inv(design.X.T @ np.linalg.solve(V, design.X))


def log_likelihood(design: Design, fit: Fit) -> float:
    """The (restricted) log-likelihood with the constant of R's logLik()."""
    V = marginal_covariance(design, fit)
    r = design.y - design.X @ fit["beta"]
    n, p = design.X.shape
    value = np.linalg.slogdet(V)[1] + r @ np.linalg.solve(V, r)
    if design.spec.method == "ML":
        return float(-0.5 * (value + n * np.log(2 * np.pi)))
    value += np.linalg.slogdet(design.X.T @ np.linalg.solve(V, design.X))[1]
    return float(-0.5 * (value + (n - p) * np.log(2 * np.pi)))
