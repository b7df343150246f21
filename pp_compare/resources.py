"""Files: where those of the package are, and writing that leaves a whole one or none."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pp_compare.errors import InputError

_PACKAGE = Path(__file__).resolve().parent


def resource(*parts: str) -> Path:
    """Path of a file or folder of the package; without a name, of the package itself.

    ``r/`` and ``fixtures/``, as in ``resource("r", "fit.R")``, are folders of the package where it
    is installed; in an editable installation they stand beside it.
    """
    packaged = _PACKAGE.joinpath(*parts)
    return packaged if packaged.exists() else _PACKAGE.parent.joinpath(*parts)


def write_text(path: Path, text: str) -> None:
    """Write a file whole: to a temporary name in the same folder, then renamed.

    Raises
    ------
    InputError
        Where the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        raise InputError(f"cannot write '{path}': {error.strerror}") from error
