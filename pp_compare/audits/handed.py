"""Judging what somebody hands over: a fitted model as the fit that it is, never a refit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from pp_compare.audits.audit import Cast, available_engines
from pp_compare.audits.judging import judged
from pp_compare.audits.mending import mended
from pp_compare.audits.paper import judged_printout
from pp_compare.audits.provenance import collect_provenance
from pp_compare.audits.selection import Selection
from pp_compare.engines import make_engine
from pp_compare.engines.worker import Workers
from pp_compare.errors import InputError
from pp_compare.fitted import FittedModel
from pp_compare.fitted.printed import Printout
from pp_compare.fitted.printout import from_printout
from pp_compare.fitted.recover import recover
from pp_compare.model import Fit, Method
from pp_compare.report.record import FailOn, Report
from pp_compare.verdict.deviations import load_deviations


def check(
    fitted: object,
    data: pd.DataFrame | None = None,
    formula: str | None = None,
    *,
    engines: Sequence[str] = ("certified",),
    method: Method | None = None,
    limit: float = 60.0,
    fail_on: FailOn = "wrong",
) -> Report:
    """Judge a fit that was made: whether its numbers are right, and if not, what is wrong.

    Nothing is fitted again by the program that made the fit; its own numbers are held against the
    certified optimum of its own model on its own data.

    Parameters
    ----------
    fitted : MixedLMResults, merMod, lme, Lmer, Printout, str or Path
        A result of statsmodels' MixedLM; a fit of lme4 or nlme through rpy2; a fitted ``Lmer`` of
        pymer4; a file that R's ``pp_write_fit`` wrote, which ``pp-compare check --r-function``
        prints; or the printout of a ``summary()``, as text.
    data : DataFrame, optional
        Of a printout, which has no data; of another fit, in the place of what it says of itself.
    formula : str, optional
        In lme4's grammar, with `data`; a printout of lmer or lme says it itself.
    engines : sequence of str
        Engines to be fitted beside it, as ``("lme4", "nlme", "certified")``; in worker processes.
    method : {"REML", "ML"}, optional
        Of a printout, in the place of what it says.
    limit : float
        Seconds that a fit beside it may take.
    fail_on : {"wrong", "news", "any", "none"}
        What `Report.raise_for_status` asks about.

    Returns
    -------
    Report

    Raises
    ------
    InputError
        For what is none of these, or cannot be recovered, with what to pass.

    Examples
    --------
    >>> import pp_compare
    >>> import statsmodels.formula.api as smf
    >>> sleep = pp_compare.case("sleepstudy").dataset.frame
    >>> result = smf.mixedlm("Reaction ~ Days", sleep, groups="Subject").fit()
    >>> report = pp_compare.check(result)
    >>> report.judgements[0].standing
    'right'
    >>> report.raise_for_status()
    """
    started = time.perf_counter()
    if isinstance(fitted, str) and "\n" in fitted.strip():
        fitted = from_printout(fitted)
    if isinstance(fitted, Printout):
        return judged_printout(fitted, data, formula, method, fail_on)
    if method is not None:
        raise InputError("method= is of a printout; every other fit says its criterion itself")
    if (data is None) != (formula is None):
        raise InputError("data= and formula= belong together: pass both, or neither")
    found = recover(fitted, data, formula)
    selection = _selection(found)
    beside, cast = _beside(found, engines, limit)
    fits = {found.fit.engine: found.fit, **beside}
    registry = load_deviations()
    held = judged(selection, found.design, fits, registry)
    case = held.report
    if any(judgement.bad for judgement in case.judgements):
        with Workers(limit, 1) as workers:
            (case,) = mended([held], [found.design], workers, limit, lambda _: None)
    # Nothing is pinned to a user's own model, so nothing can be stale.
    case = replace(case, stale=())
    sources = {found.fit.engine: found.fit.engine, **cast.sources}
    provenance = collect_provenance(
        fits.values(), sources, "pp_compare.check", roads=cast.roads, missing=cast.missing
    )
    seconds = time.perf_counter() - started
    return Report(provenance, (case,), seconds, fail_on, (found.design,))


def _selection(found: FittedModel) -> Selection:
    design = found.design
    why = " ".join([f"{found.source}, as it was handed over.", *found.notes])
    return Selection("fitted", design.dataset, design.spec.formula, design.spec.method, why)


def _beside(
    found: FittedModel, engines: Sequence[str], limit: float
) -> tuple[dict[str, Fit], Cast]:
    """The fits of other engines, none in the place of the one in hand."""
    asked = tuple(dict.fromkeys(engines))
    if found.fit.engine in asked:
        raise InputError(
            f"'{found.fit.engine}' is the fit in hand; to fit it again beside, "
            f"ask pp_compare.audit, or for another setting, as '{found.fit.engine}:tight'"
        )
    if set(asked) <= {"certified"}:  # exact arithmetic of ours: it needs no process of its own
        return {e: make_engine(e).fit(found.design) for e in asked}, Cast({e: e for e in asked})
    with Workers(limit, 1) as workers:
        cast = available_engines(asked, workers)
        waiting = {e: workers.start_fit(s, found.design) for e, s in cast.sources.items()}
        return {e: replace(fit(), engine=e) for e, fit in waiting.items()}, cast
