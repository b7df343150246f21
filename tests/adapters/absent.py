"""An engine that no machine can run."""

from __future__ import annotations

from pp_compare.errors import UnavailableError


def make(setting: str | None) -> object:
    raise UnavailableError("engine 'absent' is nowhere: stay as you are")
