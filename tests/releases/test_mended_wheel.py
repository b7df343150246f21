"""A statsmodels whose score has the right sign is right where the released one is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pp_compare.resources import resource
from tests.releases.wheels import MENDED, original, repacked

ROOT = Path(__file__).parents[2]
MODELS = (
    (resource("fixtures", "data", "BodyWeight.csv"), "weight ~ Time * Diet + (Time|Rat)"),
    (ROOT / "tests/cases/small_variance.csv", "y ~ x + z + (1|g)"),
)


@pytest.fixture(scope="module")
def mended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to put before the installed packages."""
    folder = tmp_path_factory.mktemp("mended")
    wheel = repacked(original(folder, "0.15.0"), folder / "wheel", "0.15.1.dev1", MENDED)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target"]
    subprocess.run([*pip, str(folder / "site"), str(wheel)], check=True)
    return folder / "site"


def audit(data: Path, formula: str, site: Path | None, folder: Path) -> tuple[int, str, str]:
    """Exit status, and standing and version of statsmodels."""
    engines = ("--engine", "statsmodels", "--engine", "certified")
    done = subprocess.run(
        [sys.executable, "-m", "pp_compare", "audit", "--data", data, "--formula", formula,
         *engines, "--json", "-"],
        env={**os.environ, "PYTHONPATH": str(site or "")},
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    (case,) = json.loads(done.stdout)["cases"][:1]
    (judgement,) = case["judgements"]
    version = case["fits"]["statsmodels"]["versions"]["statsmodels"]
    return done.returncode, judgement["standing"], version


@pytest.mark.slow
@pytest.mark.parametrize(("data", "formula"), MODELS, ids=lambda x: getattr(x, "stem", ""))
def test_the_repair_turns_wrong_into_right(
    data: Path, formula: str, mended: Path, tmp_path: Path
) -> None:
    assert audit(data, formula, None, tmp_path)[:2] == (1, "wrong")
    status, standing, version = audit(data, formula, mended, tmp_path)
    assert (status, version) == (0, "0.15.1.dev1")
    assert standing.startswith("right")
