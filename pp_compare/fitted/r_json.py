"""A fit that ``pp_write_fit()`` of ``r/write_fit.R`` wrote into a JSON file."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from pp_compare.errors import InputError
from pp_compare.fitted.r_record import PACKAGES, fitted_model, r_fit
from pp_compare.fitted.record import FittedModel

MOST_BYTES = 200_000_000
"""Of a file that is read: a fit of a million rows with ten columns."""
HOW = (
    "in R: source('write_fit.R'); pp_write_fit(fit, 'fit.json'); "
    "'pp-compare check --r-function > write_fit.R' gives that file"
)


def read_file(
    path: Path, data: pd.DataFrame | None = None, formula: str | None = None
) -> FittedModel:
    """Read a file of ``r/write_fit.R``; nothing in it is executed.

    Raises
    ------
    InputError
        Where there is no file, or it is not of this kind, with what is wrong.
    """
    if not path.is_file():
        raise InputError(f"no file '{path}'; it is written {HOW}")
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"'{path}' has {path.stat().st_size} bytes; at most {MOST_BYTES} are read")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"'{path}' is no JSON: {error}; it is written {HOW}") from None
    if not isinstance(record, dict):
        raise InputError(f"'{path}' holds no fit; it is written {HOW}")
    try:
        found = r_fit(record)
    except InputError as error:
        raise InputError(f"'{path}': {error}; it is written {HOW}") from None
    package = PACKAGES[found.package]
    source = f"A fit of {package} {found.versions.get(package, '')} from {path.name}".replace(
        "  ", " "
    )
    return fitted_model(found, source, data, formula)
