"""What was named on a command line becomes candidates."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from pp_compare.audits.judging import PARITY_REFERENCES
from pp_compare.audits.record import GLMM_PACKAGES
from pp_compare.engines import engine_id, r_stack
from pp_compare.engines.glmm.r import definition_of, glmm_fits
from pp_compare.engines.glmm.recorded import make as make_recorded
from pp_compare.engines.glmm.statsmodels import SETTINGS
from pp_compare.engines.glmm.statsmodels import make as make_bayes
from pp_compare.engines.recorded import playback
from pp_compare.engines.rscript import PACKAGES, RscriptSession
from pp_compare.engines.statsmodels import with_setting
from pp_compare.errors import EngineError, InputError, UnavailableError
from pp_compare.model import Fit
from pp_compare.releases.candidate import Candidate, PythonCandidate, RCandidate, RecordedCandidate
from pp_compare.releases.check import Broken
from pp_compare.releases.dialect import BayesDialect, Dialect, PlainDialect, StatsmodelsDialect
from pp_compare.releases.environment import Recipe, provide
from pp_compare.releases.source import Source, parse_source
from pp_compare.resources import resource


def parse_sources(texts: Sequence[str], recipe: Recipe) -> list[tuple[Source, Recipe]]:
    """Sources; one typed as ``0.14.6 with numpy==2.*`` has companions of its own.

    Raises
    ------
    InputError
        For what is no candidate.
    """
    found = []
    for text in texts:
        name, *own = re.split(r"\s+with\s+", text.strip())
        source = parse_source(name, recipe.package)
        label = " with ".join([source.label, *own])
        companions = tuple(map(_requirement, (*recipe.companions, *own)))
        found.append((replace(source, label=label), replace(recipe, companions=companions)))
    return found


def _requirement(text: str) -> str:
    """A requirement and nothing else: it becomes an argument of the installer."""
    try:
        return str(Requirement(text))
    except InvalidRequirement:
        raise InputError(f"'{text}' is no requirement such as numpy==2.*") from None


def choose_dialects(
    package: str, adapter: Path | None, settings: list[str] | None, of_glmm: bool = False
) -> list[Dialect]:
    """How to ask: one dialect a setting, ``default`` being none.

    Parameters
    ----------
    package : str
    adapter : Path or None
        For a package other than statsmodels.
    settings : list of str or None
    of_glmm : bool
        Whether the models are generalised ones, of which only statsmodels is asked.

    Raises
    ------
    InputError
        For a setting, a package or an adapter that there is not.
    """
    if of_glmm:
        if adapter is not None or package != "statsmodels":
            raise InputError("of generalised models statsmodels is checked, and R by --rscript")
        return [BayesDialect(make_bayes(name)) for name in settings or SETTINGS]
    wanted = [None if name == "default" else name for name in settings or ["default"]]
    if adapter is not None:
        if not adapter.is_file():
            raise InputError(f"no file '{adapter}'")
        ids = [package if name is None else f"{package}:{name}" for name in wanted]
        return [PlainDialect(engine, adapter.resolve()) for engine in ids]
    if package != "statsmodels":
        raise InputError(
            f"--package {package} needs --adapter FILE, in which about() gives versions and "
            f"fit(request) an answer, as in '{resource('engines', 'mixedlm.py')}'"
        )
    return [StatsmodelsDialect(with_setting(name)) for name in wanted]


def python_candidates(
    source: Source, recipe: Recipe, dialects: Sequence[Dialect], folder: Path
) -> Iterator[Candidate | Broken]:
    """One candidate a dialect; broken ones where there is no environment for them."""
    try:
        environment = provide(source, recipe, folder)
    except EngineError as error:
        yield from (Broken(source.label, dialect.engine, str(error)) for dialect in dialects)
    else:
        yield from (PythonCandidate(source.label, d, environment) for d in dialects)


def r_candidates(text: str) -> Iterator[Candidate | Broken]:
    """lme4 and nlme in the R that a command starts; broken ones where it starts none."""
    for engine in PARITY_REFERENCES:
        yield _r_candidate(text, engine, PACKAGES, r_stack.fits)


def glmm_r_candidates(text: str, settings: Sequence[str] | None) -> Iterator[Candidate | Broken]:
    """lme4 in the R that a command starts, for generalised models: one candidate a setting.

    Raises
    ------
    InputError
        For a setting that glmer has not.
    """
    for engine in glmm_r_engines(settings):
        yield _r_candidate(text, engine, GLMM_PACKAGES, glmm_fits)


def recorded_candidates(
    stack: str, of_glmm: bool, settings: Sequence[str] | None
) -> Iterator[Candidate]:
    """lme4 and nlme of a recorded stack, or of generalised models glmer's settings.

    Raises
    ------
    InputError
        For a stack, or a setting, that is not recorded; with those that are.
    """
    engines = glmm_r_engines(settings) if of_glmm else PARITY_REFERENCES
    for engine in engines:
        playing = make_recorded(f"{stack}/{engine}") if of_glmm else playback(stack, engine)
        versions = playing.references.provenance["versions"]
        label = f"{versions[engine.partition(':')[0]]} (R {versions['R']}, recorded)"
        yield RecordedCandidate(label, engine, playing)


GLMM_SETTINGS = ("default", "tight", "agq:10")
"""Of glmer, where none is named."""


def glmm_r_engines(settings: Sequence[str] | None) -> list[str]:
    """Engine ids of glmer's settings; InputError for one that there is not."""
    named = settings or GLMM_SETTINGS
    engines = [engine_id("lme4", None if name == "default" else name) for name in named]
    for engine in engines:
        definition_of(engine)
    return engines


def _r_candidate(
    text: str, engine: str, packages: Sequence[str], fitting: Callable[..., Iterator[Fit]]
) -> Candidate | Broken:
    command = tuple(shlex.split(text))
    try:
        about = RscriptSession(command).about(packages)
    except (EngineError, UnavailableError) as error:
        return Broken(text, engine, str(error))
    versions = about["versions"]
    label = f"{versions.get(engine.partition(':')[0], 'missing')} (R {versions['R']})"
    return RCandidate(label, engine, command, about, fitting)


def check_labels(named: Sequence[Candidate | Broken], baseline: str | None) -> None:
    """Refuse candidates that cannot be told apart, and a baseline that is none of them.

    Raises
    ------
    InputError
    """
    names = [(candidate.engine, candidate.label) for candidate in named]
    twice = next((label for engine, label in names if names.count((engine, label)) > 1), None)
    if twice:
        raise InputError(f"two candidates are called '{twice}'; there is nothing to tell them by")
    labels = list(dict.fromkeys(label for _, label in names))
    if baseline is not None and baseline not in labels:
        raise InputError(f"--baseline is one of {', '.join(labels)}, not '{baseline}'")
