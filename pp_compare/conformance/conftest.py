"""How an outcome becomes the outcome of a test."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pp_compare.conformance.checks import Check


@pytest.fixture
def settle(record_property: Callable[[str, object], None]) -> Callable[[Check], None]:
    """Run a check: a known deviation is an expected failure, with its id."""

    def run(check: Check) -> None:
        outcome = check.run()
        if outcome.digits is not None:
            record_property("digits", round(outcome.digits, 1))
        if outcome.verdict == "fail":
            pytest.fail(outcome.text, pytrace=False)
        if outcome.verdict == "known":
            pytest.xfail(outcome.text)
        if outcome.verdict == "skip":
            pytest.skip(outcome.text)

    return run
