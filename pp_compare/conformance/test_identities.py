"""Algebra: the engine's own numbers belong together, wherever it stopped."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pp_compare.conformance.checks import Check


@pytest.mark.pp_checks("identity")
def test_identity(pp_case_check: Check, pp_settle: Callable[[Check], None]) -> None:
    """One identity on one model."""
    pp_settle(pp_case_check)
