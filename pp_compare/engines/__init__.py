"""The Engine protocol, and the engines by name.

An engine id is a name and, after a colon, a setting other than the engine's own default:
``lme4``, ``lme4:tight``, ``statsmodels:lbfgs``. Names come from the entry point group
``pp_compare.engines``; each entry point is a callable that takes the setting (None for the
default) and gives an Engine, or raises `UnavailableError` (not on this machine) or `InputError`
(no such setting). An engine that is not installed as an entry point goes by the path of its
factory, ``package.module:factory``, and a setting of it by one more colon. An engine without
settings may be a class, or a function, that takes no argument.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Protocol

from pp_compare.errors import InputError, UnavailableError
from pp_compare.model import Fit
from pp_compare.model.design import Design

GROUP = "pp_compare.engines"


class Engine(Protocol):
    """Something that fits a linear mixed model.

    One that takes prior weights and offsets says so by an attribute ``weighted = True``; no other
    is handed a design that has them (`not_asked`), for it would leave them out without a word.
    """

    @property
    def name(self) -> str:
        """Engine id with its setting, as in ``statsmodels:lbfgs``."""

    def unsupported(self, design: Design) -> str | None:
        """Why this engine cannot express the model; None where it can."""

    def fit(self, design: Design) -> Fit:
        """Fit the model.

        Whatever the engine says or raises becomes part of the Fit (`Fit.failed`); nothing but
        KeyboardInterrupt leaves this function.
        """


def not_asked(engine: Engine, design: Design) -> str | None:
    """Why an engine is not asked for a model, whatever it says itself; None where it is."""
    if (design.weights is None and design.offset is None) or getattr(engine, "weighted", False):
        return None
    what = "prior weights" if design.offset is None else "an offset"
    return f"{engine.name} does not say that it takes {what}"


EngineFactory = Callable[[str | None], Engine]


@cache
def _registered() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def engine_names() -> tuple[str, ...]:
    """Names of the engines that are installed, sorted."""
    return tuple(sorted(_registered()))


def make_engine(engine_id: str) -> Engine:
    """Make an engine from its id.

    Raises
    ------
    InputError
        For a name or a setting that no engine has.
    UnavailableError
        For an engine that this machine cannot run, with what to install.
    """
    name, _, setting = engine_id.partition(":")
    point = _registered().get(name)
    if point is None:
        return _by_path(name, setting, engine_id)
    try:
        factory: EngineFactory = point.load()
    except ImportError as error:
        raise UnavailableError(f"engine '{name}' cannot be loaded: {error}") from error
    return _made(factory, engine_id, setting)


def _by_path(module: str, rest: str, engine_id: str) -> Engine:
    attribute, _, setting = rest.partition(":")
    if not attribute or ("." not in module and find_spec(module) is None):
        raise InputError(
            f"no engine '{module}'; there are: {', '.join(engine_names())}, "
            "or package.module:factory for one of your own"
        )
    try:
        factory: EngineFactory = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"no engine factory '{module}:{attribute}': {error}") from error
    return _made(factory, engine_id, setting)


def _made(factory: Callable[..., Engine], engine_id: str, setting: str) -> Engine:
    """Call a factory with the setting, or without where it has no place for one."""
    try:
        inspect.signature(factory).bind(None)
    except TypeError:
        if setting:
            name = engine_id.removesuffix(f":{setting}")
            raise InputError(f"'{name}' has no settings, so no setting '{setting}'") from None
        return factory()
    return factory(setting or None)
