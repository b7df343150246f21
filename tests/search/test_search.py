"""The search finds by itself what is known to be wrong, and nothing in an engine that is right."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pp_compare.certified.models import certified_model
from pp_compare.model.design import build_design
from pp_compare.search import run as search
from pp_compare.search.hunts import HUNTS
from pp_compare.search.run import Finding

HUNT = {hunt.id: hunt for hunt in HUNTS}
SECONDS = 5.0
"""The first example of each of these came within 3 s on a busy machine; the rest is shrinking."""


def found(name: str, engine: str = "statsmodels") -> Finding:
    """One hunt, found and shrunk; a failure here may be good news: the defect is repaired."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "HUNTS", (HUNT[name],))
        (finding,) = search.search(engine, SECONDS, seed=3)
    assert finding.badness > 1
    return finding


def test_two_optima_in_at_most_twelve_rows() -> None:
    finding = found("two-optima", "certified")
    assert len(finding.example[0].frame) <= 12
    optima = certified_model(build_design(*finding.example)).optimum.optima
    assert len(optima) == 2


def test_estimates_of_statsmodels_that_contradict_each_other() -> None:
    assert len(found("broken-identity-lbfgs").example[0].frame) <= 60


def test_nothing_is_found_in_the_certified_engine(monkeypatch) -> None:
    general = [h for h in HUNTS if not h.engine and h.id != "two-optima"]
    monkeypatch.setattr(search, "HUNTS", tuple(general))
    assert list(search.search("certified", 1.0 * len(general), seed=3)) == []


def test_the_bundle_of_the_score_needs_statsmodels_and_numpy_alone(tmp_path: Path) -> None:
    finding = found("score-sign")
    assert len(finding.example[0].frame) <= 60
    search.bundle(tmp_path, finding)
    script = tmp_path / "score-sign" / "reproduce.py"
    text = script.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 40
    assert "pandas" not in text
    assert "pp_compare" not in text
    done = subprocess.run(
        [sys.executable, "-I", "-W", "ignore", script], capture_output=True, text=True, check=True
    )
    assert "factor +0.5" in done.stdout
    assert done.stdout.count("DIFFER") == 1
    issue = (tmp_path / "score-sign" / "ISSUE.md").read_text(encoding="utf-8")
    assert issue.startswith("# MixedLM.score has")
    assert all(f"    {line}" in issue for line in done.stdout.splitlines())


@pytest.mark.slow  # as the one above, of another hunt
def test_the_bundle_of_the_variance_shows_both_units(tmp_path: Path) -> None:
    finding = found("variance-se-scale")
    assert len(finding.example[0].frame) <= 60
    search.bundle(tmp_path, finding)
    # The issue holds what the script printed, run alone; that it runs again is tested above.
    issue = (tmp_path / "variance-se-scale" / "ISSUE.md").read_text(encoding="utf-8")
    assert "its standard error by" in issue
    assert "c^2 times as large" in issue
