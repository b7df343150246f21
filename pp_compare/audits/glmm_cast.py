"""Who plays each engine's part in the audit of a generalised model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pp_compare.audits.audit import RECORDED_STACK, Cast
from pp_compare.audits.record import GLMM_ENGINES
from pp_compare.engines.glmm.registry import DEFAULT_ENGINES, make_glmm_engine
from pp_compare.engines.schedule import runtime
from pp_compare.engines.worker import Workers
from pp_compare.errors import UnavailableError


def available_glmm_engines(engines: Sequence[str], workers: Workers) -> Cast:
    """The engine that plays each part: itself, or the recorded one where R cannot.

    Parameters
    ----------
    engines : sequence of str
        Engine ids; empty for all that are here or recorded.
    workers : Workers

    Raises
    ------
    InputError, UnavailableError
        For an engine that there is not, or not here and not recorded, that was asked for by name.
    """
    cast = Cast()
    names = dict.fromkeys(engines or DEFAULT_ENGINES)
    making = {
        name: workers.start(_road, name, otherwise=_refused(name), needed=runtime(name))
        for name in names
    }
    for name, made in making.items():
        try:
            road = made()
        except UnavailableError as error:
            if name in GLMM_ENGINES:
                cast.missing[name] = str(error)
                cast.sources[name] = f"recorded:{RECORDED_STACK}/{name}"
            elif engines:
                raise
        else:
            cast.sources[name] = name
            if road:
                cast.roads[name] = road
    return cast


def source_of(name: str, cast: Cast) -> str | None:
    """Who plays another engine's part, where this R or none does; None where nobody can."""
    if not cast.missing:
        return name
    return f"recorded:{RECORDED_STACK}/{name}" if name in GLMM_ENGINES else None


def _road(name: str) -> str:
    return str(getattr(make_glmm_engine(name), "road", ""))


def _refused(name: str) -> Callable[[str], str]:
    def refuse(why: str) -> str:
        raise UnavailableError(f"'{name}' does not start: {why}")

    return refuse
