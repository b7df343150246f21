"""A conversation with a worker (`serve.py`) that runs in the environment of a candidate.

A worker that crashes, hangs, prints without end or says something else than the protocol costs the
call it did so in; the next call starts a new one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pp_compare.engines.child_process import Ask, ChildProcess
from pp_compare.errors import EngineError
from pp_compare.releases import serve

START_SECONDS = 120.0
"""For a cold disk; statsmodels loads in 2 s here, in 6 s where no bytecode may be kept."""


class Session:
    """Calls of the functions of an adapter in another environment.

    Parameters
    ----------
    python : Path
        The environment's interpreter.
    adapter : Path
        File with the functions.
    environment : mapping of str to str
        Variables on top of this process's own.
    seconds : float
        Wall time that one call may take.
    """

    def __init__(
        self, python: Path, adapter: Path, environment: Mapping[str, str], seconds: float
    ) -> None:
        command = [str(python), "-I", str(Path(serve.__file__)), str(adapter)]
        variables = {**os.environ, **environment}
        self._worker = ChildProcess(command, variables, self._greeted)
        self._seconds = seconds
        self._about: dict[str, str] = {}

    def close(self) -> None:
        """End the worker."""
        self._worker.close()

    def about(self) -> dict[str, str]:
        """Versions of the candidate and what it stands on.

        Raises
        ------
        EngineError
            Where the adapter does not load there, or the worker does not start.
        """
        self._worker.start()
        return self._about

    def call(self, function: str, *arguments: Any) -> Any:
        """Call a function of the adapter.

        Raises
        ------
        EngineError
            Where it raised, crashed, or took too long; with the reason.
        """
        message = {"call": function, "arguments": [serve.encode(a) for a in arguments]}
        reply = self._worker.ask(message, self._seconds)
        if "error" in reply:
            raise EngineError(reply["error"])
        return serve.decode(reply["answer"])

    def _greeted(self, ask: Ask) -> None:
        hello = ask(None, START_SECONDS)
        if hello.get("protocol") != serve.PROTOCOL or "about" not in hello:
            raise EngineError(f"does not load: {hello.get('error', 'no greeting')}")
        self._about = hello["about"]
