"""Truth: every number of the engine against the certified optimum."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pp_compare.conformance.checks import Check


@pytest.mark.pp_checks("truth")
def test_truth(pp_case_check: Check, pp_settle: Callable[[Check], None]) -> None:
    """One quantity of one model."""
    pp_settle(pp_case_check)
