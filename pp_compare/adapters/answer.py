"""A Python package's answer as a Fit: its numbers under our labels, its warnings, its errors."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from scipy.linalg import block_diag

from pp_compare.advice import pip_install
from pp_compare.errors import UnavailableError
from pp_compare.model import Fit, Quantity
from pp_compare.model.design import Design


def require(engine: str, distribution: str) -> None:
    """Refuse to make an engine whose package is not installed.

    Raises
    ------
    UnavailableError
        With the command that installs it.
    """
    try:
        version(distribution)
    except PackageNotFoundError:
        raise UnavailableError(
            f"engine '{engine}' needs the package {distribution}, which is not installed: "
            f"{pip_install(engine)}"
        ) from None


def correlated(design: Design) -> str | None:
    """Why an engine with independent random effects alone cannot fit; None where it can."""
    wide = next((block for block in design.blocks if len(block.columns) > 1), None)
    if wide is None:
        return None
    return f"its random effects are independent; those of '{wide.group}' are correlated"


def answered(
    engine: str,
    ask: Callable[[], Mapping[str, Any]],
    packages: Mapping[str, str],
    settings: Mapping[str, str] | None = None,
) -> Fit:
    """Run a fit; what the package warns of and what it raises become part of the Fit.

    Parameters
    ----------
    engine : str
        Engine id.
    ask : callable
        Gives the fields of the Fit that only this fit knows.
    packages : mapping of str to str
        Distribution by the name under which its version is reported; the first is the engine's own.
    settings : mapping of str to str, optional
        What is asked beyond the package's defaults.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            fields = {"status": "ok", **ask()}
        except Exception as error:  # whatever the package raises is its answer
            fields = {"status": "error", "messages": (f"{type(error).__name__}: {error}",)}
    said = [f"{w.category.__name__}: {w.message}" for w in caught]
    return Fit(
        engine=engine,
        **{
            **fields,
            "messages": tuple(dict.fromkeys([*fields.get("messages", ()), *said])),
            "settings": settings or {},
            "versions": {name: version(package) for name, package in packages.items()},
        },
    )


def quantities(
    design: Design,
    *,
    beta: np.ndarray,
    sigma: float,
    covariances: Sequence[np.ndarray],
    beta_cov: np.ndarray | None = None,
    beta_se: np.ndarray | None = None,
    loglik: float | None = None,
    effects: Sequence[np.ndarray] | None = None,
    fitted: np.ndarray | None = None,
) -> dict[str, Quantity]:
    """The vocabulary of `pp_compare.model` from arrays in the order of the design.

    Parameters
    ----------
    beta : ndarray, shape (p,)
    sigma : float
    covariances : sequence of ndarray, shape (q, q)
        Of the random effects, one a block of the design.
    beta_cov : ndarray, shape (p, p), optional
    beta_se : ndarray, shape (p,), optional
    loglik : float, optional
    effects : sequence of ndarray, shape (m, q), optional
        Predicted random effects, one a block.
    fitted : ndarray, shape (n,), optional
        What is None is left out: the package did not give it.
    """
    labels = design.labels
    found = [
        Quantity("beta", beta, labels),
        Quantity("sigma", np.array(sigma)),
        *_per_group(design, "random_cov", covariances),
    ]
    if beta_cov is not None:
        found.append(Quantity("beta_cov", beta_cov, labels, labels))
    if beta_se is not None:
        found.append(Quantity("beta_se", beta_se, labels))
    if loglik is not None:
        found.append(Quantity("loglik", np.array(loglik)))
    if effects is not None:
        found += _per_group(design, "blup", effects)
    if fitted is not None:
        found += _fitted(design, fitted)
    return {quantity.name: quantity for quantity in found}


def _per_group(design: Design, kind: str, blocks: Sequence[np.ndarray]) -> list[Quantity]:
    """One matrix a grouping factor: covariances block-diagonal, predictions side by side."""
    found = []
    for group, levels in design.group_levels.items():
        own = [a for a, block in zip(blocks, design.blocks, strict=True) if block.group == group]
        labels = design.random_labels(group)
        if kind == "blup":
            found.append(Quantity(f"blup[{group}]", np.hstack(own), levels, labels))
        else:
            found.append(Quantity(f"random_cov[{group}]", block_diag(*own), labels, labels))
    return found


def _fitted(design: Design, fitted: np.ndarray) -> list[Quantity]:
    rows = tuple(str(i + 1) for i in range(design.n_obs))
    means = [
        Quantity(f"cluster_mean[{group}]", design.group_means(group, fitted), levels)
        for group, levels in design.group_levels.items()
    ]
    return [Quantity("fitted", fitted, rows), *means]
