"""Likelihood-ratio tests between certified optima."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from scipy import special

from pp_compare.certified.models import certified_model
from pp_compare.errors import DataError
from pp_compare.inferences.table import Estimate
from pp_compare.model.design import Design, build_design
from pp_compare.model.spec import Term


def likelihood_ratio(design: Design) -> list[Estimate]:
    """Each term that no other contains left out; both models at their certified ML optimum."""
    smaller = list(_smaller(design))
    if not smaller:
        return []
    full = _ml_deviance(replace(design, spec=replace(design.spec, method="ML")))
    found = []
    for term, small in smaller:
        df = len(design.labels) - len(small.labels)
        statistic = _ml_deviance(small) - full
        p = float(special.chdtrc(df, statistic))
        found.append(Estimate(":".join(term), df=float(df), statistic=statistic, p=p))
    return found


def _smaller(design: Design) -> Iterator[tuple[Term, Design]]:
    spec = replace(design.spec, method="ML")
    for term in spec.fixed:
        if any(set(term) < set(other) for other in spec.fixed):
            continue
        fixed = tuple(other for other in spec.fixed if other != term)
        try:
            small = build_design(design.dataset, replace(spec, fixed=fixed), "drop")
        except DataError:  # an empty fixed part: nothing to compare with
            continue
        # Of another number of rows, the term's own missing ones would come back.
        if small.n_obs == design.n_obs:
            yield term, small


def _ml_deviance(design: Design) -> float:
    return certified_model(design).optimum.deviance
