"""What is tested is what people install, where the run says so (`.ci/installed.py`)."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import pp_compare
from pp_compare.releases.store import our_code
from pp_compare.report.audit.evidence import source_checksum
from pp_compare.resources import resource

SUITE = Path(__file__).parents[1]
INSTALLED = "PP_COMPARE_INSTALLED" in os.environ
only_installed = pytest.mark.skipif(not INSTALLED, reason="an editable installation; make test")


@only_installed
def test_it_is_the_wheel_that_is_tested() -> None:
    site = Path(sysconfig.get_path("purelib"))
    assert Path(pp_compare.__file__).parent == site / "pp_compare"
    assert not (SUITE / "pp_compare").exists()


@only_installed
def test_a_process_started_from_here_sees_the_same_package() -> None:
    command = [sys.executable, "-m", "pp_compare", "--version"]
    where = [sys.executable, "-c", "import pp_compare; print(pp_compare.__file__)"]
    said = subprocess.run(where, cwd=SUITE, capture_output=True, text=True, check=True).stdout
    assert said.strip() == pp_compare.__file__
    version = subprocess.run(command, cwd=SUITE, capture_output=True, text=True, check=True).stdout
    assert version.strip() == f"pp-compare {pp_compare.__version__}"


@only_installed
def test_the_home_cannot_be_written() -> None:
    with pytest.raises(OSError, match="Not a directory"):
        Path.home().mkdir(parents=True)


@pytest.mark.parametrize(
    "parts", [("r", "fit.R"), ("fixtures", "deviations"), ("report", "templates"), ("py.typed",)]
)
def test_what_the_package_reads_is_in_it(parts: tuple[str, ...]) -> None:
    assert resource(*parts).exists()
    assert not INSTALLED or resource(*parts).is_relative_to(resource())


def test_checksums_are_of_the_package_wherever_it_is() -> None:
    """The one of results leaves out what only shows them; the one of the evidence is of all."""
    our_code.cache_clear()
    assert len(our_code()) == len(source_checksum()) == 64
