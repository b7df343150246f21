"""The example passes, and a copy of it with a fault fails with a message that names the fault."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import statsmodels.formula.api  # noqa: F401  # an inner run would load it again and again

import pp_compare.conformance  # noqa: F401  # as above
from tests.conformance.conftest import EXAMPLE, copy_example
from tests.conformance.faults import FAULTS, Fault

pytest_plugins = ["pytester"]
# Hypothesis is loaded again by every inner run that knows its plugin; three seconds each.
SUITE = ("-p", "no:hypothesispytest", "--pyargs", "pp_compare.conformance")
NUMBERS = (*SUITE[:3], *(f"pp_compare.conformance.test_{name}" for name in ("identities", "truth")))
ENGINE = ("--pp-engine", "henderson.adapter:Engine")
BY_NAME = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)


def test_the_example_passes(example: Callable[..., None], pytester: pytest.Pytester) -> None:
    example()
    cases = ("--pp-case", "seed_case1", "--pp-case", "two_optima_ml", "--pp-case", "sleepstudy")
    outcome = pytester.runpytest_inprocess(*SUITE, *ENGINE, *cases).parseoutcomes()
    assert outcome["passed"] > 100
    assert set(outcome) <= {"passed", "skipped", "xfailed"}


@BY_NAME
def test_a_fault_is_named(
    fault: Fault, example: Callable[..., None], pytester: pytest.Pytester
) -> None:
    example(fault.file, fault.old, fault.new)
    run = pytester.runpytest_inprocess(*NUMBERS, *ENGINE, "--pp-case", "seed_case1")
    assert run.ret == pytest.ExitCode.TESTS_FAILED
    assert_named(fault, run.stdout.str())


def assert_named(fault: Fault, printed: str) -> None:
    """The message of the fault's own check, from its headline to the next."""
    _, found, rest = printed.partition(f"_ {fault.check} _")
    assert found, f"{fault.check} did not fail:\n{printed}"
    message = rest.partition("\n__")[0]
    for words in (*fault.words, "again      pytest --pyargs", "evidence   pp-compare reproduce"):
        assert words in message
    assert "Traceback" not in message


@pytest.mark.slow
def test_installed_from_its_folder_it_passes_and_with_a_fault_it_fails(tmp_path: Path) -> None:
    """In an environment of its own, as its author has it: pip, pytest, no R."""
    python = _environment(tmp_path, EXAMPLE)
    assert _run(python, tmp_path, "--pp-engine", "henderson").returncode == 0
    for k, fault in enumerate(FAULTS):
        copy = copy_example(tmp_path / str(k), fault.file, fault.old, fault.new)
        _install(python, "--no-deps", "--force-reinstall", str(copy))
        run = _run(python, tmp_path, "--pp-engine", "henderson", "--pp-case", "seed_case1")
        assert run.returncode == 1
        assert_named(fault, run.stdout)


def _environment(folder: Path, package: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    _install(python, str(Path(__file__).parents[2]), str(package), "pytest")
    return python


def _install(python: Path, *what: str) -> None:
    subprocess.run([python, "-m", "pip", "install", "-q", *what], check=True)


def _run(python: Path, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """With no R to be found."""
    return subprocess.run(
        [python, "-m", "pytest", "-p", "no:cacheprovider", *SUITE, *options],
        cwd=folder,
        env={"PATH": str(python.parent), "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
