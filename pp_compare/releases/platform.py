"""What numbers depend on beside the release: the processor's kernels in BLAS, and its threads."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, replace
from pathlib import Path

from pp_compare.errors import InputError


@dataclass(frozen=True)
class Platform:
    """One way to run the same release.

    Parameters
    ----------
    kernel : str
        ``OPENBLAS_CORETYPE``; empty leaves the choice to OpenBLAS.
    threads : int
        Of BLAS.
    repeat : int
        Counts runs that differ in nothing else.
    """

    kernel: str = ""
    threads: int = 1
    repeat: int = 0

    @property
    def label(self) -> str:
        """As in tables."""
        parts = [self.kernel or "BLAS's own kernel"]
        parts += [f"{self.threads} threads"] if self.threads > 1 else []
        parts += ["again"] if self.repeat else []
        return ", ".join(parts)

    def environment(self) -> dict[str, str]:
        """Variables for the process."""
        count = str(self.threads)
        threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), count)
        return threads | ({"OPENBLAS_CORETYPE": self.kernel} if self.kernel else {})


def pinned() -> Platform:
    """The platform that releases are compared on: one kernel that most machines of a kind have."""
    forced = os.environ.get("OPENBLAS_CORETYPE")
    if forced:
        return Platform(forced)
    machine = platform.machine().lower()
    if machine in ("x86_64", "amd64"):
        return Platform("Haswell" if "avx2" in _flags() else "Nehalem")
    return Platform("ARMV8" if machine in ("aarch64", "arm64") else "")


def variants(base: Platform, asked: list[str] | None = None) -> tuple[Platform, ...]:
    """Platforms that give the noise floor beside the pinned one.

    Parameters
    ----------
    asked : list of str, optional
        ``again``, ``kernel=NAME`` or ``threads=N``. By default a second run, the kernel of another
        processor, and two threads.

    Raises
    ------
    InputError
        For anything else.
    """
    other = {"Haswell": "Nehalem", "ARMV8": "NEOVERSEN1"}.get(base.kernel)
    default = ["again", "threads=2", *([f"kernel={other}"] if other else [])]
    return tuple(_variant(base, text) for text in (default if asked is None else asked))


def _variant(base: Platform, text: str) -> Platform:
    word, _, value = text.partition("=")
    if text == "again":
        return replace(base, repeat=1)
    if word == "kernel" and value.isalnum():
        return replace(base, kernel=value)
    if word == "threads" and value.isdigit() and int(value) > 0:
        return replace(base, threads=int(value))
    raise InputError(f"--floor is again, kernel=NAME or threads=N, not '{text}'")


def _flags() -> set[str]:
    """Features of the processor, where Linux tells them."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return set()
    lines = (line for line in text.splitlines() if line.startswith("flags"))
    return set(next(lines, "").split())
