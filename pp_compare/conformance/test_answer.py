"""The engine answers every model that it says it can express."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pp_compare.conformance.checks import Check


@pytest.mark.pp_checks("answer")
def test_answer(pp_case_check: Check, pp_settle: Callable[[Check], None]) -> None:
    """One model."""
    pp_settle(pp_case_check)
