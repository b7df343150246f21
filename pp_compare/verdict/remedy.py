"""What to do about an engine that is not right: something that was run on these data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Remedy:
    """A call that reached the optimum.

    Parameters
    ----------
    engine : str
        Engine id, with the setting that was run.
    code : str
        To paste, in the engine's own language.
    gives : str
        What it then gives, with the numbers.
    """

    engine: str
    code: str
    gives: str
