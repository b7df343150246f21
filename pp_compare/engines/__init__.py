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
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pp_compare.errors import InputError, PPCompareError, UnavailableError, quoted
from pp_compare.model import Fit
from pp_compare.model.design import Design

GROUP = "pp_compare.engines"
T = TypeVar("T")


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
ENGINE_HAS = ("name", "fit", "unsupported")
"""What `Engine` asks for."""


@cache
def _registered() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def engine_names() -> tuple[str, ...]:
    """Names of the engines that are installed, sorted."""
    return tuple(sorted(_registered()))


def make_engine(engine_id: str) -> Engine:
    """Make an engine from its id.

    Parameters
    ----------
    engine_id : str
        ``lme4``, ``statsmodels:lbfgs``, or ``package.module:factory`` for one of your own.

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
        own: Engine = engine_by_path(engine_id, engine_names(), ENGINE_HAS)
        return own
    try:
        factory: EngineFactory = point.load()
    except ImportError as error:
        raise UnavailableError(f"engine '{name}' cannot be loaded: {error}") from error
    engine: Engine = made_by(factory, engine_id, setting)
    return engine


def is_path(engine_id: str) -> bool:
    """Whether making the engine would import a module by its name, and so run what is in it.

    Only who types the command may ask for that; no file that is read may.
    """
    return engine_id.partition(":")[0] not in _registered()


def engine_by_path(engine_id: str, known: Sequence[str], has: Sequence[str], of: str = "") -> Any:
    """The engine that a factory gives which goes by its path, ``package.module:factory[:setting]``.

    Parameters
    ----------
    engine_id : str
    known : sequence of str
        Names of the engines that need no path, for who mistyped one.
    has : sequence of str
        What an engine has to have.
    of : str
        Of which models the engines are, as in ``" of generalised models"``.

    Raises
    ------
    InputError
        Where there is no such module, no such factory, or it makes no engine.
    """
    module, _, rest = engine_id.partition(":")
    attribute, _, setting = rest.partition(":")
    _see_working_directory()
    if not attribute or not _can_be_module(module):
        raise InputError(
            f"no engine {quoted(module)}{of}; there are: {', '.join(known)}, "
            "or package.module:factory for one of your own"
        )
    try:
        imported = import_module(module)
    except Exception as error:  # the module is somebody else's, and runs as it is imported
        what = quoted(f"{type(error).__name__}: {error}", 200)[1:-1]
        own = isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}.")
        if own:  # the module itself is not there, rather than one that it imports
            path = quoted(f"{module}:{attribute}")
            raise InputError(f"no engine factory {path}: {what}") from error
        raise InputError(f"{quoted(module)} cannot be imported, because {what}") from error
    factory = getattr(imported, attribute, None)
    if factory is None:
        raise InputError(f"no engine factory {quoted(f'{module}:{attribute}')}")
    if not callable(factory):
        raise InputError(f"{quoted(f'{module}:{attribute}')} is no engine factory: not a function")
    try:
        engine = made_by(factory, engine_id, setting)
    except PPCompareError:
        raise
    except Exception as error:  # as above
        what = quoted(f"{type(error).__name__}: {error}", 200)
        raise InputError(f"the factory {quoted(engine_id)} makes no engine: {what}") from error
    missing = [name for name in has if not hasattr(engine, name)]
    if missing:
        raise InputError(
            f"{quoted(engine_id)} is no engine factory: it gives a {type(engine).__name__} "
            f"without {', '.join(missing)}"
        )
    return engine


def _can_be_module(name: str) -> bool:
    """Whether a name is dotted words, and where it is one word, something is installed under it."""
    if not all(word.isidentifier() for word in name.split(".")):
        return False
    return "." in name or find_spec(name) is not None


def _see_working_directory() -> None:
    """A script's path begins with its own folder; a module of one's own lies where one works."""
    here = str(Path.cwd())
    if not {"", here} & set(sys.path):
        sys.path.append(here)


def made_by(factory: Callable[..., Any], engine_id: str, setting: str) -> Any:
    """Call a factory with the setting; one that needs none is given none where there is none."""
    if not setting and _takes(factory):
        return factory()
    if not _takes(factory, setting):
        name = engine_id.removesuffix(f":{setting}")
        raise InputError(f"'{name}' has no settings, so no setting '{setting}'")
    return factory(setting or None)


def _takes(factory: Callable[..., Any], *arguments: str) -> bool:
    try:
        inspect.signature(factory).bind(*arguments)
    except TypeError:
        return False
    return True


def engine_id(name: str, setting: str | None) -> str:
    """``lme4`` or ``lme4:setting``."""
    return f"{name}:{setting}" if setting else name


def setting_of(engine: str, settings: Mapping[str, T], setting: str | None, default: T) -> T:
    """What a setting stands for.

    Raises
    ------
    InputError
        For a setting that there is not.
    """
    if setting is None:
        return default
    if setting not in settings:
        known = ", ".join(sorted(settings))
        raise InputError(f"{engine} has no setting '{setting}'; there are: {known}")
    return settings[setting]
