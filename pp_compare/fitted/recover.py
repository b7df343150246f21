"""Which reader a fitted object is for."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from pp_compare.errors import InputError
from pp_compare.fitted.record import FittedModel

TAKEN = (
    "a MixedLMResults of statsmodels, a merMod or lme through rpy2, a fitted Lmer of pymer4, a "
    "JSON file of pp_write_fit() in R, or the printout of a summary() as text"
)


def recover(
    fitted: object, data: pd.DataFrame | None = None, formula: str | None = None
) -> FittedModel:
    """Read a fitted object as the model and the fit that it is.

    Raises
    ------
    InputError
        For an object that is none of these, with what is.
    """
    # Each reader loads the package whose objects it reads.
    if isinstance(fitted, str | Path):
        from pp_compare.fitted.r_json import read_file  # noqa: PLC0415

        return read_file(Path(fitted), data, formula)
    kind = type(getattr(fitted, "_results", fitted)).__name__
    if kind == "MixedLMResults":
        from pp_compare.fitted.statsmodels_results import read_results  # noqa: PLC0415

        return read_results(fitted, data, formula)
    if type(fitted).__module__.partition(".")[0] in {"rpy2", "pymer4"}:
        from pp_compare.fitted.r_objects import read_object  # noqa: PLC0415

        return read_object(fitted, data, formula)
    if kind == "MixedLM":
        raise InputError("a MixedLM is not fitted yet: pass what its .fit() returns")
    raise InputError(f"a {type(fitted).__name__} is no fit that can be read; there are: {TAKEN}")
