"""What comes of a probe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Outcome:
    """What came of a probe: whether it is as a user would expect, and in words."""

    ok: bool
    text: str


@dataclass(frozen=True)
class ProbeCheck:
    """A probe of an engine, for a known deviation whose example the model is.

    `verdict` is ``"known"`` where the deviation shows, ``"pass"`` where it no longer does.
    """

    engine: str
    probe: str
    text: str
    verdict: Literal["known", "pass"]
    deviation: str
