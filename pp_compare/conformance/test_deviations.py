"""Known deviations: each still shows in the examples it is pinned to."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pp_compare.conformance.checks import Check


@pytest.mark.pp_checks("deviation")
def test_deviation(pp_case_check: Check, pp_settle: Callable[[Check], None]) -> None:
    """One entry in one example."""
    pp_settle(pp_case_check)
