"""Environments: made once, whole or not at all, and known by what is in them."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from pp_compare.errors import EngineError, UnavailableError
from pp_compare.releases import environment, index
from pp_compare.releases.environment import Recipe, find_uv, provide
from pp_compare.releases.index import companions_date
from pp_compare.releases.source import parse_source


def toy_wheel(folder: Path, version: str, line: str) -> Path:
    """A package without dependencies, so that no index is needed."""
    path = folder / f"toy-{version}-py3-none-any.whl"
    info = f"toy-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("toy.py", line)
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: toy\nVersion: {version}\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(
            f"{info}/RECORD", f"toy.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n"
        )
    return path


RECIPE = Recipe(package="toy")


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """No index is asked for times; which releases would have been."""
    found: list[tuple[str, str]] = []
    monkeypatch.setattr(
        environment, "companions_date", lambda package, version, _: found.append((package, version))
    )
    return found


def test_a_file_gets_the_companions_of_the_release_whose_number_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[tuple[str, str]]
) -> None:
    wheel = parse_source(str(toy_wheel(tmp_path, "1.0", "x = 1\n")), "toy")
    assert "--exclude-newer" not in environment._options(wheel, RECIPE)
    assert asked == [("toy", "1.0")]
    monkeypatch.setattr(environment, "companions_date", lambda *_: date(2023, 6, 15))
    options = environment._options(wheel, RECIPE)
    assert options[options.index("--exclude-newer") + 1] == "2023-06-15"


def test_an_environment_is_made_once_and_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = parse_source(str(toy_wheel(tmp_path, "1.0", "x = 1\n")), "toy")
    made = provide(source, RECIPE, tmp_path)
    assert made.versions == {"toy": "1.0"}
    asked = [str(made.python), "-I", "-c", "import toy; print(toy.x)"]
    assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout == "1\n"
    monkeypatch.setattr(environment, "_make", lambda *_: pytest.fail("made again"))
    assert provide(source, RECIPE, tmp_path) == made
    assert [p.name for p in (tmp_path / "environments").iterdir()] == [made.python.parts[-3]]


BACKEND = """
import zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(f"{folder}/toy-1.0-py3-none-any.whl", "w") as wheel:
        wheel.write("toy.py")
        info = {"METADATA": "Metadata-Version: 2.1\\nName: toy\\nVersion: 1.0\\n",
                "WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
                "RECORD": "toy.py,,\\n"}
        for name, text in info.items():
            wheel.writestr(f"toy-1.0.dist-info/{name}", text)
    return "toy-1.0-py3-none-any.whl"
"""
"""Builds the package by itself, so that no index is needed."""
BUILD = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


def toy_source(folder: Path) -> Path:
    """What a maintainer has: a folder that builds."""
    folder.mkdir()
    for name, text in {"pyproject.toml": BUILD, "backend.py": BACKEND, "toy.py": "x = 3\n"}.items():
        (folder / name).write_text(text)
    return folder


def as_folder(source: Path) -> str:
    return str(source)


def as_sdist(source: Path) -> str:
    with tarfile.open(source.parent / "toy-1.0.tar.gz", "w:gz") as archive:
        archive.add(source, "toy-1.0")
    return str(source.parent / "toy-1.0.tar.gz")


def as_repository(source: Path) -> str:
    git = ["git", "-C", str(source), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *words], check=True)
    return f"git+file://{source}@main"


@pytest.mark.parametrize("named", [as_folder, as_sdist, as_repository])
def test_what_has_to_be_built_is_built(named: Callable[[Path], str], tmp_path: Path) -> None:
    source = parse_source(named(toy_source(tmp_path / "source")), "toy")
    assert source.kind == "source"
    made = provide(source, RECIPE, tmp_path)
    assert made.versions == {"toy": "1.0"}
    asked = [str(made.python), "-I", "-c", "import toy; print(toy.x)"]
    assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout == "3\n"


def test_another_content_is_another_environment(tmp_path: Path) -> None:
    locks = set()
    for line in ("x = 1\n", "x = 2\n"):
        wheel = toy_wheel(tmp_path, "1.0", line)
        locks.add(provide(parse_source(str(wheel), "toy"), RECIPE, tmp_path).python)
    assert len(locks) == 2


def test_what_does_not_install_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    wheel = tmp_path / "toy-1.0-py3-none-any.whl"
    wheel.write_bytes(b"no archive")
    with pytest.raises(EngineError, match="does not install"):
        provide(parse_source(str(wheel), "toy"), RECIPE, tmp_path)
    assert list((tmp_path / "environments").iterdir()) == []


def test_a_full_disk_is_told_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "SPACE", 2**80)
    source = parse_source(str(toy_wheel(tmp_path, "1.0", "")), "toy")
    with pytest.raises(UnavailableError, match="MB are free"):
        provide(source, RECIPE, tmp_path)


def test_uv_is_found_or_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Path(find_uv()).name.startswith("uv")
    monkeypatch.setitem(__import__("sys").modules, "uv", None)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(UnavailableError, match="pip install"):
        find_uv()


PAGE = """
<a href="https://x/toy-1.0-py3-none-any.whl#sha256=0" data-upload-time="2023-05-05T12:00:00.5Z">
</a>
<a href="toy-1.0.tar.gz" data-upload-time="2023-05-06T00:00:00Z">toy</a>
<a href="toy-2.0.tar.gz" data-upload-time="2024-01-01T00:00:00Z">toy</a>
<a href="toy-3.0.tar.gz">toy</a>
"""


def test_a_page_of_an_index_gives_times() -> None:
    page = index._Page()
    page.feed(PAGE)
    assert page.files[0] == ("toy-1.0-py3-none-any.whl", "2023-05-05T12:00:00.5Z")
    assert page.files[3] == ("toy-3.0.tar.gz", None)


def test_companions_are_those_of_the_last_file_of_a_release(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files = [
        ("toy-1.0-py3-none-any.whl", datetime(2023, 5, 5, tzinfo=UTC)),
        ("toy-1.0.tar.gz", datetime(2023, 5, 6, tzinfo=UTC)),
        ("toy-2.0.tar.gz", datetime(2024, 1, 1, tzinfo=UTC)),
    ]
    monkeypatch.setattr(index, "_files", lambda *_: iter(files))
    assert companions_date("toy", "1.0") == date(2023, 6, 5)
    assert companions_date("toy", "9.9") is None


def test_an_index_that_does_not_answer_leaves_what_is_known() -> None:
    assert companions_date("statsmodels", "0.14.6", "http://localhost:9") == date(2026, 1, 10)
    assert companions_date("toy", "1.0", "https://localhost:9") is None
