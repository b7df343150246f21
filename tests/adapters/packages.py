"""Engines of other people's packages, where they are installed."""

from __future__ import annotations

import pytest

from pp_compare.engines import Engine, make_engine
from pp_compare.errors import UnavailableError


def engine_or_skip(engine_id: str) -> Engine:
    """The engine; where its package is not installed the test is left out, with the reason."""
    try:
        return make_engine(engine_id)
    except UnavailableError as why:
        pytest.skip(f"make adapters runs this: {why}")
