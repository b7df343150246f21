"""Environments: made once, whole or not at all, and known by what is in them."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
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
