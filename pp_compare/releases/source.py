"""What a candidate was named by: a version, a requirement, a file, a folder, a repository."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from pp_compare.errors import InputError, UnavailableError

Kind = Literal["version", "requirement", "wheel", "source"]

IGNORED = frozenset({".git", "build", "dist", "__pycache__", ".venv", ".mypy_cache", ".ruff_cache"})
"""Folders beside a source that do not go into what is built from it."""


@dataclass(frozen=True)
class Source:
    """Where a candidate comes from.

    Parameters
    ----------
    label : str
        As in the report.
    kind : {"version", "requirement", "wheel", "source"}
        ``source`` is anything that has to be built.
    install : str
        What the installer is given.
    content : str
        Checksum, commit, or the exact requirement: with the same content, the same candidate. Empty
        where only the index knows what it is.
    version : str or None
        Where the name tells it.
    """

    label: str
    kind: Kind
    install: str
    content: str
    version: str | None = None


def parse_source(text: str, package: str) -> Source:
    """Read what was typed.

    Raises
    ------
    InputError
        For a file that is not there, a wheel of another package, or text that is none of these.
    """
    if re.match(r"(git\+|https?://|git@|ssh://)", text):
        return _repository(text, package)
    path = Path(text)
    if path.is_dir():
        if not any((path / name).is_file() for name in ("pyproject.toml", "setup.py")):
            raise InputError(f"'{text}' is a folder without pyproject.toml or setup.py")
        return Source(path.resolve().name, "source", str(path.resolve()), _folder_sha256(path))
    if text.endswith((".whl", ".tar.gz", ".zip")) or "/" in text:
        return _file(path, package)
    try:
        version = Version(text)
    except InvalidVersion:
        return _requirement(text, package)
    return Source(str(version), "version", f"{package}=={version}", str(version), str(version))


def _file(path: Path, package: str) -> Source:
    if not path.is_file():
        raise InputError(f"no file '{path}'")
    content, install = hashlib.sha256(path.read_bytes()).hexdigest(), str(path.resolve())
    wheel = path.suffix == ".whl"
    try:
        name, version = (
            parse_wheel_filename(path.name)[:2] if wheel else parse_sdist_filename(path.name)
        )
    except InvalidWheelFilename as error:
        raise InputError(f"'{path.name}' is not named as a wheel is: {error}") from error
    except InvalidSdistFilename:
        # An archive of a branch, say: what it is of, only building it tells.
        return Source(path.name, "source", install, content)
    if name != canonicalize_name(package):
        what = "a wheel" if wheel else "an sdist"
        raise InputError(f"'{path.name}' is {what} of {name}, not of {package}; see --package")
    kind: Kind = "wheel" if wheel else "source"
    return Source(f"{version} ({path.name})", kind, install, content, str(version))


def _requirement(text: str, package: str) -> Source:
    try:
        wanted = Requirement(text)
    except InvalidRequirement:
        raise InputError(
            f"'{text}' is no version, requirement, wheel, sdist, folder or git address"
        ) from None
    if canonicalize_name(wanted.name) != canonicalize_name(package):
        raise InputError(f"'{text}' asks for {wanted.name}, not for {package}; see --package")
    pins = [s.version for s in wanted.specifier if s.operator == "==" and "*" not in s.version]
    if len(pins) == 1 and len(wanted.specifier) == 1:
        return Source(pins[0], "version", str(wanted), str(wanted), pins[0])
    return Source(str(wanted.specifier) or "newest", "requirement", str(wanted), "")


def _repository(text: str, package: str) -> Source:
    """A git address, ``URL@REF``; what its reference means now is its content."""
    address = text.removeprefix("git+")
    url, _, reference = address.rpartition("@") if "@" in address.rsplit("/", 1)[-1] else (
        address, "", "HEAD")  # fmt: skip
    command = ["git", "ls-remote", "--", url, reference]
    try:
        found = subprocess.run(  # noqa: S603  # the user's own address, after "--", no shell
            command, capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"'{url}' cannot be asked for '{reference}': {error}") from error
    commit = found.stdout.split("\t")[0].strip()
    if found.returncode or not (commit or re.fullmatch(r"[0-9a-f]{40}", reference)):
        said = found.stderr.strip().splitlines()
        reason = said[-1] if said else f"it has no '{reference}'"
        raise InputError(f"'{url}' cannot be asked for '{reference}': {reason}")
    commit = commit or reference
    label = f"{package} {reference} ({commit[:8]})"
    return Source(label, "source", f"{package} @ git+{url}@{commit}", commit)


def _folder_sha256(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in _sources(folder):
        digest.update(str(path.relative_to(folder)).encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _sources(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            if path.name not in IGNORED and not path.name.endswith(".egg-info"):
                yield from _sources(path)
        elif path.is_file():
            yield path
