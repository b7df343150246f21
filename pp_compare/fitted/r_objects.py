"""A fit that lives in R, handed over through rpy2; or a pymer4 model, which holds one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pp_compare.engines._rpy2 import session
from pp_compare.errors import EngineError, InputError
from pp_compare.fitted.r_record import PACKAGES, fitted_model, r_fit
from pp_compare.fitted.record import FittedModel


def read_object(
    fitted: Any, data: pd.DataFrame | None = None, formula: str | None = None
) -> FittedModel:
    """Read a ``merMod``, an ``lme`` or a ``glmmTMB`` of rpy2, or a fitted ``Lmer`` of pymer4.

    Raises
    ------
    InputError
        For another R object, in R's words, or a pymer4 model that is not fitted.
    UnavailableError
        Where R does not answer.
    """
    inner = fitted
    if type(fitted).__module__.startswith("pymer4"):
        # 0.8 keeps it as model_obj, 0.9 as r_model.
        inner = getattr(fitted, "model_obj", None) or getattr(fitted, "r_model", None)
        if inner is None:
            raise InputError("the pymer4 model is not fitted yet: call its .fit() first")
    try:
        record = session("lme4").describe(inner)
    except EngineError as error:
        raise InputError(f"R cannot describe this object: {error}") from None
    found = r_fit(_plain(record))
    package = PACKAGES[found.package]
    source = f"A fit of {package} {found.versions.get(package, '')} through rpy2"
    return fitted_model(found, source, data, formula)


def _plain(value: Any) -> Any:
    """As a JSON file has it: a list of one for one."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    return [_plain(each) for each in value] if isinstance(value, list) else value
