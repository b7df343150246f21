"""Hold the fits of one case against algebra, the truth and each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pp_compare.audits.known import Known
from pp_compare.audits.selection import Selection
from pp_compare.certified.models import CertifiedModel, DegenerateModelError, certified_model
from pp_compare.certified.why_singular import why_singular
from pp_compare.engines.certified import certified_fit
from pp_compare.errors import DataError
from pp_compare.identities import check_identities
from pp_compare.model import Fit
from pp_compare.model.dataset import checksum
from pp_compare.model.design import Design
from pp_compare.report.record import CaseReport
from pp_compare.verdict import judgement
from pp_compare.verdict.agreement import Comparison, compare, compare_criterion
from pp_compare.verdict.attribution import Stop, attribute, stop_of
from pp_compare.verdict.deviations import Deviation, Fact
from pp_compare.verdict.digits import excess
from pp_compare.verdict.judgement import Judgement
from pp_compare.verdict.tolerance import Tolerances, derive_tolerances

PARITY_REFERENCES = ("lme4", "nlme")
"""Engines that the others are held against."""


@dataclass(frozen=True, eq=False)
class Judged:
    """One case with what it was judged by.

    Parameters
    ----------
    report : CaseReport
    model : CertifiedModel or None
        None where the model has no certified optimum.
    tolerances : Tolerances or None
    """

    report: CaseReport
    model: CertifiedModel | None = None
    tolerances: Tolerances | None = None


def judge(
    selection: Selection, design: Design, fits: Mapping[str, Fit], registry: Sequence[Deviation]
) -> CaseReport:
    """Hold the fits of one case against algebra, the truth and each other, and judge each."""
    return judged(selection, design, fits, registry).report


def judged(
    selection: Selection, design: Design, fits: Mapping[str, Fit], registry: Sequence[Deviation]
) -> Judged:
    """As `judge`, with the model that the fits were judged by."""
    answered = {engine: fit for engine, fit in fits.items() if fit.status == "ok"}
    try:
        model = certified_model(design, _starts(design, answered.values()))
        tolerances = derive_tolerances(design, model)
    except (DegenerateModelError, DataError) as reason:
        return Judged(_without_truth(selection, design, fits, registry, str(reason)))
    fits = _with_certified(design, fits, model)
    answered = {engine: fit for engine, fit in fits.items() if fit.status == "ok"}
    stops = {e: stop_of(design, f, model) for e, f in answered.items() if e != "certified"}
    truth = [
        line
        for engine, stop in stops.items()
        for line in against_truth(design, answered[engine], stop, model, tolerances)
    ]
    lines = [*_no_answers(fits, model), *truth, *parity(answered, tolerances, truth)]
    known = Known(registry, design, fits, case_facts(design, model), stops)
    report = _labelled(selection, known, lines)
    found = tuple(_judgements(design, fits, stops, model, report.comparisons))
    return Judged(replace(report, judgements=found), model, tolerances)


def _without_truth(
    selection: Selection,
    design: Design,
    fits: Mapping[str, Fit],
    registry: Sequence[Deviation],
    reason: str,
) -> CaseReport:
    """A model without a certified optimum: nothing is held against it, and nobody accused."""
    lines = [_skipped(fit, reason) for fit in fits.values()]
    known = Known(registry, design, fits, _data_facts(design), {})
    found = tuple(
        judgement.unjudged(fit, reason)
        if fit.status == "ok"
        else judgement.without_answer(fit, reason)
        for engine, fit in fits.items()
        if engine != "certified"
    )
    return replace(_labelled(selection, known, lines), judgements=found)


def _labelled(selection: Selection, known: Known, lines: Sequence[Comparison]) -> CaseReport:
    """The case with its identities, lines and probes, each with the entry that knows it."""
    answered = [fit for fit in known.fits.values() if fit.status == "ok"]
    identities = [c for fit in answered for c in check_identities(known.design, fit)]
    checked = tuple(known.identity(check) for check in identities)
    labelled = tuple(known.comparison(line) for line in lines)
    probed = tuple(known.probes(selection))
    return replace(
        case_report(selection, known.design, known.fits),
        identities=checked,
        comparisons=labelled,
        probes=probed,
        stale=known.stale(selection, checked, labelled, probed),
    )


def _with_certified(
    design: Design, fits: Mapping[str, Fit], model: CertifiedModel
) -> dict[str, Fit]:
    """The fits, the certified one that of the model that judges: a report holds one truth."""
    shown = fits.get("certified")
    if shown is None:
        return dict(fits)
    fit = certified_fit(model, seconds=shown.seconds)
    why = why_singular(design, model)
    extra = {**fit.extra, "why_singular": why} if why else fit.extra
    return {**fits, "certified": replace(fit, extra=extra)}


def _judgements(
    design: Design,
    fits: Mapping[str, Fit],
    stops: Mapping[str, Stop | str],
    model: CertifiedModel,
    lines: Sequence[Comparison],
) -> Iterator[Judgement]:
    """One for each engine but the certified one."""
    for engine, fit in fits.items():
        own = [line for line in lines if (line.candidate, line.kind) == (engine, "truth")]
        if engine == "certified":
            continue
        if fit.status == "ok":
            yield judgement.judge_fit(design, fit, stops[engine], model, own)
        else:
            yield judgement.without_answer(fit, _unfixed(model), own[0])


def _unfixed(model: CertifiedModel) -> str:
    """Why not everything in the model is identified; empty where it is."""
    return model.existence.sentence if model.existence.kind == "not identified" else ""


def case_report(selection: Selection, design: Design, fits: Mapping[str, Fit]) -> CaseReport:
    """A case with its fits, before anything is held together."""
    csv = design.dataset.exact_csv()
    return CaseReport(
        case=selection.case,
        why=selection.why,
        formula=design.spec.formula,
        method=design.spec.method,
        n_obs=design.n_obs,
        rows_dropped=design.rows_dropped,
        columns_dropped=design.columns_dropped,
        n_groups={group: len(levels) for group, levels in design.group_levels.items()},
        data_sha256=checksum(csv),
        fits=dict(fits),
        data_csv=csv,
        weights=design.spec.weights,
    )


def unjudged(selection: Selection, design: Design, fits: Mapping[str, Fit], reason: str) -> Judged:
    """Nothing of this case was compared, which is a failure of ours and said so."""
    lines = tuple(
        replace(_skipped(fit, f"the comparison {reason}"), verdict="fail", cause="failure")
        for fit in fits.values()
    )
    found = tuple(judgement.unjudged(fit, f"the comparison {reason}") for fit in fits.values())
    report = case_report(selection, design, fits)
    return Judged(replace(report, comparisons=lines, judgements=found))


def judge_alone(
    design: Design, fit: Fit, model: CertifiedModel, tolerances: Tolerances
) -> Judgement:
    """Judge one fit by the certified optimum alone, with nothing known."""
    if fit.status != "ok":
        return judgement.without_answer(fit)
    stop = stop_of(design, fit, model)
    lines = against_truth(design, fit, stop, model, tolerances)
    return judgement.judge_fit(design, fit, stop, model, lines)


def against_truth(
    design: Design, fit: Fit, stop: Stop | str, model: CertifiedModel, tolerances: Tolerances
) -> list[Comparison]:
    """One fit against the certified optimum, each difference with its cause."""
    lines = compare(fit, Fit("certified", "ok", model.optimum.quantities), tolerances)
    if isinstance(stop, Stop):
        best = model.optimum.deviance
        lines = [compare_criterion(fit.engine, stop.deviance, best, tolerances), *lines]
    return attribute(design, fit, stop, model, tolerances, lines)


def parity(
    fits: Mapping[str, Fit], tolerances: Tolerances, truth: Sequence[Comparison]
) -> list[Comparison]:
    """Each engine against lme4 and nlme; a difference belongs to the side that is further off."""
    return [
        _blamed(line, truth) if line.verdict == "fail" else line
        for reference in (r for r in PARITY_REFERENCES if r in fits)
        for engine in _candidates(fits, reference)
        for line in compare(fits[engine], fits[reference], tolerances)
    ]


def _blamed(line: Comparison, truth: Sequence[Comparison]) -> Comparison:
    """The line with the side that is further from the truth, in tolerances, and its cause."""
    sides = (line.candidate, line.reference)
    of_quantity = [t for t in truth if t.quantity == line.quantity and t.candidate in sides]
    same = [t for t in of_quantity if t.label == line.label]
    # Of many numbers only the worst has a line, which may be another one on each side.
    judged = same if len(same) == len(sides) else of_quantity
    off = [t for t in judged if t.verdict == "fail"]
    if not off:
        return line
    worst = max(off, key=_size)
    follows = f"{worst.candidate} against certified"
    return replace(line, cause=worst.cause, follows=follows, blamed=worst.candidate)


def _size(line: Comparison) -> float:
    """Error in tolerances; one that is no number is the largest."""
    size = excess(line.error, line.tolerance)
    return np.inf if np.isnan(size) else size


def _candidates(fits: Mapping[str, Fit], reference: str) -> list[str]:
    earlier = PARITY_REFERENCES[: PARITY_REFERENCES.index(reference) + 1]
    return [engine for engine in fits if engine not in (*earlier, "certified")]


def case_facts(design: Design, model: CertifiedModel) -> dict[str, Fact]:
    """What the registry may ask of a case whose optimum is certified."""
    return _data_facts(design) | _optimum_facts(design, model)


def _data_facts(design: Design) -> dict[str, Fact]:
    """What the registry may ask of the data: `Deviation` has the list."""
    sizes = [np.bincount(codes) for codes in design.group_codes.values()]
    spread = float(design.y.std())
    return {
        "method": design.spec.method,
        "rows": float(design.n_obs),
        "groups": float(max(len(levels) for levels in design.group_levels.values())),
        "random_effects": float(sum(len(block.columns) for block in design.blocks)),
        "size_ratio": float(max(n.max() / n.min() for n in sizes)),
        "offset": abs(float(design.y.mean())) / spread if spread else np.inf,
    }


def _optimum_facts(design: Design, model: CertifiedModel) -> dict[str, Fact]:
    best, spread = model.optimum, float(design.y.std())
    return {
        "boundary": best.singular,
        "optima": float(len(best.optima)),
        "residual_share": float(best.representative["sigma"].values) / spread if spread else np.nan,
    }


def _starts(design: Design, fits: Iterable[Fit]) -> list[np.ndarray]:
    """The engines' own answers as starting points of the certified search, in lme4's theta."""
    found = []
    needed = {"sigma", *(f"random_cov[{group}]" for group in design.group_levels)}
    for fit in (f for f in fits if needed <= set(f.quantities)):
        sigma = float(fit["sigma"])
        parts = [relative_factors(cov, sigma) for cov in design.by_block(fit.covariances)]
        theta = np.concatenate(parts)
        if np.isfinite(theta).all():
            found.append(theta)
    return found


def relative_factors(cov: np.ndarray, sigma: float) -> np.ndarray:
    """Lower triangle, column by column, of the Cholesky factor of cov / sigma^2."""
    q = len(cov)
    with np.errstate(all="ignore"):
        scaled = cov / sigma**2
    if not np.isfinite(scaled).all():
        return np.full(q * (q + 1) // 2, np.nan)
    # A singular covariance has no Cholesky factor in floating point: QR of a square root has.
    values, vectors = np.linalg.eigh(scaled)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    factor = np.asarray(np.linalg.qr(root.T, mode="r")).T
    factor = factor * np.where(np.diag(factor) < 0, -1.0, 1.0)
    return np.concatenate([factor[k:, k] for k in range(q)])


def _no_answers(fits: Mapping[str, Fit], model: CertifiedModel) -> Iterator[Comparison]:
    """A line for each fit without numbers: an engine that raised has failed.

    One that cannot express the model is left out; one that refuses what is not identified is right;
    one that was stopped at the time limit has no answer either, but differs from nothing.
    """
    for fit in (f for f in fits.values() if f.status != "ok"):
        line = _skipped(fit, "; ".join(fit.messages))
        if fit.out_of_time:
            yield replace(line, reason=f"{fit.messages[0]}; --limit SECONDS gives it more")
        elif fit.status == "unsupported" or _unfixed(model):
            yield line
        else:
            yield replace(line, verdict="fail", cause="failure")


def _skipped(fit: Fit, reason: str) -> Comparison:
    nan = float("nan")
    return Comparison(
        fit.engine, "certified", "fit", "", nan, nan, nan, 0.0, nan, reason, "skip", count=0
    )
