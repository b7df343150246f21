"""The engine answers every model that it says it can express."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pp_compare.conformance.checks import Check


@pytest.mark.pp_checks("answer")
def test_answer(pp_check: Check, settle: Callable[[Check], None]) -> None:
    """One model."""
    settle(pp_check)
