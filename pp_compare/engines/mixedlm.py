"""MixedLM asked with plain data, answering with plain data: arrays, numbers, text.

Imports nothing of this project, so that the same file also runs in the environment of another
release, one that has statsmodels and nothing of ours (`pp_compare.releases`). It keeps to the
Python and the pandas of old releases.

A request describes one model: ``formula``, ``columns`` (by name, see `frame`), ``groups``,
``re_formula``, ``vc_formula``, ``reml``, ``steps``, the keyword arguments of one or more calls
of ``fit``, each from where the last one stopped; ``start``, if there, where the first one starts:
``fe_params``, ``cov_re_sqrt`` and ``vcomp``, relative to the residual standard deviation and
variance; ``predictions``, if False, leaves them out;
``matrices``, if there, are MixedLM's own arguments, in the place of formula and columns.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import scipy
import statsmodels
from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMParams

Request = Mapping[str, Any]
Answer = dict[str, Any]

MOST_WARNINGS = 50
"""Different texts that are kept; of a flood the rest is only counted."""

STEP = 1e-5
"""Of central differences, relative to the factor: error 1e-10 from curvature, 1e-11 from rounding
of a criterion of order 1."""


def about() -> dict[str, str]:
    """Versions of the packages that do the work, statsmodels first."""
    modules = (statsmodels, np, scipy, pd)
    return {module.__name__: module.__version__ for module in modules}


def fit(request: Request) -> Answer:
    """Fit a model; what MixedLM raises is an answer too.

    Returns
    -------
    dict
        ``status`` ("ok" or "error"), ``problem`` (what was raised) and ``warnings``, all as
        "Class: text"; of a fit also `_estimates`, `_predictions`, ``converged``, ``seconds``.
    """
    return _caught(_fit, request)


def _fit(request: Request) -> Answer:
    make = MixedLM if "matrices" in request else MixedLM.from_formula
    model_arguments = request.get("matrices") or arguments(request)
    start = time.perf_counter()
    model: Any = make(**model_arguments)
    result: Any = None
    for step in request["steps"]:
        begin = _starting_point(request) if result is None else _stopping_point(result)
        result = model.fit(reml=request["reml"], start_params=begin, **step)
    answer = read(model, result, request.get("predictions", True))
    answer["seconds"] = time.perf_counter() - start
    return answer


def read(model: Any, result: Any, predictions: bool = True) -> Answer:
    """The numbers of a fit that is there: `_estimates`, and `_predictions` where it has them."""
    answer = {"converged": bool(result.converged), "problem": "", **_estimates(model, result)}
    if predictions:
        try:
            answer.update(_predictions(model, result))
        except (ValueError, np.linalg.LinAlgError) as error:
            answer["problem"] = f"no predictions: {type(error).__name__}: {error}"
    return answer


def _caught(function: Callable[[Request], Answer], request: Request) -> Answer:
    """An answer with the warnings that were given on the way, each text once."""
    said: dict[str, int] = {}

    def note(message: Any, category: type, *_: Any, **__: Any) -> None:
        text = f"{category.__name__}: {message}"
        if text in said or len(said) < MOST_WARNINGS:
            said[text] = said.get(text, 0) + 1

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note
        try:
            answer = {"status": "ok", **function(request)}
        except Exception as error:  # whatever the engine raises is its answer
            answer = {"status": "error", "problem": f"{type(error).__name__}: {error}"}
    return {**answer, "warnings": list(said)}


def arguments(request: Request) -> dict[str, Any]:
    """Arguments of ``MixedLM.from_formula``."""
    names = ("formula", "groups", "re_formula", "vc_formula")
    return {**{name: request[name] for name in names}, "data": frame(request["columns"])}


def frame(columns: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """A table from plain columns.

    Parameters
    ----------
    columns : mapping
        ``{"values": floats}``; ``{"codes": ints, "levels": texts}`` for a categorical; the same
        with ``"plain": True`` for a column of text.
    """
    return pd.DataFrame({name: _column(column) for name, column in columns.items()})


def _column(column: Mapping[str, Any]) -> Any:
    if "values" in column:
        return column["values"]
    if column.get("plain"):
        return np.array(column["levels"], dtype=object)[column["codes"]]
    return pd.Categorical.from_codes(column["codes"], categories=column["levels"])


def _starting_point(request: Request) -> Any:
    """Where the first fit is asked to start; None where MixedLM may choose."""
    if "start" not in request:
        return None
    parts = {name: np.array(values) for name, values in request["start"].items()}
    return MixedLMParams.from_components(**parts)


def _stopping_point(result: Any) -> Any:
    """Where a fit stopped, as ``start_params``: variances relative to the residual variance."""
    return MixedLMParams.from_components(
        fe_params=result.fe_params,
        cov_re=result.cov_re_unscaled,
        vcomp=result.vcomp / result.scale,
    )


def _estimates(model: Any, result: Any) -> Answer:
    """Estimates under statsmodels' own names, and the model matrix that it made."""
    p = len(model.exog_names)
    return {
        "exog_names": list(model.exog_names),
        "exog": np.asarray(model.exog, dtype=float),
        "endog": np.asarray(model.endog, dtype=float),
        "exog_re_names": [str(name) for name in model.data.exog_re_names] if model.k_re else [],
        "fe_params": np.asarray(result.fe_params),
        "cov_params": np.asarray(result.cov_params())[:p, :p],
        "bse_fe": np.asarray(result.bse_fe),
        "scale": float(result.scale),
        "llf": float(result.llf),
        "cov_re": np.asarray(result.cov_re),
        "vcomp": np.asarray(result.vcomp),
    }


def _predictions(model: Any, result: Any) -> Answer:
    """Fitted values and predicted random effects, each with a row in which it counts.

    MixedLM lists a group's effects as those of ``re_formula`` and then component by component; a
    component's columns are told apart by the rows in which they are not zero.
    """
    fitted = np.asarray(result.fittedvalues)
    rows: list[int] = []
    effects: list[np.ndarray] = []
    components: list[list[tuple[int, float]]] = [[] for _ in result.vcomp]
    for g, label in enumerate(model.group_labels):
        of_group, values = model.row_indices[label], np.asarray(result.random_effects[label])
        rows.append(int(of_group[0]))
        effects.append(values[: model.k_re])
        at = model.k_re
        for j, component in enumerate(components):
            columns = _dense(model.exog_vc.mats[j][g])
            for k in range(columns.shape[1]):
                used = np.flatnonzero(columns[:, k])
                if len(used):
                    component.append((int(of_group[used[0]]), float(values[at + k])))
            at += columns.shape[1]
    return {
        "fitted": fitted,
        "effect_rows": np.array(rows, dtype=np.int64),
        "effects": np.array(effects, dtype=float).reshape(len(rows), model.k_re),
        "component_rows": [np.array([row for row, _ in c], dtype=np.int64) for c in components],
        "components": [np.array([value for _, value in c]) for c in components],
    }


def _dense(matrix: Any) -> Any:
    """``from_formula(use_sparse=True)`` keeps the columns of components as sparse matrices."""
    return matrix.toarray() if hasattr(matrix, "toarray") else np.asarray(matrix)


def prepared_model(request: Request) -> Any:
    """A MixedLM on which ``loglike`` and ``score`` can be called; fitted with no iterations."""
    model: Any = MixedLM.from_formula(**arguments(request))
    model.reml = request["reml"]
    model.cov_pen = model.fe_pen = model._freepat = None
    model._cov_sing = 0
    return model


def score_and_slope(request: Request, factor: float) -> tuple[float, float]:
    """The score of one random intercept, and the slope of MixedLM's own log-likelihood.

    Parameters
    ----------
    factor : float
        The parameter: ``tau / sigma``, of either sign; the log-likelihood is even in it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, h = prepared_model(request), STEP * abs(factor)
        up, down = (float(model.loglike(np.array([factor + d]))) for d in (h, -h))
        return float(np.atleast_1d(model.score(np.array([factor])))[0]), (up - down) / (2 * h)


def variance_standard_error(request: Request) -> float:
    """``bse_re`` of the first variance after a default fit; nan where MixedLM raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = MixedLM.from_formula(**arguments(request)).fit(reml=request["reml"])
            return float(np.asarray(result.bse_re)[0])
        except (np.linalg.LinAlgError, ValueError):
            return float("nan")


def information_criteria(request: Request) -> tuple[float, float]:
    """AIC and BIC of a default fit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = MixedLM.from_formula(**arguments(request)).fit(reml=request["reml"])
        return float(result.aic), float(result.bic)
