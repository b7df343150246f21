"""Hold the fits of one generalised model against both truths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from pp_compare.audits.glmm_known import Known
from pp_compare.audits.selection import GlmmSelection
from pp_compare.certified.glmm.model import Answer, GlmmModel
from pp_compare.engines.glmm.recorded import glmm_key
from pp_compare.engines.recorded import Key
from pp_compare.identities.glmm import check_modes, check_score, check_sum
from pp_compare.identities.record import IdentityCheck
from pp_compare.model import Fit
from pp_compare.model.glmm import GlmmDesign
from pp_compare.report.record import CaseReport
from pp_compare.verdict.agreement import Comparison
from pp_compare.verdict.deviations import Deviation
from pp_compare.verdict.glmm import judge_glmm
from pp_compare.verdict.glmm_tolerance import criterion_tolerance, rounding_of
from pp_compare.verdict.judgement import Judgement

CERTIFIED = "certified"


@dataclass(frozen=True, eq=False)
class Verdicts:
    """What was found of a model: its optima, and of each fit a judgement with its evidence.

    `stale` are known deviations that are pinned to the model and do not show.
    """

    answers: tuple[Answer, ...]
    judgements: tuple[Judgement, ...]
    comparisons: tuple[Comparison, ...] = ()
    identities: tuple[IdentityCheck, ...] = ()
    stale: tuple[str, ...] = ()


def verdicts(
    design: GlmmDesign,
    fits: Mapping[str, Fit],
    registry: Sequence[Deviation] = (),
    case: str = "",
) -> Verdicts:
    """Prove the optima that the fits are held against, and judge them.

    Parameters
    ----------
    design : GlmmDesign
    fits : mapping of str to Fit
    registry : sequence of Deviation
        Of generalised models.
    case : str
        Name of the model, for the entries that are pinned to it.
    """
    answered = [fit for fit in fits.values() if fit.status == "ok"]
    model = model_of(design, [(fit["beta"], fit.covariances) for fit in answered])
    known = Known(registry, design, case)
    judgements: list[Judgement] = []
    comparisons: list[Comparison] = []
    identities: list[IdentityCheck] = []
    for fit in fits.values():
        judgement, lines = judge_glmm(model, fit)
        judgement, lines, checks = known.marked(fit, judgement, lines, identities_of(model, fit))
        judgements.append(judgement)
        comparisons += lines
        identities += checks
    definitions = dict.fromkeys([*model.definitions, *(f.definition for f in fits.values())])
    answers = [model.optimum(d) for d in definitions if d and not model.why_not(d)]
    stale = known.stale(fits.values(), comparisons, identities)
    return Verdicts(tuple(answers), tuple(judgements), tuple(comparisons), tuple(identities), stale)


def model_of(
    design: GlmmDesign, starts: Sequence[tuple[np.ndarray, Mapping[str, np.ndarray]]]
) -> GlmmModel:
    """The criteria of a design; of one random term those of before, which hold what is proved.

    With several terms another optimum is common, and the search starts from the engines' answers
    too: what it finds belongs to them.
    """
    if len(design.design.blocks) > 1:
        return GlmmModel(design, starts)
    return _one_term(Held(design))


@dataclass(frozen=True, eq=False)
class Held:
    """A design by its content."""

    design: GlmmDesign

    @cached_property
    def _key(self) -> Key:
        return glmm_key(self.design)

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Held) and self._key == other._key


@lru_cache(maxsize=64)
def _one_term(held: Held) -> GlmmModel:
    return GlmmModel(held.design)


def identities_of(model: GlmmModel, fit: Fit) -> list[IdentityCheck]:
    """What must hold at a fit's own estimates, of what it gives."""
    if fit.status != "ok" or model.optimum(model.definitions[0]).direction:
        return []
    found = [check_modes(model.design, fit)]
    if model.why_not(fit.definition) == "" and model.optimum(fit.definition).found:
        near = model.near(fit.definition, fit["beta"], fit.covariances)
        allowed = criterion_tolerance(rounding_of(model, near.value.middle))
        found.append(check_score(fit, near.decrement, allowed))
        curvature = model.curvature(fit.definition, "Intercept")
        found.append(check_sum(model.design, fit, curvature, allowed))
    return [check for check in found if check is not None]


def certified_fits(answers: Sequence[Answer]) -> dict[str, Fit]:
    """The optima as fits, ``certified:exact``."""
    return {
        f"{CERTIFIED}:{answer.definition}": Fit(
            f"{CERTIFIED}:{answer.definition}",
            "ok" if answer.found else "unsupported",
            answer.quantities,
            singular=answer.singular,
            messages=() if answer.found else (answer.reason,),
            definition=answer.definition,
            extra={
                "claim": answer.claim,
                "reason": answer.reason,
                "digits": dict(answer.digits),
                **({"direction": list(answer.direction)} if answer.direction else {}),
            },
        )
        for answer in answers
    }


def judged_glmm(
    selection: GlmmSelection,
    design: GlmmDesign,
    fits: Mapping[str, Fit],
    registry: Sequence[Deviation],
) -> CaseReport:
    """Hold the fits of one model against both truths, in this process."""
    found = verdicts(design, fits, registry, selection.case)
    return glmm_case_report(selection, design, fits, found)


def glmm_case_report(
    selection: GlmmSelection,
    design: GlmmDesign,
    fits: Mapping[str, Fit],
    found: Verdicts | None = None,
) -> CaseReport:
    """A model with its fits and what was found of them; before that without."""
    found = found or Verdicts((), ())
    inner = design.design
    return CaseReport(
        case=selection.case,
        why=selection.why,
        formula=design.formula,
        method=f"{design.family}({design.link})",
        n_obs=inner.n_obs,
        rows_dropped=inner.rows_dropped,
        columns_dropped=inner.columns_dropped,
        n_groups={group: len(levels) for group, levels in inner.group_levels.items()},
        data_sha256=inner.dataset.sha256(),
        fits={**certified_fits(found.answers), **fits},
        identities=found.identities,
        comparisons=found.comparisons,
        judgements=found.judgements,
        stale=found.stale,
        data_csv=inner.dataset.exact_csv(),
    )
