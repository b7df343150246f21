"""Files of the package, writing whole ones, and what to type where something is missing."""

from __future__ import annotations

import errno
import glob
import os
import shlex
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

from pp_compare.errors import InputError, UnavailableError, quoted

UNFINISHED = ".part"
"""Ends the name of a file that is being written; before it stands the number of the process."""

LACKING = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
    | {errno.EAGAIN, errno.ENXIO, errno.ENODEV, errno.ESTALE, errno.ETIMEDOUT}
)
"""What a machine lacks; with every other error of the system it is the path that is wrong."""

_PACKAGE = Path(__file__).resolve().parent


def resource(*parts: str) -> Path:
    """Path of a file or folder of the package; without a name, of the package itself.

    ``r/`` and ``fixtures/``, as in ``resource("r", "fit.R")``, are folders of the package where it
    is installed; in an editable installation they stand beside it.
    """
    packaged = _PACKAGE.joinpath(*parts)
    return packaged if packaged.exists() else _PACKAGE.parent.joinpath(*parts)


def require_folder(path: Path | None) -> None:
    """Refuse a folder that nothing can be written into, before there is anything to write.

    Raises
    ------
    InputError
        Where a file is in its place, or the folder is not ours to write to.
    """
    there = path
    while there is not None and not os.path.lexists(there) and there != there.parent:
        there = there.parent
    if there is None:
        return
    if not there.is_dir():
        raise InputError(f"{quoted(str(there), 300)} is a file, so no folder to write into")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"the folder {quoted(str(there), 300)} cannot be written into")


def write_text(path: Path, text: str) -> None:
    """Write a file whole: to a temporary name in the same folder, then renamed.

    What a killed process left under such a name is removed. A device or a pipe, as ``/dev/stdout``,
    is written to as it is.

    Raises
    ------
    InputError
        Where the folder cannot be written.
    UnavailableError
        Where the disk is full, or fails.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{UNFINISHED}")
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            path.write_text(text, encoding="utf-8", newline="\n")
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_unfinished(path)
        try:
            _write_through(temporary, text)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        lacking = isinstance(error, OSError) and error.errno in LACKING
        kind = UnavailableError if lacking else InputError
        raise kind(f"cannot write {quoted(str(path), 300)}: {why}") from error


def _write_through(path: Path, text: str) -> None:
    """Write to the disk, not only to its cache: a full disk is met here, and a crash finds all."""
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def remove_unfinished(path: Path) -> None:
    """Remove what processes that are no more left of a file they were writing."""
    for remains in path.parent.glob(f".{glob.escape(path.name)}.*{UNFINISHED}"):
        number = remains.name.removesuffix(UNFINISHED).rpartition(".")[2]
        if not (number.isdigit() and is_running(int(number))):
            remains.unlink(missing_ok=True)


def is_running(process: int) -> bool:
    """Whether there is a process of that number."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


# ---- what to type where something is missing ----------------------------------------------------

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
