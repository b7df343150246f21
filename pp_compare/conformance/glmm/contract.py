"""The contract of an adapter to an engine of generalised models: the clauses are those of all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from functools import cached_property

import numpy as np
import pandas as pd

from pp_compare.certified.glmm.model import GlmmModel
from pp_compare.conformance.contract import Adapter, AnyDesign, contradiction, inner_of
from pp_compare.conformance.glmm.relations import RELATIONS, check_relation
from pp_compare.data.glmm_corpus import glmm_case
from pp_compare.model import Dataset
from pp_compare.model.glmm import GlmmDesign, build_glmm_design

USUAL = ("cbpp", "glmm_one_large", "glmm_exposure", "glmm_overdispersed")
"""Trials, 0/1, counts with an offset, two random terms."""

EDGES = ("glmm_boundary", "glmm_separated", "glmm_rare")
"""Where programs raise: a variance of 0, no maximum, rare events."""

OWED = ("beta", "beta_cov", "beta_se", "loglik")


class GlmmAdapter(Adapter):
    """An engine of generalised models under contract."""

    @cached_property
    def designs(self) -> tuple[AnyDesign, ...]:
        """The usual models and the edges."""
        return tuple(glmm_case(name).design() for name in USUAL + EDGES)

    def owed(self, design: AnyDesign) -> tuple[str, ...]:
        """There is no sigma, and a mean is not asked for."""
        groups = inner_of(design).group_levels
        return (*OWED, *(f"{kind}[{group}]" for kind in ("random_cov", "blup") for group in groups))

    def arrays(self, design: AnyDesign) -> dict[str, np.ndarray]:
        """Successes and trials too."""
        found = super().arrays(design)
        if isinstance(design, GlmmDesign):
            found |= {"y": design.y, "trials": design.trials, "offset": design.offset}
        return found

    def ten_clusters(self, names: Sequence[str], y: str, x: str, group: str) -> AnyDesign:
        """Six rows of 0 and 1 a cluster, a predictor within, with names as given."""
        rng = np.random.default_rng(20)
        codes = np.repeat(np.arange(len(names)), 6)
        values = rng.normal(size=len(codes))
        eta = 0.5 * values + rng.normal(size=len(names))[codes]
        seen = rng.binomial(1, 1 / (1 + np.exp(-eta)))
        frame = pd.DataFrame({y: seen, x: values, group: np.repeat(names, 6)})
        formula = f"`{y}` ~ `{x}` + (1|`{group}`)"
        return build_glmm_design(Dataset("odd names", frame), formula, "binomial")

    def contradictions(self) -> Iterator[str]:
        """Where the order of the rows matters."""
        design = deepcopy(glmm_case("cbpp").design())
        first, model = self.fit(design), GlmmModel(design)
        for relation in RELATIONS:
            if relation.id == "rows-permuted" and first.status == "ok":
                for line in check_relation(relation, self.fit, first, model):
                    if line.verdict == "fail":
                        yield contradiction(relation.statement, line)
