"""The engines of generalised mixed models by id."""

from __future__ import annotations

from importlib import import_module
from typing import Protocol

from pp_compare.engines import engine_by_path, made_by
from pp_compare.model import Fit
from pp_compare.model.glmm import GlmmDesign

ENGINES: dict[str, str] = {
    "glmmpql": "pp_compare.engines.glmm.r:make_glmmpql",
    "glmmtmb": "pp_compare.engines.glmm.r:make_glmmtmb",
    "lme4": "pp_compare.engines.glmm.r:make_glmer",
    "recorded": "pp_compare.engines.glmm.recorded:make",
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


ENGINE_HAS = ("name", "definition", "fit", "unsupported")
"""What `GlmmEngine` asks for."""


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

    A setting of one's own engine is behind one more colon, as in `pp_compare.engines.make_engine`.

    Raises
    ------
    InputError
        For a name or a setting that no engine has.
    UnavailableError
        For an engine that this machine cannot run, with what to install.
    """
    name, _, setting = engine_id.partition(":")
    if name not in ENGINES:
        own: GlmmEngine = engine_by_path(
            engine_id, tuple(ENGINES), ENGINE_HAS, " of generalised models"
        )
        return own
    module, _, factory = ENGINES[name].partition(":")
    engine: GlmmEngine = made_by(getattr(import_module(module), factory), engine_id, setting)
    return engine


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
