"""What can be typed for a candidate."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pp_compare.errors import InputError
from pp_compare.releases.source import parse_source


@pytest.mark.parametrize(
    ("text", "kind", "install", "label"),
    [
        ("0.14.6", "version", "statsmodels==0.14.6", "0.14.6"),
        ("0.15.0rc1", "version", "statsmodels==0.15.0rc1", "0.15.0rc1"),
        ("statsmodels==0.14.6", "version", "statsmodels==0.14.6", "0.14.6"),
        ("statsmodels>=0.14,<0.15", "requirement", "statsmodels<0.15,>=0.14",
         "<0.15,>=0.14"),
        ("statsmodels==0.14.*", "requirement", "statsmodels==0.14.*", "==0.14.*"),
        ("statsmodels", "requirement", "statsmodels", "newest"),
    ],
)  # fmt: skip
def test_versions_and_requirements(text: str, kind: str, install: str, label: str) -> None:
    source = parse_source(text, "statsmodels")
    assert (source.kind, source.install, source.label) == (kind, install, label)
    assert bool(source.content) == (kind == "version")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("scipy==1.0", "asks for scipy, not for statsmodels"),
        ("no such thing", "is no version, requirement, wheel"),
        ("./nothing.whl", "no file"),
        ("./nothing.tar.gz", "no file"),
        ("--index-url=x", "is no version"),
    ],
)
def test_what_is_none_of_these(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        parse_source(text, "statsmodels")


def test_a_wheel_tells_its_version_and_is_known_by_its_content(tmp_path: Path) -> None:
    wheel = tmp_path / "statsmodels-0.16.0-py3-none-any.whl"
    wheel.write_bytes(b"one")
    one = parse_source(str(wheel), "statsmodels")
    wheel.write_bytes(b"two")
    two = parse_source(str(wheel), "statsmodels")
    assert one.version == two.version == "0.16.0"
    assert one.content != two.content
    with pytest.raises(InputError, match="a wheel of statsmodels, not of other"):
        parse_source(str(wheel), "other")


def test_an_sdist_tells_its_version_where_its_name_does(tmp_path: Path) -> None:
    for name in ("statsmodels-0.14.6.tar.gz", "main.tar.gz"):
        (tmp_path / name).write_bytes(b"one")
    sdist = parse_source(str(tmp_path / "statsmodels-0.14.6.tar.gz"), "statsmodels")
    assert (sdist.kind, sdist.version) == ("source", "0.14.6")
    assert sdist.label == "0.14.6 (statsmodels-0.14.6.tar.gz)"
    branch = parse_source(str(tmp_path / "main.tar.gz"), "statsmodels")
    assert (branch.kind, branch.version, branch.label) == ("source", None, "main.tar.gz")
    with pytest.raises(InputError, match="an sdist of statsmodels, not of other"):
        parse_source(str(tmp_path / "statsmodels-0.14.6.tar.gz"), "other")


def test_a_wheel_with_a_bad_name(tmp_path: Path) -> None:
    path = tmp_path / "statsmodels.whl"
    path.touch()
    with pytest.raises(InputError, match=r"'statsmodels\.whl' is not named as a wheel is"):
        parse_source(str(path), "statsmodels")


def test_a_folder_is_known_by_its_files_but_not_by_what_was_built(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"without pyproject\.toml"):
        parse_source(str(tmp_path), "statsmodels")
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    one = parse_source(str(tmp_path), "statsmodels")
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "x.o").touch()
    assert parse_source(str(tmp_path), "statsmodels").content == one.content
    (tmp_path / "code.py").write_text("x = 1\n")
    assert parse_source(str(tmp_path), "statsmodels").content != one.content


def test_a_repository_is_known_by_its_commit(tmp_path: Path) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "one"], check=True)
    source = parse_source(f"git+file://{tmp_path}@main", "statsmodels")
    commit = subprocess.run(
        [*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    assert source.content == commit
    assert source.install == f"statsmodels @ git+file://{tmp_path}@{commit}"
    assert source.label == f"statsmodels main ({commit[:8]})"
    with pytest.raises(InputError, match="it has no 'other'"):
        parse_source(f"git+file://{tmp_path}@other", "statsmodels")
