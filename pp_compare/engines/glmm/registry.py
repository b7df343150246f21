"""The engines of generalised mixed models by id."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Protocol

from pp_compare.errors import InputError, quoted
from pp_compare.model import Fit
from pp_compare.model.glmm import GlmmDesign

ENGINES: dict[str, str] = {
    "glmmpql": "pp_compare.engines.glmm.r:make_glmmpql",
    "glmmtmb": "pp_compare.engines.glmm.r:make_glmmtmb",
    "lme4": "pp_compare.engines.glmm.r:make_glmer",
    "statsmodels": "pp_compare.engines.glmm.statsmodels:make",
}

DEFAULT_ENGINES = (
    "lme4",
    "lme4:tight",
    "lme4:agq:10",
    "glmmtmb",
    "glmmpql",
    "statsmodels:vb",
)


class GlmmEngine(Protocol):
    """Something that fits a generalised mixed model."""

    @property
    def name(self) -> str:
        """Engine id with its setting."""

    @property
    def definition(self) -> str:
        """Id of the criterion that it says it solves."""

    def unsupported(self, design: GlmmDesign) -> str | None:
        """Why this engine cannot express the model; None where it can."""

    def fit(self, design: GlmmDesign) -> Fit:
        """Fit the model; whatever the engine says or raises becomes part of the Fit."""


def make_glmm_engine(engine_id: str) -> GlmmEngine:
    """Make an engine from its id, or from the path of its factory, ``package.module:factory``.

    Raises
    ------
    InputError
        For a name or a setting that no engine has.
    UnavailableError
        For an engine that this machine cannot run, with what to install.
    """
    name, _, setting = engine_id.partition(":")
    if name not in ENGINES and "." in name and setting:
        return _by_path(name, setting, engine_id)
    if name not in ENGINES:
        known = ", ".join(ENGINES)
        raise InputError(f"no engine {quoted(engine_id)} of generalised models; there are: {known}")
    module, _, factory = ENGINES[name].partition(":")
    make: Callable[[str], GlmmEngine] = getattr(import_module(module), factory)
    return make(setting)


def _by_path(module: str, factory: str, engine_id: str) -> GlmmEngine:
    try:
        make: Callable[[], GlmmEngine] = getattr(import_module(module), factory)
    except (ImportError, AttributeError) as error:
        raise InputError(f"no engine factory {quoted(engine_id)}: {error}") from error
    return make()


def fit_glmm(engine_id: str, design: GlmmDesign) -> Fit:
    """Fit with an engine; what it raises is its answer.

    Raises
    ------
    InputError, UnavailableError
        As `make_glmm_engine`.
    """
    engine = make_glmm_engine(engine_id)
    reason = engine.unsupported(design)
    if reason is not None:
        return Fit.unsupported(engine_id, reason)
    try:
        return engine.fit(design)
    except Exception as error:  # an engine's fault is its answer
        return Fit.failed(engine_id, f"raised {type(error).__name__}: {error}")
