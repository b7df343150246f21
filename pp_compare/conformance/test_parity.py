"""Parity: every number of the engine against lme4's and nlme's."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pp_compare.conformance.checks import Check


@pytest.mark.pp_checks("parity")
def test_parity(pp_case_check: Check, pp_settle: Callable[[Check], None]) -> None:
    """One quantity of one model against one reference."""
    pp_settle(pp_case_check)
