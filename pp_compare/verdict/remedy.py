"""What to do about an engine that is not right: something that was run on these data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Remedy:
    """A call that reached the optimum; without code, why there is none.

    Parameters
    ----------
    engine : str
        Engine id, with the setting that was run; empty where nothing that was tried helps.
    code : str
        To paste, in the engine's own language; empty alike.
    gives : str
        What it then gives, with the numbers; or what was tried, and what can be used instead.
    """

    engine: str
    code: str
    gives: str

    @property
    def sentence(self) -> str:
        """What was run and gives, or why there is nothing to run."""
        return f"{self.engine} arrives: {self.gives}" if self.engine else self.gives
