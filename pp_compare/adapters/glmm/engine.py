"""A Python package as an engine of generalised models, by Laplace's criterion or by quadrature."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pp_compare.adapters.answer import PackageEngine, require
from pp_compare.engines import engine_id
from pp_compare.errors import InputError, quoted
from pp_compare.model import Fit, Quantity
from pp_compare.model.answer import quantities
from pp_compare.model.glmm import GlmmDesign


@dataclass(frozen=True)
class GlmmPackage:
    """An engine around a Python package.

    Parameters
    ----------
    name : str
    definition : str
        ``laplace`` or ``agq:k``.
    package : str
        The distribution.
    ask : callable
        Gives the fields of a design's Fit, for so many nodes.
    limits : callable
        Why the package cannot express a design with so many nodes; None where it can.
    """

    name: str
    definition: str
    package: str
    ask: Callable[[GlmmDesign, int], Mapping[str, Any]]
    limits: Callable[[GlmmDesign, int], str | None]
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def nodes(self) -> int:
        """Of quadrature; 1 is Laplace's criterion."""
        return int(self.definition.partition(":")[2] or 1)

    def unsupported(self, design: GlmmDesign) -> str | None:
        """Why the package cannot express the model; None where it can."""
        return self.limits(design, self.nodes)

    def fit(self, design: GlmmDesign) -> Fit:
        """Ask the package; what it warns of and what it raises become part of the Fit."""
        reason = self.unsupported(design)
        if reason is not None:
            return Fit.unsupported(self.name, reason)
        asked: Any = PackageEngine(
            self.name,
            {self.name.partition(":")[0]: self.package},
            lambda of: self.ask(of, self.nodes),  # type: ignore[arg-type]  # of a GlmmDesign here
            settings=self.settings,
        )
        found: Fit = asked.fit(design)
        return replace(found, definition=self.definition if found.status == "ok" else "")


def make_package(
    name: str,
    package: str,
    setting: str,
    ask: Callable[[GlmmDesign, int], Mapping[str, Any]],
    limits: Callable[[GlmmDesign, int], str | None],
    most: int,
) -> GlmmPackage:
    """``name``, or ``name:agq:k`` with up to `most` nodes.

    Raises
    ------
    InputError
        For another setting.
    UnavailableError
        Where the package is not installed.
    """
    kind, _, nodes = setting.partition(":")
    if setting and not (kind == "agq" and nodes.isdigit() and 2 <= int(nodes) <= most):
        has = f"there are: agq:k with 2 to {most} nodes" if most > 1 else "it has none"
        raise InputError(f"{name} has no setting {quoted(setting)} of generalised models; {has}")
    require(name, package)
    of = {"nodes": nodes} if setting else {}
    return GlmmPackage(
        engine_id(name, setting or None), setting or "laplace", package, ask, limits, of
    )


def one_intercept(design: GlmmDesign, nodes: int) -> str | None:
    """Why k nodes of quadrature cannot be asked for; None where they can, or for Laplace's."""
    blocks = design.design.blocks
    if nodes > 1 and (len(blocks) > 1 or blocks[0].Z.shape[1] > 1):
        return "it takes several nodes with a single random effect only"
    return None


def glmm_quantities(
    design: GlmmDesign,
    *,
    beta: np.ndarray,
    covariances: list[np.ndarray],
    loglik: float,
    beta_se: np.ndarray | None = None,
    beta_cov: np.ndarray | None = None,
    effects: list[np.ndarray] | None = None,
) -> dict[str, Quantity]:
    """The vocabulary of generalised models from arrays in our order, one a block."""
    if beta_se is None and beta_cov is not None:
        beta_se = np.sqrt(np.diag(beta_cov))
    found = quantities(
        design.design, beta=beta, sigma=1.0, covariances=covariances, beta_cov=beta_cov,
        beta_se=beta_se, loglik=loglik, effects=effects,
    )  # fmt: skip
    return {name: quantity for name, quantity in found.items() if name != "sigma"}
