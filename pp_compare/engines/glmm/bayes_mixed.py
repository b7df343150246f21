"""statsmodels' Bayesian mixed GLMs asked with plain data, answering with plain data.

Imports nothing of this project, so that the same file also runs in the environment of another
release, one that has statsmodels and nothing of ours (`pp_compare.releases`).

A request describes one model: ``family`` (binomial or poisson), ``fit`` (vb or map), ``y``, ``X``,
``blocks``, of each random term its ``codes``, ``levels`` (how many) and ``column``, and ``seed``.
"""

from __future__ import annotations

import inspect
import time
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy
import statsmodels
from scipy.sparse import csr_matrix, hstack
from statsmodels.genmod import bayes_mixed_glm

Request = Mapping[str, Any]
Answer = dict[str, Any]


def about() -> dict[str, str]:
    """Versions of the packages that do the work, statsmodels first."""
    return {module.__name__: module.__version__ for module in (statsmodels, np, scipy)}


def fit(request: Request) -> Answer:
    """Fit a model; what statsmodels raises is an answer too.

    Returns
    -------
    dict
        ``status`` ("ok" or "error"), ``problem`` (what was raised), ``warnings``, ``seconds``; of a
        fit also ``beta`` and ``beta_se``, ``sd`` of each term, ``modes`` of their levels, one after
        the other.
    """
    answer: Answer = {"status": "ok", "problem": ""}
    # Both start where a generator says: their own since 0.15, before that numpy's global.
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(request["seed"])  # noqa: NPY002
    began = time.perf_counter()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            answer.update(_fit(request))
        except Exception as error:  # it raises whatever numpy and scipy do
            answer.update(status="error", problem=f"{type(error).__name__}: {error}")
        finally:
            np.random.set_state(state)  # noqa: NPY002
    answer["seconds"] = time.perf_counter() - began
    answer["warnings"] = list(dict.fromkeys(str(one.message) for one in said))
    return answer


def _fit(request: Request) -> Answer:
    kind = {"binomial": "BinomialBayesMixedGLM", "poisson": "PoissonBayesMixedGLM"}
    make = getattr(bayes_mixed_glm, kind[request["family"]])
    model = make(np.asarray(request["y"], float), request["X"], *_columns(request))
    search = model.fit_vb if request["fit"] == "vb" else model.fit_map
    takes = inspect.signature(search).parameters
    result = search(rng=request["seed"]) if "rng" in takes else search()
    return {
        "beta": np.asarray(result.fe_mean, float),
        "beta_se": np.asarray(result.fe_sd, float),
        "sd": np.exp(np.asarray(result.vcp_mean, float)),
        "modes": np.asarray(result.vc_mean, float),
    }


def _columns(request: Request) -> tuple[Any, Any]:
    """One indicator column a level of each term, times the term's own column; and their terms."""
    n = len(request["y"])
    parts, ident = [], []
    for k, block in enumerate(request["blocks"]):
        rows = np.arange(n)
        shape = (n, int(block["levels"]))
        parts.append(csr_matrix((block["column"], (rows, block["codes"])), shape=shape))
        ident += [k] * shape[1]
    return hstack(parts).tocsr(), np.array(ident)
