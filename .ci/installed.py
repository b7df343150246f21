"""Run the tests against what people install: the wheel, in an environment of its own.

    .venv/bin/python .ci/installed.py [PYTEST OPTIONS]

The wheel and the sdist are built; the wheel must hold every file of the package, and the sdist
must build the same wheel. The wheel is installed in a fresh environment outside the checkout, with
uv where that succeeds and with pip else. The tests are taken from the sdist, without the package
beside them, so that nothing but the wheel can be imported. The home of the run cannot be written.
Needs hatchling, and uv or pip, in the interpreter that runs it.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = {"pp_compare": "pp_compare", "r": "pp_compare/r", "fixtures": "pp_compare/fixtures"}
"""Folders of the checkout, and where they are in the wheel."""
EXTRA = os.environ.get("PP_COMPARE_WITH", "")
"""More requirements, as ``numpy==1.26.0``: the lowest versions, say, or a nightly one."""
LOWEST = bool(os.environ.get("PP_COMPARE_LOWEST"))
"""Whether the lowest versions that the wheel declares are installed."""
BUILT = os.environ.get("PP_COMPARE_WHEEL", "")
"""A wheel that was built before and must be the same, to be tested in the place of the new one."""
LITTER = {"__pycache__", ".DS_Store", ".ipynb_checkpoints"}


def main() -> int:
    """Build, install, test; the status of pytest, or 1 with a sentence."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pp compare ") as temporary:
        stage = Path(temporary)
        wheel, suite = build(stage)
        python = install(stage, wheel)
        say(f"Installed after {time.monotonic() - started:.0f} s")
        status = run_tests(stage, suite, python, sys.argv[1:])
    say(f"Done after {time.monotonic() - started:.0f} s")
    return status


def build(stage: Path) -> tuple[Path, Path]:
    """The wheel, and the unpacked sdist without the package."""
    say("Building the wheel and the sdist")
    hatchling(ROOT, "wheel", stage / "wheel")
    hatchling(ROOT, "sdist", stage / "sdist")
    (wheel,) = (stage / "wheel").glob("*.whl")
    (sdist,) = (stage / "sdist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(stage / "sources", filter="data")
    (sources,) = (stage / "sources").iterdir()
    hatchling(sources, "wheel", stage / "again")
    (again,) = (stage / "again").glob("*.whl")
    hold_whole(contents(wheel))
    hold_same(contents(wheel), contents(again))
    if BUILT:
        hold_same(contents(wheel), contents(Path(BUILT)))
        wheel = Path(BUILT).resolve()
    for folder in PACKAGE:
        shutil.rmtree(sources / folder)
    return wheel, sources


def hatchling(folder: Path, target: str, where: Path) -> None:
    """Build one target of a source tree."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(where)]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def contents(wheel: Path) -> dict[str, bytes]:
    """The files of a wheel by name."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def hold_whole(files: dict[str, bytes]) -> None:
    """Every file of the package in the checkout is in the wheel, with its bytes."""
    for folder, place in PACKAGE.items():
        for path in (ROOT / folder).rglob("*"):
            inner = path.relative_to(ROOT / folder)
            if path.is_file() and not LITTER & set(inner.parts) and path.suffix != ".pyc":
                name = f"{place}/{inner.as_posix()}"
                if files.get(name) != path.read_bytes():
                    sys.exit(f"the wheel has no '{name}', or another one than the checkout")


def hold_same(ours: dict[str, bytes], theirs: dict[str, bytes]) -> None:
    """The sdist builds the wheel that the checkout builds."""
    different = sorted(n for n in ours.keys() | theirs.keys() if ours.get(n) != theirs.get(n))
    if different:
        sys.exit(f"the sdist builds another wheel: {', '.join(different[:5])} differ")


def install(stage: Path, wheel: Path) -> Path:
    """A fresh environment with the wheel and what the tests need; its interpreter."""
    folder = stage / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    say("Installing the wheel")
    uv = [sys.executable, "-m", "uv", "pip", "install", "-q", "--compile-bytecode"]
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q"]
    wanted = [f"pp-compare[test] @ {wheel.as_uri()}", *rpy2(wheel), *shlex.split(EXTRA)]
    wanted += lowest(wheel) if LOWEST else ()
    if subprocess.run([*uv, "--python", str(python), *wanted], check=False).returncode:
        say("uv did not succeed; once more with pip")
        subprocess.run([*pip, "--disable-pip-version-check", *wanted], check=True)
    return python


def lowest(wheel: Path) -> list[str]:
    """``numpy==1.26.*`` of ``numpy>=1.26``, for every requirement of the wheel without extras."""
    (metadata,) = (t for n, t in contents(wheel).items() if n.endswith(".dist-info/METADATA"))
    found = re.findall(r"^Requires-Dist: ([\w-]+)>=([\d.]+)$", metadata.decode(), re.MULTILINE)
    return [f"{name}=={version}.*" for name, version in found]


def rpy2(wheel: Path) -> tuple[str, ...]:
    """The rpy2 that loads in the R that is here, as the wheel itself knows it."""
    program = shutil.which("Rscript")
    if program is None:
        return ()
    tell = [program, "--vanilla", "-e", "cat(as.character(getRversion()))"]
    version = subprocess.run(tell, capture_output=True, text=True, check=True).stdout
    sys.path.insert(0, str(wheel))
    from pp_compare.resources import rpy2_for

    return rpy2_for(version)


def run_tests(stage: Path, suite: Path, python: Path, options: Sequence[str]) -> int:
    """Run pytest where the tests are; nothing of the checkout is on its path."""
    no_home = stage / "home"
    no_home.write_text("A file: no folder in it can be made, not even by root.\n")
    # One BLAS thread: the matrices are small. Bytecode is written even where the machine says not
    # to: the tests start dozens of interpreters, each of which would compile everything again.
    given = {
        "HOME": str(no_home / "nobody"),
        "OPENBLAS_NUM_THREADS": "1",
        "PP_COMPARE_INSTALLED": "1",
        "UV_CACHE_DIR": str(uv_cache()),
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
    }
    hidden = {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "VIRTUAL_ENV", "MPLCONFIGDIR"}
    environment = {k: v for k, v in os.environ.items() if k not in hidden} | given
    command = [str(python), "-m", "pytest", *(options or ["-n", "auto", "--dist", "worksteal"])]
    return subprocess.run(command, cwd=suite, env=environment, check=False).returncode


def uv_cache() -> Path:
    """Where uv keeps what it has downloaded, so that the tests need not do it again."""
    command = [sys.executable, "-m", "uv", "cache", "dir"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return Path(done.stdout.strip() or tempfile.gettempdir())


def say(text: str) -> None:
    """On standard error, at once."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
