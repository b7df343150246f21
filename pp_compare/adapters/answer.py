"""A Python package's answer as a Fit: its numbers under our labels, its warnings, its errors."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pp_compare.errors import UnavailableError
from pp_compare.model import Fit
from pp_compare.model.design import Design
from pp_compare.resources import pip_install


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


def every_model(design: Design) -> str | None:
    """None: the package takes lme4's own grammar."""
    del design
    return None


def correlated(design: Design) -> str | None:
    """Why an engine with independent random effects alone cannot fit; None where it can."""
    wide = next((block for block in design.blocks if len(block.columns) > 1), None)
    if wide is None:
        return None
    return f"its random effects are independent; those of '{wide.group}' are correlated"


@dataclass(frozen=True)
class PackageEngine:
    """An engine around a Python package.

    Parameters
    ----------
    name : str
        Engine id.
    packages : mapping of str to str
        Distribution by the name under which its version is reported; the first is the engine's own.
    ask : callable
        Gives the fields of a design's Fit that only this fit knows.
    unsupported : callable
        Why the package cannot express a design; None where it can.
    settings : mapping
        What is asked beyond the package's defaults, as the Fit reports it.
    """

    name: str
    packages: Mapping[str, str]
    ask: Callable[[Design], Mapping[str, Any]]
    unsupported: Callable[[Design], str | None] = every_model
    settings: Mapping[str, Any] = field(default_factory=dict)

    def fit(self, design: Design) -> Fit:
        """Ask the package; what it warns of and what it raises become part of the Fit."""
        reason = self.unsupported(design)
        if reason is not None:
            return Fit.unsupported(self.name, reason)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                fields = {"status": "ok", **self.ask(design)}
            except Exception as error:  # whatever the package raises is its answer
                fields = {"status": "error", "messages": (f"{type(error).__name__}: {error}",)}
        said = [f"{w.category.__name__}: {w.message}" for w in caught]
        return Fit(
            engine=self.name,
            **{
                **fields,
                "messages": tuple(dict.fromkeys([*fields.get("messages", ()), *said])),
                "settings": {key: str(value) for key, value in self.settings.items()},
                "versions": {name: version(package) for name, package in self.packages.items()},
            },
        )
