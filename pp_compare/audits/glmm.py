"""The audit of a generalised mixed model: every engine, each held against both truths."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pp_compare.audits.audit import Progress
from pp_compare.audits.provenance import collect_provenance
from pp_compare.certified.glmm.model import Answer, GlmmModel
from pp_compare.engines.glmm.registry import DEFAULT_ENGINES, fit_glmm, make_glmm_engine
from pp_compare.engines.worker import Workers
from pp_compare.errors import UnavailableError
from pp_compare.identities.glmm import check_modes, check_score, check_sum
from pp_compare.identities.record import IdentityCheck
from pp_compare.model import Dataset, Fit
from pp_compare.model.design import RankPolicy
from pp_compare.model.glmm import Family, GlmmDesign, build_glmm_design
from pp_compare.model.variables import NaPolicy
from pp_compare.report.record import CaseReport, FailOn, Report
from pp_compare.verdict.agreement import Comparison
from pp_compare.verdict.glmm import judge_glmm
from pp_compare.verdict.glmm_tolerance import criterion_tolerance, rounding_of
from pp_compare.verdict.judgement import Judgement, unjudged, with_remedy
from pp_compare.verdict.remedy import Remedy

PROOF_SECONDS = 900.0
"""For the certified optima of a model: the largest that is proved takes some minutes."""

CERTIFIED = "certified"
WRITER = "pp_compare.report.glmm.folder"
"""The module that writes the report into a folder."""


@dataclass(frozen=True, eq=False)
class GlmmSelection:
    """A generalised model on a data set, to be audited."""

    case: str
    dataset: Dataset
    formula: str
    family: Family
    weights: str | None = None
    why: str = ""
    na: NaPolicy = "raise"
    rank: RankPolicy = "raise"

    def design(self) -> GlmmDesign:
        """Its rows and matrices.

        Raises
        ------
        DataError, FormulaError
            For a model that cannot be fitted to the data.
        """
        return build_glmm_design(
            self.dataset, self.formula, self.family, self.weights, self.na, self.rank
        )


@dataclass(frozen=True, eq=False)
class Verdicts:
    """What was found of a model: its optima, and of each fit a judgement with its evidence."""

    answers: tuple[Answer, ...]
    judgements: tuple[Judgement, ...]
    comparisons: tuple[Comparison, ...]
    identities: tuple[IdentityCheck, ...]


def audit_glmm(
    selections: Sequence[GlmmSelection],
    engines: Sequence[str] | None = None,
    *,
    limit: float = 60.0,
    processes: int = 1,
    fail_on: FailOn = "wrong",
    remedies: bool = True,
    command: str = "",
    progress: Progress = lambda _title, _done, _of: None,
) -> Report:
    """Audit generalised mixed models.

    Parameters
    ----------
    selections : sequence of GlmmSelection
    engines : sequence of str, optional
        Engine ids (`pp_compare.engines.glmm`); all that are here by default. ``certified`` is
        always there.
    limit : float
        Seconds a fit may take; then its process is killed.
    processes, fail_on, command, progress
        As in `pp_compare.audits.audit.audit`.
    remedies : bool
        Whether to run the tight settings of glmer where its numbers cannot be used.

    Raises
    ------
    DataError, FormulaError
        For a model that cannot be fitted to the data.
    InputError, UnavailableError
        For an engine that there is not, or not here.
    """
    started = time.perf_counter()
    designs = [selection.design() for selection in selections]
    asked = [e for e in engines or () if e != CERTIFIED]
    with Workers(limit, processes) as workers:
        names = _available(asked or DEFAULT_ENGINES, workers, strict=bool(asked))
        cases, total, done = [], len(designs) * len(names), 0
        for selection, design in zip(selections, designs, strict=True):
            pending = [workers.start(fit_glmm, n, design, otherwise=_failed(n)) for n in names]
            fits = {}
            for name, waiting in zip(names, pending, strict=True):
                fits[name] = replace(waiting(), engine=name)
                done += 1
                progress(f"{selection.case}, {name}", done, total)
            progress(f"proving {selection.case}", done, total)
            case = _case(selection, design, fits, _proved(design, fits, workers))
            cases.append(_mended(case, design, workers) if remedies else case)
    answers = [fit for case in cases for fit in case.fits.values()]
    roads = {name: name for name in names}
    provenance = collect_provenance(answers, roads, command)
    seconds = time.perf_counter() - started
    return Report(provenance, tuple(cases), seconds, fail_on, writer=WRITER)


def _proved(design: GlmmDesign, fits: dict[str, Fit], workers: Workers) -> Verdicts:
    started = workers.start(
        verdicts, design, fits, otherwise=_unproved(fits), seconds=PROOF_SECONDS
    )
    return started()


def _available(names: Sequence[str], workers: Workers, *, strict: bool) -> list[str]:
    """Engines that are here; of those that were not asked for by name, the others are left out."""
    found = []
    for name in dict.fromkeys(names):
        try:
            workers.start(_make, name, otherwise=_refused)()
        except UnavailableError:
            if strict:
                raise
            continue
        found.append(name)
    return found


def _make(name: str) -> str:
    return make_glmm_engine(name).name


def _refused(why: str) -> str:
    raise UnavailableError(why)


def _failed(name: str) -> Callable[[str], Fit]:
    return lambda why: Fit.failed(name, why)


def _unproved(fits: dict[str, Fit]) -> Callable[[str], Verdicts]:
    def otherwise(why: str) -> Verdicts:
        found = tuple(unjudged(fit, f"the proof {why}") for fit in fits.values())
        return Verdicts((), found, (), ())

    return otherwise


def verdicts(design: GlmmDesign, fits: dict[str, Fit]) -> Verdicts:
    """Prove the optima that the fits are held against, and judge them."""
    answered = [fit for fit in fits.values() if fit.status == "ok"]
    model = GlmmModel(design, [(fit["beta"], fit.covariances) for fit in answered])
    judgements: list[Judgement] = []
    comparisons: list[Comparison] = []
    identities: list[IdentityCheck] = []
    for fit in fits.values():
        judgement, lines = judge_glmm(model, fit)
        judgements.append(judgement)
        comparisons += lines
        identities += identities_of(model, fit)
    definitions = dict.fromkeys([*model.definitions, *(f.definition for f in fits.values())])
    answers = [model.optimum(d) for d in definitions if d and not model.why_not(d)]
    return Verdicts(tuple(answers), tuple(judgements), tuple(comparisons), tuple(identities))


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


def _case(
    selection: GlmmSelection, design: GlmmDesign, fits: dict[str, Fit], found: Verdicts
) -> CaseReport:
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
        data_csv=inner.dataset.exact_csv(),
    )


# ---- what mends ---------------------------------------------------------------------------------


def _mended(case: CaseReport, design: GlmmDesign, workers: Workers) -> CaseReport:
    """The case with what mends each fit of glmer that cannot be used."""
    return replace(
        case,
        judgements=tuple(_remedied(j, case, design, workers) for j in case.judgements),
    )


def _remedied(
    judgement: Judgement, case: CaseReport, design: GlmmDesign, workers: Workers
) -> Judgement:
    name, _, setting = judgement.engine.partition(":")
    if name != "lme4" or setting.startswith("tight") or not judgement.bad:
        return judgement
    tight = ":".join(filter(None, ("lme4", "tight", setting)))
    other = next((j for j in case.judgements if j.engine == tight), None)
    if other is None:
        fit = workers.start(fit_glmm, tight, design, otherwise=_failed(tight))()
        fits = {tight: replace(fit, engine=tight)}
        other = _proved(design, fits, workers).judgements[0]
    if other.bad or other.standing == "not judged":
        return with_remedy(judgement, Remedy("", "", f"{tight} does not arrive either"))
    return with_remedy(judgement, Remedy(tight, glmer_call(design, setting), other.sentence))


def glmer_call(design: GlmmDesign, setting: str) -> str:
    """The call of glmer() with its tight settings, to paste."""
    nodes = setting.partition(":")[2]
    counted = f", nAGQ = {nodes}" if nodes else ""
    return (
        f"glmer({design.formula}, data, family = {design.family}{counted},\n"
        '  control = glmerControl(optimizer = c("bobyqa", "bobyqa"), tolPwrss = 1e-13,\n'
        "    optCtrl = list(rhoend = 1e-10, maxfun = 1e5)))"
    )
