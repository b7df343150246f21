"""By which road R is reached, and what is said where there is none."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from pp_compare.engines import _rpy2, road
from pp_compare.errors import UnavailableError

pytestmark = pytest.mark.usefixtures("_anew")


@pytest.fixture
def _anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that an earlier test has started is used, nor kept."""
    monkeypatch.setattr(road, "_started", road._started.__wrapped__)
    monkeypatch.delenv(road.CHOICE, raising=False)


def no_rpy2() -> None:
    raise UnavailableError("rpy2 is not installed")


@pytest.mark.needs_r
def test_without_rpy2_it_is_an_rscript_that_stays_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_rpy2, "started", no_rpy2)
    session = road._started()
    assert Path(session.road).name == "Rscript"
    session.require("nlme")
    with pytest.raises(UnavailableError, match=r"no package called .nonesuch"):
        session.require("nonesuch")
    session.close()


def test_without_both_it_says_what_was_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_rpy2, "started", no_rpy2)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UnavailableError, match="no program Rscript on the PATH or in R_HOME"):
        road._started()


def test_an_rscript_that_is_none_is_told_with_what_rpy2_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_rpy2, "started", no_rpy2)
    monkeypatch.setattr(road, "find_rscript", lambda: sys.executable)
    with pytest.raises(UnavailableError, match=r"runs no R: .*; and rpy2: rpy2 is not installed"):
        road._started()


def test_the_choice_leaves_one_road(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_rpy2, "started", no_rpy2)
    monkeypatch.setenv(road.CHOICE, "rpy2")
    with pytest.raises(UnavailableError, match="rpy2 is not installed"):
        road._started()


def test_rscript_is_looked_for_where_each_system_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, programs = tmp_path / "my R", tmp_path / "Program Files"
    for version in ("4.4.1", "4.5.0"):
        (programs / "R" / f"R-{version}" / "bin").mkdir(parents=True)
        (programs / "R" / f"R-{version}" / "bin" / "Rscript.exe").touch()
    monkeypatch.setenv("R_HOME", str(home))
    monkeypatch.setenv("PROGRAMFILES", str(programs))
    assert list(road._places()) == ["Rscript", str(home / "bin" / "Rscript")]
    monkeypatch.setattr(sys, "platform", "win32")
    newest = [programs / "R" / f"R-{version}" for version in ("4.5.0", "4.4.1")]
    assert list(road._places())[2:] == [str(r / "bin" / "Rscript.exe") for r in newest]
