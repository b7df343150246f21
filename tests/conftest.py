"""Where there is no R, tests that need it are left out by name; under CI that is an error."""

from __future__ import annotations

import os
import shutil

import pytest

CI = bool(os.environ.get("CI"))


def _r_runs_here() -> bool:
    if shutil.which("Rscript") is None:
        return False
    try:
        import rpy2.rinterface_lib  # noqa: F401  # the question is whether it imports
    except (ImportError, OSError, ValueError):
        return False
    return True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    no_r = pytest.mark.skip(reason="no R here: pp-compare doctor")
    missing = not _r_runs_here()
    for item in items:
        if "needs_r" in item.keywords and missing:
            if CI:
                raise pytest.UsageError("tests need R and CI has none: pp-compare doctor says why")
            item.add_marker(no_r)
