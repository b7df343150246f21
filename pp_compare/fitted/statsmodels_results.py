"""A fitted ``MixedLMResults`` of statsmodels, read as the fit that it is.

Its numbers are read as those of the engine are (`pp_compare.engines.mixedlm.read`); nothing is
fitted again. What MixedLM was asked for, an optimiser or a start, is in no result.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from pp_compare.engines import mixedlm
from pp_compare.engines.formulas import formulaic_label, group_alias
from pp_compare.engines.statsmodels import Layout, read_fit
from pp_compare.errors import InputError
from pp_compare.fitted.record import FittedModel
from pp_compare.fitted.statsmodels_design import (
    HAND_OVER,
    column_order,
    given_design,
    recovered_design,
)
from pp_compare.model import Method
from pp_compare.model.design import Design

ENGINE = "statsmodels"


def recognises(value: object) -> bool:
    """Whether this is a result of ``MixedLM.fit``, bare or in statsmodels' wrapper."""
    return type(getattr(value, "_results", value)).__name__ == "MixedLMResults"


def read_results(
    result: Any, data: pd.DataFrame | None = None, formula: str | None = None
) -> FittedModel:
    """Design and Fit of a fitted MixedLM.

    Parameters
    ----------
    result : MixedLMResults
        Or its wrapper, as ``MixedLM.fit`` returns it.
    data, formula : DataFrame and str, optional
        The rows that were fitted and the model in lme4's grammar, in the place of what the object
        says of itself; they are held against its matrices.

    Raises
    ------
    InputError
        For a result that is no maximum of a likelihood (penalised, constrained), that has lost its
        data, or whose random part no formula says.
    """
    result = getattr(result, "_results", result)
    model = result.model
    _refuse(result)
    method: Method = "REML" if result.reml else "ML"
    if data is not None and formula is not None:
        design, plan, notes = given_design(model, data, formula, method)
    else:
        design, plan, notes = recovered_design(model, method)
    with _as_fitted(model, result) as again, warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        answer = mixedlm.read(model, result)
    answer |= _labels(model, design, plan)
    texts = dict.fromkeys(f"{each.category.__name__}: {each.message}" for each in said)
    answer |= {"status": "ok", "warnings": list(texts), "seconds": 0.0}
    versions = mixedlm.about()
    fit = replace(read_fit(ENGINE, ({},), design, plan, answer, versions), singular=None)
    source = f"MixedLMResults of statsmodels {versions['statsmodels']}"
    return FittedModel(design, fit, source, (*notes, *again))


def _refuse(result: Any) -> None:
    """Refuse what is a result of MixedLM and not the estimate of this model by its likelihood."""
    if getattr(result.model, "exog", None) is None or getattr(result.model, "endog", None) is None:
        raise InputError(f"the result was stored without its data (remove_data); {HAND_OVER}")
    if not hasattr(result, "reml"):
        raise InputError(
            "the result is one of fit_regularized, which maximises a penalised likelihood; "
            "there is no certified optimum of that: check the result of fit()"
        )
    if getattr(result, "cov_pen", None) is not None or result.model.fe_pen is not None:
        raise InputError(
            "the result was fitted with a penalty (fe_pen or cov_pen); there is no certified "
            "optimum of a penalised likelihood: check the result of a fit without it"
        )
    if getattr(result, "freepat", None) is not None:
        raise InputError(
            "the result was fitted with free=, which holds parameters fixed; write the model with "
            "the effects that are free alone, as independent terms of vc_formula, and check that"
        )


@contextmanager
def _as_fitted(model: Any, result: Any) -> Iterator[tuple[str, ...]]:
    """The criterion of the result, where its model has been fitted by the other one since.

    MixedLM keeps the criterion in the model, and a result computes its log-likelihood when it is
    asked for it.
    """
    kept = model.reml
    model.reml = result.reml
    names = {True: "REML", False: "ML"}
    note = (
        f"The model was fitted again by {names[bool(kept)]} after this {names[bool(result.reml)]} "
        f"fit: the result's own .llf, asked for now, is of {names[bool(kept)]}.",
    )
    try:
        yield note if bool(kept) != bool(result.reml) else ()
    finally:
        model.reml = kept


def _labels(model: Any, design: Design, plan: Layout) -> dict[str, Any]:
    """The columns of the result in the words of the design, found by their values."""
    order = column_order(design.X, np.asarray(model.exog, dtype=float), "the fixed part")
    names = [formulaic_label(design, design.columns[k]) for k in order]
    if plan.correlated is None:
        return {"exog_names": names, "exog_re_names": []}
    block, group = plan.correlated, group_alias(design, plan.correlated)
    order = column_order(block.Z, np.asarray(model.exog_re, dtype=float), "the random part")
    effects = [formulaic_label(design, block.columns[k]) for k in order]
    return {
        "exog_names": names,
        "exog_re_names": [effect.replace("Intercept", group) for effect in effects],
    }
