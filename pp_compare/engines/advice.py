"""What to type where something is missing: commands that work however this package came here."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from importlib.metadata import requires

from packaging.requirements import Requirement
from packaging.version import Version

INSTALL_R = "pp-compare doctor says how to install it here"
"""One place knows the commands of every system: ``r/setup.sh``, which the doctor asks."""


IN_R = ("lme4", "nlme")


def r_package(name: str) -> str:
    """How to install a package of R."""
    return INSTALL_R if name in IN_R else f'in R: install.packages("{name}")'


RPY2 = ("rpy2>=3.6.4",)
RPY2_BEFORE_4_5 = ("rpy2==3.6.4", "rpy2-rinterface==3.6.5", "rpy2-robjects==3.6.6")
"""The last that load in R 4.2 to 4.4: later ones want the symbol R_getVar."""


def rpy2_for(r_version: str) -> tuple[str, ...]:
    """The requirements of an rpy2 that loads in a version of R."""
    return RPY2_BEFORE_4_5 if Version(r_version) < Version("4.5") else RPY2


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
