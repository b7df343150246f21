"""The readers of the set pass their own tests, each in its own language, without this package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reference.the_set import ROOT

READERS = ROOT / "readers"


def run(command: list[str], folder: Path, **variables: str) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | variables
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_python_with_no_package_at_all() -> None:
    # -S leaves out site-packages, -I the user's own; the tests look at what was loaded.
    code = "import sys, unittest; sys.path.insert(0, '.'); unittest.main('test_reference')"
    assert "OK" in run([sys.executable, "-I", "-S", "-B", "-c", code], READERS / "python")


@pytest.mark.needs_r
@pytest.mark.slow
def test_r_takes_lme4_nlme_and_glmmtmb() -> None:
    has = "cat(all(sapply(c('testthat', 'jsonlite'), requireNamespace, quietly = TRUE)))"
    if not run(["Rscript", "-e", has], ROOT).endswith("TRUE"):
        pytest.skip("R has no testthat or no jsonlite here")
    test = "testthat::test_file('test-reference.R', reporter = 'stop')"
    run(["Rscript", "-e", test], READERS / "R")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cargo") is None, reason="no cargo here")
def test_rust_with_the_standard_library_alone(tmp_path: Path) -> None:
    made = shutil.copytree(READERS / "rust", tmp_path / "readers" / "rust")
    shutil.copytree(ROOT / "items", tmp_path / "items")
    out = run(["cargo", "test", "--offline", "--target-dir", str(tmp_path / "target")], made)
    assert "3 passed" in out
