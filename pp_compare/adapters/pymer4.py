"""pymer4: ``Lmer("y ~ x + (1 | g)", data).fit(REML=True)``, which calls R's lmerTest and lme4.

What it adds on top of lme4 is the way there and back. Variances come back as they are, covariances
of random effects as correlations, and the covariance of the fixed effects not at all. The class is
that of the 0.8 series: 0.9 needs R's package report, which Debian does not have.
"""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
from packaging.version import Version

from pp_compare.adapters.answer import PackageEngine, require
from pp_compare.engines import Engine
from pp_compare.engines._r import effect_names, fixed_names
from pp_compare.engines._rpy2 import session
from pp_compare.engines.alignment import design_error
from pp_compare.engines.formulas import bar, fixed_formula, group_alias, grouped_frame
from pp_compare.errors import UnavailableError
from pp_compare.model.answer import quantities
from pp_compare.model.design import Block, Design
from pp_compare.resources import pip_install

NOT_GIVEN = {"beta_cov": "pymer4 gives standard errors of the coefficients, and no covariances"}


def make() -> Engine:
    """Engine factory: ``Lmer.fit`` with its defaults; it asks R for intervals, too.

    Raises
    ------
    UnavailableError
        Without pymer4 0.8, R with lmerTest, or a pandas before 3.
    """
    require("pymer4", "pymer4")
    for package, first in (("pymer4", "0.9"), ("pandas", "3")):
        if Version(version(package)) >= Version(first):
            raise UnavailableError(
                f"engine 'pymer4' needs {package} before {first}, here is {version(package)}; "
                f"in an environment of its own: {pip_install('pymer4')}"
            )
    session("lmerTest")
    return PackageEngine("pymer4", {"pymer4": "pymer4", "rpy2": "rpy2"}, _answer)


def _answer(design: Design) -> dict[str, Any]:
    from pymer4.models import Lmer  # noqa: PLC0415  # an optional extra

    formula = " + ".join([fixed_formula(design), *(bar(design, b) for b in design.blocks)])
    data = grouped_frame(design)
    start = time.perf_counter()
    model = Lmer(formula, data=data)
    model.fit(REML=design.spec.method == "REML", summarize=False, no_warnings=True)
    seconds = time.perf_counter() - start
    order = [list(model.coefs.index).index(name) for name in fixed_names(design)]
    ours = dict(zip(fixed_names(design), design.labels, strict=True))
    labels = [ours.get(name, name) for name in model.design_matrix.columns]
    endog = model.data[design.alias(design.spec.response)].to_numpy()
    return {
        "seconds": seconds,
        "messages": tuple(map(str, model.warnings)),
        "not_given": NOT_GIVEN,
        "design_error": design_error(design, labels, model.design_matrix.to_numpy(), endog),
        "quantities": quantities(
            design,
            beta=model.coefs["Estimate"].to_numpy()[order],
            beta_se=model.coefs["SE"].to_numpy()[order],
            sigma=float(model.ranef_var.loc["Residual", "Std"]),
            loglik=float(model.logLike),
            covariances=[_covariance(design, block, model) for block in design.blocks],
            effects=[_effects(design, block, model) for block in design.blocks],
            fitted=np.asarray(model.fits),
        ),
    }


def _rows(design: Design, block: Block, table: pd.DataFrame) -> pd.DataFrame:
    """Rows of a table of a block's grouping factor: R calls it ``g``, ``g.1``, ... term by term."""
    alias = group_alias(design, block)
    mine = [str(key).partition(".")[0] == alias for key in table.index]
    return table[mine]


def _covariance(design: Design, block: Block, model: Any) -> np.ndarray:
    """Variances are given, and off the diagonal correlations."""
    rows = _rows(design, block, model.ranef_var)
    variance = dict(zip(rows["Name"], rows["Var"].astype(float), strict=True))
    names = effect_names(design, block)
    cov = np.diag([variance[name] for name in names])
    if len(names) > 1:
        for a, b, corr in _rows(design, block, model.ranef_corr).itertuples(index=False):
            if a in names and b in names:
                i, j = names.index(a), names.index(b)
                cov[i, j] = cov[j, i] = corr * np.sqrt(variance[a] * variance[b])
    return cov


def _effects(design: Design, block: Block, model: Any) -> np.ndarray:
    """The columns of a group's table stand in R's order of its effects, under mangled names."""
    tables = model.ranef if isinstance(model.ranef, list) else [model.ranef]
    table = dict(zip(model.grps, tables, strict=True))[group_alias(design, block)]
    names = list(_rows(design, block, model.ranef_var)["Name"])
    at = [names.index(name) for name in effect_names(design, block)]
    return np.asarray(table.loc[list(block.levels)].iloc[:, at], dtype=float)
