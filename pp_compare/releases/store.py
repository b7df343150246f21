"""Results that are kept: JSON files by the checksum of all that they depend on."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import platformdirs

from pp_compare.resources import resource, write_text

SHOWING = ("cli", "report")
"""Rooms of ours on which no result depends."""


def cache_folder(asked: Path | None) -> tuple[Path, str]:
    """The folder for what is kept, and what its reader has to know of it, if anything.

    The one that was asked for, or the user's as the platform has it. Where that cannot be written,
    as in some containers, it is a temporary one of this run alone: one whose name others can guess
    would be one that others can fill.
    """
    folder = asked or platformdirs.user_cache_path("pp-compare", appauthor=False)
    if asked or _can_be_written(folder):
        return folder, ""
    made = Path(tempfile.mkdtemp(prefix="pp-compare-"))
    return made, f"'{folder}' cannot be written, so nothing is kept after this run; see --cache"


def uv_cache(folder: Path) -> dict[str, str]:
    """Variables by which uv has a cache where the user's cannot be written: one in a folder."""
    if "UV_CACHE_DIR" in os.environ or _can_be_written(platformdirs.user_cache_path("uv")):
        return {}
    return {"UV_CACHE_DIR": str(folder / "uv")}


def _can_be_written(folder: Path) -> bool:
    """Whether it is there and can be written, or can be made."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


class Store:
    """Values by key.

    Parameters
    ----------
    folder : Path
        Made when the first value is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str) -> Any:
        """The value, or None; a file that is no JSON counts as not there."""
        try:
            return json.loads(self._path(key).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def put(self, key: str, value: Any) -> None:
        """Keep a value of JSON's kinds; NaN and infinities come back as they are."""
        write_text(self._path(key), json.dumps(value, ensure_ascii=False))

    def remembered(self, key: str, make: Callable[[], Any]) -> Any:
        """The value; made and kept where it is not there."""
        found = self.get(key)
        if found is None:
            found = make()
            self.put(key, found)
        return found

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"


def key_of(*parts: Any) -> str:
    """Checksum of values of JSON's kinds."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@cache
def our_code() -> str:
    """Checksum of our own code and of the registry, but not of what only shows results."""
    digest = hashlib.sha256()
    package = resource()
    rooms = ((path, path.relative_to(package).parts[0]) for path in package.rglob("*.py"))
    code = sorted(path for path, room in rooms if room not in SHOWING)
    registry = sorted(p for p in resource("fixtures", "deviations").rglob("*") if p.is_file())
    for path in [*code, *registry]:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def file_sha256(*paths: Path) -> str:
    """Checksum of files, one after the other."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()
