"""The adapter: what pp_compare asks, in the words of this package, and back."""

from __future__ import annotations

import time
from importlib.metadata import version

import numpy as np

from henderson.fit import RandomIntercept, fit_random_intercept
from pp_compare.model import Fit, Quantity
from pp_compare.model.design import Design


class Engine:
    """`henderson` as an engine of pp_compare."""

    name = "henderson"

    def unsupported(self, design: Design) -> str | None:
        """Why the model cannot be expressed; None where it can."""
        if not design.spec.is_random_intercept:
            return "it has one random intercept and nothing else random"
        return None

    def fit(self, design: Design) -> Fit:
        """Fit the model; whatever goes wrong becomes part of the answer."""
        reason = self.unsupported(design)
        if reason is not None:
            return Fit.unsupported(self.name, reason)
        start = time.perf_counter()
        try:
            block, reml = design.blocks[0], design.spec.method == "REML"
            answer = fit_random_intercept(design.y, design.X, block.codes, reml)
        except (ArithmeticError, ValueError, np.linalg.LinAlgError) as error:
            return Fit.failed(self.name, f"{type(error).__name__}: {error}")
        return Fit(
            self.name,
            "ok",
            {quantity.name: quantity for quantity in _quantities(design, answer)},
            converged=True,
            singular=answer.tau2 == 0.0,
            # Known deviations are looked up by the name of the engine.
            versions={"henderson": version("henderson-example")},
            seconds=time.perf_counter() - start,
        )


def _quantities(design: Design, answer: RandomIntercept) -> list[Quantity]:
    """Every number under the labels of the design."""
    block, beta = design.blocks[0], design.labels
    group, levels, effects = block.group, block.levels, block.labels
    rows = tuple(str(i + 1) for i in range(design.n_obs))
    fitted = design.X @ answer.beta + answer.u[block.codes]
    means = np.bincount(block.codes, fitted) / np.bincount(block.codes)
    return [
        Quantity("beta", answer.beta, beta),
        Quantity("beta_cov", answer.beta_cov, beta, beta),
        Quantity("beta_se", np.sqrt(np.diag(answer.beta_cov)), beta),
        Quantity("sigma", np.sqrt(answer.sigma2)),
        Quantity("loglik", np.array(answer.loglik)),
        Quantity(f"random_cov[{group}]", np.array([[answer.tau2]]), effects, effects),
        Quantity(f"blup[{group}]", answer.u[:, None], levels, effects),
        Quantity(f"cluster_mean[{group}]", means, levels),
        Quantity("fitted", fitted, rows),
    ]
