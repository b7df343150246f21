"""The example's package, whole or with a fault, where an inner pytest finds it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugin"


def copy_example(folder: Path, file: str = "", old: str = "", new: str = "") -> Path:
    """A copy of the example, with one piece of one file replaced."""
    copy = folder / "plugin"
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    if file:
        path = copy / "src" / "henderson" / file
        text = path.read_text()
        assert text.count(old) == 1, f"{old!r} is not what {file} says, so there would be no fault"
        path.write_text(text.replace(old, new))
    return copy


@pytest.fixture
def example(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    """Puts a copy of the example on the path, as if it were installed."""

    def put(file: str = "", old: str = "", new: str = "") -> None:
        folder = tmp_path_factory.mktemp("example")
        copy = copy_example(folder, file, old, new)
        metadata = folder / "henderson_example-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: henderson-example\nVersion: 1.0\n"
        )
        monkeypatch.syspath_prepend(folder)
        monkeypatch.syspath_prepend(copy / "src")

    return put
