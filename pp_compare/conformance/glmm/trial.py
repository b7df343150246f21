"""An engine of generalised models on trial: each model is fitted once, and judged once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pp_compare.audits.glmm_judging import identities_of, model_of
from pp_compare.audits.glmm_known import Known
from pp_compare.certified.glmm.model import GlmmModel
from pp_compare.conformance.glmm.models import GlmmModelCase
from pp_compare.conformance.glmm.relations import GlmmRelation, check_relation
from pp_compare.engines.glmm.registry import GlmmEngine, make_glmm_engine
from pp_compare.identities.record import IdentityCheck
from pp_compare.model import Fit
from pp_compare.model.glmm import GlmmDesign
from pp_compare.verdict.agreement import Comparison
from pp_compare.verdict.deviations import Deviation, load_glmm_deviations
from pp_compare.verdict.glmm import judge_glmm
from pp_compare.verdict.judgement import Judgement


@dataclass(frozen=True, eq=False)
class Judged:
    """What was found of one model."""

    fit: Fit
    judgement: Judgement
    comparisons: tuple[Comparison, ...]
    identities: tuple[IdentityCheck, ...]


class GlmmTrial:
    """An engine of generalised models, and what was found so far.

    Parameters
    ----------
    engine : GlmmEngine or str
        An engine, or its id.
    engine_id : str, optional
        What was typed for an engine that is made.
    registry : sequence of Deviation, optional
        Known deviations of generalised models; those of the project by default.

    Raises
    ------
    InputError
        For an engine that there is not.
    UnavailableError
        For one that this machine cannot run.
    """

    generates = False
    """Whether there are generated data for its models."""

    def __init__(
        self,
        engine: GlmmEngine | str,
        engine_id: str | None = None,
        registry: Sequence[Deviation] | None = None,
    ) -> None:
        self.engine_id = engine if isinstance(engine, str) else engine_id
        self.engine = make_glmm_engine(engine) if isinstance(engine, str) else engine
        self.registry = load_glmm_deviations() if registry is None else tuple(registry)
        self._models: dict[str, GlmmModel] = {}
        self._judged: dict[str, Judged] = {}

    @property
    def name(self) -> str:
        """Engine id under which the engine's numbers stand."""
        return self.engine.name

    @property
    def header(self) -> str:
        """What it is and what it is held against, in a line."""
        return f"engine {self.name}, against the certified maximum of its own criterion"

    def unsupported(self, model: GlmmModelCase) -> str | None:
        """Why the engine cannot express a model; None where it can."""
        return self.engine.unsupported(model.design)

    def certified(self, model: GlmmModelCase) -> GlmmModel:
        """The criteria of a model."""
        self.judged(model)
        return self._models[model.id]

    def judged(self, model: GlmmModelCase) -> Judged:
        """The model with everything that was found; the first call fits it."""
        if model.id not in self._judged:
            fit = replace(self.fit(model.design), engine=self.name)
            answered = [(fit["beta"], fit.covariances)] if fit.status == "ok" else []
            certified = self._models[model.id] = model_of(model.design, answered)
            judgement, lines = judge_glmm(certified, fit)
            checks = identities_of(certified, fit) if judgement.standing != "no answer" else []
            known = Known(self.registry, model.design, model.case.name)
            self._judged[model.id] = Judged(fit, *known.marked(fit, judgement, lines, checks))
        return self._judged[model.id]

    def fit(self, design: GlmmDesign) -> Fit:
        """What the engine answers; what it raises is its answer."""
        reason = self.engine.unsupported(design)
        if reason is not None:
            return Fit.unsupported(self.name, reason)
        try:
            return self.engine.fit(design)
        except Exception as error:  # an engine's fault is its answer
            return Fit.failed(self.name, f"raised {type(error).__name__}: {error}")

    def comparisons(self, model: GlmmModelCase, quantity: str) -> list[Comparison]:
        """The lines of one quantity."""
        return [line for line in self.judged(model).comparisons if line.quantity == quantity]

    def identity(self, model: GlmmModelCase, identity: str) -> IdentityCheck | None:
        """The outcome of one identity; None where the engine does not give what it is about."""
        found = self.judged(model).identities
        return next((check for check in found if check.identity == identity), None)

    def relation(self, model: GlmmModelCase, relation: GlmmRelation) -> list[Comparison]:
        """Both fits of a relation, compared.

        The log-likelihood is left out where the engine counts it from the saturated model, which is
        another one on the changed data.
        """
        certified, found = self.certified(model), self.judged(model)
        lines = check_relation(relation, self.fit, found.fit, certified)
        counted = any(
            line.candidate_value != float(found.fit["loglik"])
            for line in self.comparisons(model, "loglik")
        )
        return [line for line in lines if not (counted and line.quantity == "loglik")]
