"""An environment for each candidate, made by uv, kept and used again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.version import Version

from pp_compare.engines.child_process import leash
from pp_compare.errors import EngineError, UnavailableError
from pp_compare.releases.index import PYPI, companions_date
from pp_compare.releases.source import Source
from pp_compare.resources import is_running, pip_install, write_text

SPACE = 2**30
"""Bytes that must be free: an environment takes a quarter, the installer's cache as much."""

SECONDS = 1800.0
"""For an installation; one from source takes minutes."""

ABOUT = "pp-compare.json"
MAKING = ".making-"
"""Begins the name of an environment that is being made; then comes the number of the process."""
NUMERICAL = ("numpy", "scipy", "pandas")


@dataclass(frozen=True)
class Recipe:
    """How environments are made, beside the candidate itself.

    Parameters
    ----------
    package : str
    companions : tuple of str
        Requirements of what stands beside it, as in ``numpy==2.*``.
    python : str
        Version or path, as uv takes it; the interpreter that runs this by default.
    until : date or None
        Nothing newer is installed; by default the time of the release itself, or of the one whose
        number a wheel or an sdist has, where it has one.
    index : str or None
        One more package index; its pre-releases count, except beside a final release.
    """

    package: str = "statsmodels"
    companions: tuple[str, ...] = ()
    python: str = sys.executable
    until: date | None = None
    index: str | None = None


@dataclass(frozen=True)
class Environment:
    """Where a candidate is installed.

    Parameters
    ----------
    python : Path
    versions : mapping of str to str
        Of every package in it.
    contents : mapping of str to str
        Checksum of the installed files of each.
    """

    python: Path
    versions: Mapping[str, str]
    contents: Mapping[str, str]

    @property
    def lock(self) -> str:
        """Checksum of every package's version and files, and of the interpreter's version."""
        told = [self.versions, self.contents]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def provide(source: Source, recipe: Recipe, cache: Path) -> Environment:
    """The environment of a candidate: the one that is there, or a new one.

    Raises
    ------
    EngineError
        Where it cannot be installed, with the installer's words.
    UnavailableError
        Where uv or room on the disk is missing.
    """
    uv = find_uv()
    content = source.content or _resolved(uv, source, recipe)
    key = [source.kind, source.install, content, recipe.package, recipe.companions]
    key += [_python_version(uv, recipe.python), str(recipe.until), recipe.index or ""]
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]
    folder = cache / "environments" / name
    if not (folder / ABOUT).is_file():
        _make(uv, source, recipe, folder)
    about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    return Environment(_interpreter(folder), about["versions"], about["contents"])


def find_uv() -> str:
    """The program uv: the one that came as a package, or the one on the path."""
    try:
        from uv import find_uv_bin  # noqa: PLC0415  # an extra
    except ImportError:
        found = shutil.which("uv")
    else:
        found = str(find_uv_bin())
    if found is None:
        raise UnavailableError(f"uv makes the environments: {pip_install('releases')}")
    return found


def _make(uv: str, source: Source, recipe: Recipe, folder: Path) -> None:
    """Make it under another name, so that it is there whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder.parent).free
    if free < SPACE:
        raise UnavailableError(
            f"{free / 2**20:.0f} MB are free in {folder.parent}; an environment needs up to "
            f"{SPACE / 2**20:.0f}; see --cache"
        )
    remove_unmade(folder.parent)
    prefix = f"{MAKING}{os.getpid()}-"
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=prefix) as temporary:
        made = Path(temporary) / "environment"
        _run([uv, "venv", "--quiet", "--python", recipe.python, str(made)])
        where = ["--python", str(_interpreter(made))]
        wanted = [source.install, *recipe.companions]
        _run([uv, "pip", "install", *_options(source, recipe), *where, *wanted])
        _describe(made)
        try:
            made.rename(folder)
        except OSError:
            if not (folder / ABOUT).is_file():  # else another process was faster
                raise


def remove_unmade(folder: Path) -> None:
    """Remove environments that processes that are no more were making."""
    for remains in folder.glob(f"{MAKING}*"):
        number = remains.name.removeprefix(MAKING).partition("-")[0]
        if not (number.isdigit() and is_running(int(number))):
            shutil.rmtree(remains, ignore_errors=True)


def _options(source: Source, recipe: Recipe) -> list[str]:
    """Binary wheels alone, of the candidate's own time; a source is built, its companions not.

    A file with the number of a release gets what stood beside that release, for an old one does not
    run with today's; a number that no index knows, as of a release to come, gets today's.
    """
    names = NUMERICAL if source.kind == "source" else (":all:",)
    options = ["--quiet", *(word for name in names for word in ("--only-binary", name))]
    until = recipe.until
    if until is None and source.version:
        indexes = [recipe.index] if recipe.index else []
        dates = (companions_date(recipe.package, source.version, i) for i in (*indexes, PYPI))
        until = next(filter(None, dates), None)
    if until is not None:
        options += ["--exclude-newer", until.isoformat()]
    if recipe.index:
        options += ["--index", recipe.index, "--index-strategy", "unsafe-best-match"]
    if recipe.index and not _is_final(source):
        options += ["--prerelease", "allow"]
    return options


def _is_final(source: Source) -> bool:
    """Whether it is a release by its own number: its companions are then releases, too."""
    return source.version is not None and not Version(source.version).is_prerelease


def _resolved(uv: str, source: Source, recipe: Recipe) -> str:
    """What an open requirement means today: exact versions."""
    wanted = "\n".join([source.install, *recipe.companions])
    command = [uv, "pip", "compile", *_options(source, recipe), "--no-header", "--no-annotate",
               "--python", recipe.python, "-"]  # fmt: skip
    return _run(command, wanted)


def _python_version(uv: str, python: str) -> str:
    """Of the interpreter, so that another one gives another environment."""
    path = _run([uv, "python", "find", python]).strip()
    code = "import sys; print(sys.version)"
    return _run([path, "-I", "-c", code]).strip()


def _describe(folder: Path) -> None:
    """Write what is in an environment beside it."""
    site = [str(path) for path in folder.glob("[Ll]ib*/**/site-packages")]
    found = sorted(distributions(path=site), key=lambda d: d.name.lower())
    about = {
        "versions": {d.name: d.version for d in found},
        "contents": {d.name: _files_sha256(d) for d in found},
    }
    write_text(folder / ABOUT, json.dumps(about, indent=1, sort_keys=True) + "\n")


def _files_sha256(package: Distribution) -> str:
    """Of names and checksums of a package's files, as the installer wrote them down."""
    lines = (package.read_text("RECORD") or "").splitlines()
    kept = sorted(line for line in lines if ".dist-info/" not in line and ".pyc" not in line)
    return hashlib.sha256("\n".join(kept).encode()).hexdigest()


def _interpreter(folder: Path) -> Path:
    if sys.platform == "win32":
        return folder / "Scripts" / "python.exe"
    return folder / "bin" / "python"


def _run(command: Sequence[str], text: str | None = None) -> str:
    """Output of a command; EngineError with the end of what it says where it fails."""
    environment = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")}
    try:
        done = subprocess.run(  # noqa: S603  # uv or an interpreter, arguments in a list
            [*leash(command), *command],
            input=text, capture_output=True, text=True, timeout=SECONDS,
            env=environment, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(f"does not install: {error}") from error
    if done.returncode:
        said = " ".join(line.strip(" ╰─▶×│├") for line in done.stderr.strip().splitlines()[-6:])
        raise EngineError(f"does not install: {said}")
    return done.stdout
