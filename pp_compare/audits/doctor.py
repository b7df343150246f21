"""What of the suite runs on this machine, and what to do about the rest."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from pp_compare.audits.audit import DEFAULT_ENGINES
from pp_compare.engines import engine_names
from pp_compare.engines.worker import Workers
from pp_compare.errors import PPCompareError

START_LIMIT = 60.0
"""Seconds that an engine may take to start; R needs one to three."""


@dataclass(frozen=True)
class Finding:
    """One thing looked at; one that is not `needed` may be missing."""

    subject: str
    ok: bool
    text: str
    needed: bool = True


def diagnose() -> list[Finding]:
    """Look at Python, its packages, R, and every engine, each started in a process of its own."""
    return [*_packages(), _rscript(), *_engines()]


def _packages() -> Iterator[Finding]:
    yield Finding("Python", True, f"{sys.version.split()[0]} at {sys.executable}")
    for name in ("numpy", "scipy", "pandas", "statsmodels", "python-flint", "rpy2-rinterface"):
        try:
            yield Finding(name, True, version(name))
        except PackageNotFoundError:
            advice = "not installed; it drives R: pip install 'pp-compare[r]'"
            yield Finding(name, False, advice)


def _rscript() -> Finding:
    path = shutil.which("Rscript")
    if path is None:
        return Finding("R", False, "no Rscript on the PATH; r/setup.sh installs R or says how")
    done = subprocess.run(  # noqa: S603  # a fixed argument list
        [path, "--vanilla", "-e", "cat(R.version.string)"],
        capture_output=True,
        text=True,
        timeout=START_LIMIT,
        check=False,
    )
    return Finding("R", done.returncode == 0, f"{done.stdout or done.stderr.strip()} at {path}")


def _engines() -> Iterator[Finding]:
    others = (n for n in engine_names() if n not in (*DEFAULT_ENGINES, "recorded"))
    for name in (*DEFAULT_ENGINES, *others):
        needed = name in DEFAULT_ENGINES
        with Workers(START_LIMIT) as workers:
            try:
                workers.make(name)
                yield Finding(f"engine {name}", True, "starts", needed)
            except PPCompareError as error:
                yield Finding(f"engine {name}", False, str(error), needed)
