"""lme4 and nlme in any R that a command starts: another version, a chroot, a container."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pp_compare.engines import lme4, nlme
from pp_compare.engines._r import Answer, Dialect, REngine, ask, read_fit
from pp_compare.engines.rscript import RscriptSession
from pp_compare.errors import EngineError, InputError
from pp_compare.model import Fit
from pp_compare.model.design import Design


def make(command: Sequence[str], engine_id: str) -> REngine:
    """``lme4`` or ``nlme``, with a setting, in the R that a command starts.

    Parameters
    ----------
    command : sequence of str
        As for `RscriptSession`.
    engine_id : str

    Raises
    ------
    InputError
        For another engine or an unknown setting.
    """
    return REngine(engine_id, r_dialect(engine_id), RscriptSession(command, nested=True))


def r_dialect(engine_id: str) -> Dialect:
    """How the R package of an engine id is asked."""
    name, _, setting = engine_id.partition(":")
    if name == "lme4":
        return lme4.dialect(setting or None)
    if name == "nlme":
        return nlme.dialect(setting or None)
    raise InputError(f"'{engine_id}' is not an R engine; those are lme4 and nlme")


def fits(
    command: Sequence[str], tasks: Sequence[tuple[str, Design]], seconds: float = float("inf")
) -> Iterator[Fit]:
    """Fit many models in one R process, started anew only where it dies.

    Parameters
    ----------
    command : sequence of str
        As for `RscriptSession`.
    tasks : sequence of (engine id, Design)
    seconds : float
        Elapsed time after which R stops a fit; in compiled code it is killed a little later.

    Yields
    ------
    Fit
        Of each task in turn, as soon as it is there.

    Raises
    ------
    InputError
        For an unknown engine or setting.
    UnavailableError
        Where the command does not start an R that can answer.
    """
    dialects = [r_dialect(engine_id) for engine_id, _ in tasks]
    asked = [ask(e, d, design, seconds) for (e, design), d in zip(tasks, dialects, strict=True)]
    calls = [
        (d.function, a) for d, a in zip(dialects, asked, strict=True) if not isinstance(a, Fit)
    ]
    with RscriptSession(command, seconds) as session:
        answers = session.answers(calls)
        for (engine_id, design), dialect, a in zip(tasks, dialects, asked, strict=True):
            yield a if isinstance(a, Fit) else _fit(engine_id, dialect, design, next(answers))


def _fit(name: str, dialect: Dialect, design: Design, answer: Answer | EngineError) -> Fit:
    if isinstance(answer, EngineError):
        return Fit.failed(name, str(answer), settings=dialect.settings)
    return read_fit(name, dialect, design, answer)
