"""Candidates: an engine in an environment of its own, or in an R of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from pp_compare.engines import r_stack
from pp_compare.engines.glmm.recorded import RecordedGlmm
from pp_compare.engines.recorded import RecordedEngine
from pp_compare.errors import EngineError
from pp_compare.model import Fit
from pp_compare.releases import serve
from pp_compare.releases.dialect import Dialect
from pp_compare.releases.environment import Environment
from pp_compare.releases.platform import Platform
from pp_compare.releases.session import Session
from pp_compare.releases.store import file_sha256
from pp_compare.resources import resource


@dataclass(frozen=True)
class Effort:
    """What fits may cost: `seconds` each, `processes` at once."""

    seconds: float = 60.0
    processes: int = 1


class Candidate(Protocol):
    """Something that fits models, in versions of its own."""

    @property
    def label(self) -> str:
        """As in the report."""

    @property
    def engine(self) -> str:
        """Engine id of its Fits."""

    @property
    def runs(self) -> bool:
        """Whether it fits anew, and may give other bits on another platform."""

    def versions(self, platform: Platform, effort: Effort) -> dict[str, str]:
        """Versions of what does the work; EngineError where it does not start."""

    def identity(self) -> list[Any]:
        """All that its answers depend on, as values of JSON's kinds."""

    def fits(self, designs: Sequence[Any], platform: Platform, effort: Effort) -> Iterator[Fit]:
        """One Fit a design, in their order."""

    def calls(
        self, requests: Sequence[tuple[str, Sequence[Any]]], platform: Platform, effort: Effort
    ) -> list[Any]:
        """Answers of functions of the adapter; an EngineError in the place of a failed one."""


@dataclass(frozen=True)
class PythonCandidate:
    """A package in an environment.

    Parameters
    ----------
    label : str
    dialect : Dialect
    environment : Environment
    """

    label: str
    dialect: Dialect
    environment: Environment
    runs = True

    @property
    def engine(self) -> str:
        """Engine id of its Fits."""
        return self.dialect.engine

    def versions(self, platform: Platform, effort: Effort) -> dict[str, str]:
        """Versions by the packages' own word."""
        with closing(self._session(platform, effort)) as session:
            return session.about()

    def identity(self) -> list[Any]:
        """Every file in the environment, and our two that run there."""
        code = file_sha256(Path(serve.__file__), self.dialect.adapter)
        return ["python", self.engine, self.environment.lock, code]

    def fits(self, designs: Sequence[Any], platform: Platform, effort: Effort) -> Iterator[Fit]:
        """One Fit a design, in their order, over as many workers as there may be."""
        sessions: queue.SimpleQueue[Session] = queue.SimpleQueue()
        everyone = [self._session(platform, effort) for _ in range(effort.processes)]
        for session in everyone:
            sessions.put(session)

        def fit(design: Any) -> Fit:
            session = sessions.get()
            try:
                return self._fit(session, design)
            finally:
                sessions.put(session)

        try:
            with ThreadPoolExecutor(effort.processes) as threads:
                yield from threads.map(fit, designs)
        finally:
            for session in everyone:
                session.close()

    def calls(
        self, requests: Sequence[tuple[str, Sequence[Any]]], platform: Platform, effort: Effort
    ) -> list[Any]:
        """Answers of functions of the adapter; an EngineError in the place of a failed one."""
        found: list[Any] = []
        with closing(self._session(platform, effort)) as session:
            for function, arguments in requests:
                try:
                    found.append(session.call(function, *arguments))
                except EngineError as error:
                    found.append(error)
        return found

    def _session(self, platform: Platform, effort: Effort) -> Session:
        variables = platform.environment()
        return Session(self.environment.python, self.dialect.adapter, variables, effort.seconds)

    def _fit(self, session: Session, design: Any) -> Fit:
        request = self.dialect.request(design)
        if isinstance(request, str):
            return Fit.unsupported(self.engine, request)
        try:
            answer = session.call("fit", request)
            return self.dialect.read(design, answer, session.about())
        except EngineError as error:
            return Fit.failed(self.engine, str(error), versions=self._installed())

    def _installed(self) -> dict[str, str]:
        """The version that was installed, for one that cannot say it any more."""
        name = self.engine.partition(":")[0]
        found = self.environment.versions.get(name)
        return {name: found} if found else {}


@dataclass(frozen=True)
class RCandidate:
    """lme4 or nlme in the R that a command starts.

    Parameters
    ----------
    label, engine : str
    command : tuple of str
    about : mapping
        What `RscriptSession.about` says of it.
    fitting : callable
        Fits many models of one kind in the R that a command starts: ``r_stack.fits``, or
        ``glmm_fits`` of generalised ones.
    """

    label: str
    engine: str
    command: tuple[str, ...]
    about: Mapping[str, Any]
    fitting: Callable[..., Iterator[Fit]] = r_stack.fits
    runs = True

    def versions(self, platform: Platform, effort: Effort) -> dict[str, str]:
        """Versions of R and its packages."""
        return dict(self.about["versions"])

    def identity(self) -> list[Any]:
        """That R, by its own word, and our code that runs there."""
        code = file_sha256(*(resource("r", name) for name in ("fit.R", "glmm.R", "serve.R")))
        return ["R", self.engine, dict(self.about), code]

    def fits(self, designs: Sequence[Any], platform: Platform, effort: Effort) -> Iterator[Fit]:
        """One Fit a design, in their order, over as many Rs as there may be."""
        variables = [f"{name}={value}" for name, value in platform.environment().items()]
        # By env and not in our own environment: other candidates run at the same time.
        command = ("env", *variables, *self.command)
        tasks = [(self.engine, design) for design in designs]
        # Dealt out like cards, so that each fit is handed on, and kept, when its turn comes.
        hands = [tasks[k :: effort.processes] for k in range(effort.processes)]
        running = [_ahead(self.fitting(command, hand, effort.seconds)) for hand in hands if hand]
        for k in range(len(tasks)):
            yield next(running[k % len(running)])

    def calls(
        self, requests: Sequence[tuple[str, Sequence[Any]]], platform: Platform, effort: Effort
    ) -> list[Any]:
        """R engines have no probes."""
        return [EngineError("R engines are asked for fits alone") for _ in requests]


@dataclass(frozen=True)
class RecordedCandidate:
    """lme4 or nlme of a recorded stack, played back.

    Parameters
    ----------
    label, engine : str
    playing : RecordedEngine or RecordedGlmm
    """

    label: str
    engine: str
    playing: RecordedEngine | RecordedGlmm
    runs = False

    def versions(self, platform: Platform, effort: Effort) -> dict[str, str]:
        """Versions of R and its packages, when it was recorded."""
        return dict(self.playing.references.provenance["versions"])

    def identity(self) -> list[Any]:
        """The list of its files with their checksums."""
        return ["recorded", self.engine, self.playing.references.provenance]

    def fits(self, designs: Sequence[Any], platform: Platform, effort: Effort) -> Iterator[Fit]:
        """One Fit a design, in their order; of what is not recorded an unsupported one."""
        for design in designs:
            yield replace(self.playing.fit(design), engine=self.engine)

    def calls(
        self, requests: Sequence[tuple[str, Sequence[Any]]], platform: Platform, effort: Effort
    ) -> list[Any]:
        """Only fits are recorded."""
        return [EngineError("only fits are recorded") for _ in requests]


def _ahead(fits: Iterator[Fit]) -> Iterator[Fit]:
    """The same, made in a thread while others are waited for; what that raises is raised here."""
    made: queue.SimpleQueue[Fit | BaseException] = queue.SimpleQueue()

    def run() -> None:
        try:
            for fit in fits:
                made.put(fit)
        except BaseException as error:  # whatever it is, it belongs to who asked
            made.put(error)

    threading.Thread(target=run, daemon=True).start()
    while True:
        item = made.get()
        if isinstance(item, BaseException):
            raise item
        yield item
