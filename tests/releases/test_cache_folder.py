"""Where results and environments are kept, and what is said where they cannot be."""

from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

from pp_compare.releases.store import cache_folder, uv_cache


@pytest.fixture
def users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user's caches."""
    folder = tmp_path / "user"
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name, **_: folder / name)
    monkeypatch.delenv("UV_CACHE_DIR", raising=False)
    return folder


def test_it_is_the_users_where_that_can_be_made(users: Path) -> None:
    assert cache_folder(None) == (users / "pp-compare", "")
    assert uv_cache(users / "pp-compare") == {}


def test_it_is_the_one_that_was_asked_for(users: Path, tmp_path: Path) -> None:
    assert cache_folder(tmp_path / "mine") == (tmp_path / "mine", "")


def test_without_a_home_it_is_of_this_run_alone_and_said(users: Path) -> None:
    users.write_text("a file, so that no folder can be made in it")
    folder, said = cache_folder(None)
    assert folder.is_dir()
    assert folder != cache_folder(None)[0]
    assert said.startswith(f"'{users / 'pp-compare'}' cannot be written")
    assert uv_cache(folder) == {"UV_CACHE_DIR": str(folder / "uv")}


def test_a_cache_of_uv_that_is_named_stays(users: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    users.write_text("as above")
    monkeypatch.setenv("UV_CACHE_DIR", "/somewhere")
    assert uv_cache(users) == {}
