"""Where there is no R, tests that need it are left out by name; under CI that is an error."""

from __future__ import annotations

import os
import shutil

import pytest

CI = bool(os.environ.get("CI")) and "PP_COMPARE_NO_R" not in os.environ
"""A run that says that it has no R may have none."""


def _r_runs_here() -> bool:
    return shutil.which("Rscript") is not None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    no_r = pytest.mark.skip(reason="no R here: pp-compare doctor")
    missing = not _r_runs_here()
    for item in items:
        if "needs_r" in item.keywords and missing:
            if CI:
                raise pytest.UsageError("tests need R and CI has none: pp-compare doctor says why")
            item.add_marker(no_r)
