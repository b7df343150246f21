"""What of the suite runs on this machine, and what to do about the rest."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version

from pp_compare.audits.audit import DEFAULT_ENGINES
from pp_compare.audits.glmm_cast import available_glmm_engines
from pp_compare.engines import engine_names
from pp_compare.engines.road import find_rscript
from pp_compare.engines.rscript import RscriptSession
from pp_compare.engines.worker import Workers
from pp_compare.errors import PPCompareError
from pp_compare.resources import resource, rpy2_for

GLMM_ENGINES = ("lme4", "glmmtmb", "glmmpql", "statsmodels:vb")
"""One of each package that fits generalised models."""

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
    """Look at Python, its packages, R, and every engine, made in another process."""
    return [*_packages(), *_r(), *_engines(), *_glmm_engines()]


def _packages() -> Iterator[Finding]:
    yield Finding("Python", True, f"{sys.version.split()[0]} at {sys.executable}")
    yield Finding("pp-compare", True, f"{version('pp-compare')} at {resource()}")
    for name in ("numpy", "scipy", "pandas", "statsmodels", "python-flint"):
        yield Finding(name, True, version(name))


def _r() -> Iterator[Finding]:
    """R by Rscript, its packages, and the fast lane to it."""
    program = find_rscript()
    if program is None:
        said = "no program Rscript on the PATH or in R_HOME"
        yield Finding("R", False, f"{said}. To install it:\n{_r_commands()}")
        return
    try:
        found = RscriptSession([program]).about()["versions"]
    except PPCompareError as error:
        yield Finding("R", False, str(error))
        return
    yield Finding("R", True, f"{found['R']} at {program}")
    for name in ("lme4", "nlme"):
        there = name in found
        text = found[name] if there else f"not in this R. To install it:\n{_r_commands()}"
        yield Finding(f"R package {name}", there, text)
    yield _fast_lane(found["R"])


def _fast_lane(r_version: str) -> Finding:
    """rpy2 is not needed: without it R goes by Rscript."""
    wanted = shlex.join(["pip", "install", *rpy2_for(r_version)])
    advice = f"R goes by Rscript, some milliseconds a fit slower; the fast lane: {wanted}"
    code = "import rpy2.rinterface as r; r.initr(); import importlib.metadata as m; "
    done = subprocess.run(  # noqa: S603  # fixed
        [sys.executable, "-W", "ignore", "-c", code + "print(m.version('rpy2'))"],
        capture_output=True, text=True, timeout=START_LIMIT, check=False,
    )  # fmt: skip
    if done.returncode == 0:
        return Finding("rpy2", True, f"{done.stdout.strip()} drives this R")
    last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    return Finding("rpy2", False, f"{last}. {advice}", needed=False)


def _r_commands() -> str:
    """What to type on this system, one command a line."""
    shell = shutil.which("sh")
    if shell is None:
        return (
            "    install R 4.2 or later from r-project.org, then:\n"
            "    Rscript -e \"install.packages(c('lme4', 'nlme'))\""
        )
    done = subprocess.run(  # noqa: S603  # our own script, which installs nothing with --check
        [shell, str(resource("r", "setup.sh")), "--commands"],
        capture_output=True, text=True, timeout=START_LIMIT, check=False,
    )  # fmt: skip
    return "\n".join(f"    {line}" for line in done.stdout.splitlines())


def _engines() -> Iterator[Finding]:
    """Each is made in a process that is replaced where it dies of that."""
    others = (n for n in engine_names() if n not in (*DEFAULT_ENGINES, "recorded"))
    with Workers(START_LIMIT) as workers:
        for name in (*DEFAULT_ENGINES, *others):
            needed = name in DEFAULT_ENGINES
            try:
                road = workers.make(name)
            except PPCompareError as error:
                yield Finding(f"engine {name}", False, str(error), needed)
            else:
                how = f"starts, by {road}" if road else "starts"
                yield Finding(f"engine {name}", True, how, needed)


def _glmm_engines() -> Iterator[Finding]:
    """Of generalised models none is needed: in R they are played back where they do not run."""
    with Workers(START_LIMIT) as workers:
        for name in GLMM_ENGINES:
            subject = f"generalised models, engine {name}"
            cast = available_glmm_engines([name], workers)
            if name in cast.missing:
                text = (
                    f"{cast.missing[name]}; played back, {cast.sources[name]}, on the named cases"
                )
                yield Finding(subject, False, text, needed=False)
            else:
                road = cast.roads.get(name, "")
                yield Finding(subject, True, f"starts, by {road}" if road else "starts", False)
