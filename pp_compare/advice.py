"""What to type where something is missing: commands that work however this package came here."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from importlib.metadata import requires

from packaging.requirements import Requirement

INSTALL_R = "pp-compare doctor says how to install it here"
"""One place knows the commands of every system: ``r/setup.sh``, which the doctor asks."""


def pip_install(extra: str) -> str:
    """The command that installs what an extra of this package asks for.

    It names the packages themselves, so that it works where this package is on no index.
    """
    words = dict.fromkeys(_requirements(extra))
    return shlex.join(["pip", "install", *words])


def _requirements(extra: str) -> Iterator[str]:
    """Requirements of an extra; those that it takes over from others, too."""
    for line in requires("pp-compare") or ():
        requirement = Requirement(line)
        if not _belongs(requirement, extra):
            continue
        if requirement.name == "pp-compare":
            for other in sorted(requirement.extras):
                yield from _requirements(other)
        else:
            yield f"{requirement.name}{requirement.specifier}"


def _belongs(requirement: Requirement, extra: str) -> bool:
    """Whether a requirement is the extra's own, and one for this machine."""
    marker = requirement.marker
    return (
        marker is not None
        and marker.evaluate({"extra": extra})
        and not marker.evaluate({"extra": ""})
    )
