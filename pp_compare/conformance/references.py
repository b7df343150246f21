"""What an engine is held against: the certified optimum, and lme4 and nlme, recorded or live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pp_compare.audits.audit import RECORDED_STACK
from pp_compare.audits.judging import PARITY_REFERENCES
from pp_compare.engines import Engine, make_engine
from pp_compare.engines.recorded import playback
from pp_compare.errors import InputError

CERTIFIED = "certified"
LIVE = "live"
DEFAULT = (CERTIFIED, f"recorded:{RECORDED_STACK}")


@dataclass(frozen=True)
class References:
    """The references of a trial.

    Parameters
    ----------
    names : tuple of str
        As they were asked for.
    certified : bool
        Whether the certified optimum is one of them.
    engines : mapping of str to Engine
        Those of parity, ``lme4`` and ``nlme``.
    """

    names: tuple[str, ...]
    certified: bool
    engines: Mapping[str, Engine]


def make_references(names: Sequence[str] = DEFAULT) -> References:
    """Make references from ``certified``, ``recorded:STACK`` and ``live``.

    Raises
    ------
    InputError
        For another word, or two sources of lme4 and nlme.
    UnavailableError
        For ``live`` where there is no R.
    """
    sources = [name for name in dict.fromkeys(names) if name != CERTIFIED]
    if len(sources) > 1:
        raise InputError(f"lme4 and nlme come from one source, not from {' and '.join(sources)}")
    engines = {e: _engine(source, e) for source in sources for e in PARITY_REFERENCES}
    return References(tuple(dict.fromkeys(names)), CERTIFIED in names, engines)


def _engine(source: str, engine: str) -> Engine:
    if source == LIVE:
        return make_engine(engine)
    kind, _, stack = source.partition(":")
    if kind != "recorded":
        raise InputError(f"the reference is certified, recorded:STACK or live, not '{source}'")
    return playback(stack, engine)
