"""What is asked from Python: a DataFrame and a formula, or the name of a case.

The command line asks the same of the same functions.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import pandas as pd

from pp_compare.audits import audit as audits
from pp_compare.audits.glmm import audit_glmm
from pp_compare.audits.selection import GlmmSelection, Selection
from pp_compare.data.corpus import case
from pp_compare.data.glmm_corpus import glmm_cases
from pp_compare.errors import InputError
from pp_compare.inferences.explain import Explanation, ModelExplanation
from pp_compare.inferences.explain import explain as explained
from pp_compare.inferences.explain_glmm import GlmmExplanation, explain_glmm
from pp_compare.inferences.r_inference import all_inference, first_factor
from pp_compare.inferences.table import table_frame
from pp_compare.model import Dataset, Method
from pp_compare.model.design import Design
from pp_compare.model.glmm import parse_family
from pp_compare.model.variables import NaPolicy
from pp_compare.report.record import FailOn, Report

Data = pd.DataFrame | Dataset | str
"""A table, a Dataset, or the name of a case (`pp_compare.all_cases`)."""


def audit(
    data: Data,
    formula: str | None = None,
    engines: Sequence[str] | None = None,
    method: Method | Sequence[Method] | None = None,
    *,
    family: str | None = None,
    weights: str | None = None,
    na: NaPolicy = "raise",
    limit: float = 60.0,
    processes: int | None = None,
    fail_on: FailOn = "wrong",
    remedies: bool = True,
) -> Report:
    """Fit a model with every engine, in worker processes, and say who is right and why.

    Parameters
    ----------
    data : DataFrame, Dataset or str
        One row an observation; or the name of a case, which has its own formula.
    formula : str, optional
        In lme4's grammar: ``"y ~ x + (1|g)"``.
    engines : sequence of str, optional
        Engine ids; ``"certified"`` is the optimum itself beside them.
    method : {"REML", "ML"} or a sequence of them, optional
        REML by default; of a case the methods that it has.
    family : str, optional
        ``"binomial"`` (logit) or ``"poisson"`` (log) for a generalised model, which is held against
        the maxima of its exact likelihood and of the criterion that each engine names.
    weights : str, optional
        Of a binomial response that is a proportion, the column of its trials.
    na : {"raise", "drop"}
        What to do with rows that have a missing value in a column of the model.
    limit : float
        Seconds that one fit may take.
    processes : int, optional
        Fits that run at once; as many as there are processors by default.
    fail_on : {"wrong", "news", "any", "none"}
        What `Report.raise_for_status` asks about.
    remedies : bool
        Whether to look for what mends each engine whose numbers cannot be used.

    Returns
    -------
    Report

    Raises
    ------
    InputError
        For data without a formula, a formula that does not parse, data that no mixed model can be
        fitted to, an engine that there is not.
    UnavailableError
        For an engine that this machine cannot run.

    Examples
    --------
    >>> import pp_compare
    >>> batches = pp_compare.case("Dyestuff").dataset.frame
    >>> report = pp_compare.audit(batches, "Yield ~ 1 + (1|Batch)", ["statsmodels", "certified"])
    >>> [judgement.standing for judgement in report.judgements]
    ['right']
    """
    generalised = _generalised(data, formula, family, weights, na)
    if generalised is not None:
        return audit_glmm(
            [generalised],
            engines,
            limit=limit,
            processes=processes or os.cpu_count() or 1,
            fail_on=fail_on,
            remedies=remedies,
            command="pp_compare.audit",
        )
    return audits.audit(
        _selections(data, formula, method),
        tuple(engines or audits.DEFAULT_ENGINES),
        na=na,
        limit=limit,
        processes=processes or os.cpu_count() or 1,
        fail_on=fail_on,
        remedies=remedies,
        command="pp_compare.audit",
    )


def explain(
    data: Data,
    formula: str | None = None,
    engine: str = "certified",
    method: Method = "REML",
    *,
    family: str | None = None,
    weights: str | None = None,
    na: NaPolicy = "raise",
) -> Explanation | ModelExplanation | GlmmExplanation:
    """Show why a mixed model's line lies where it lies, with the numbers of these data.

    Parameters
    ----------
    data, formula, family, weights, na
        As for `audit`; any linear mixed model of the grammar, without weights and offset, and any
        generalised one.
    engine : str
        Whose estimates are explained.
    method : {"REML", "ML"}
        Of a linear model.

    Returns
    -------
    Explanation, ModelExplanation or GlmmExplanation
        The first of one random intercept, the last of a generalised model.

    Raises
    ------
    InputError
        As `audit`, and for a model with weights or an offset.

    Examples
    --------
    >>> import pp_compare
    >>> told = pp_compare.explain("seed_case1")
    >>> round(float(told.lines["partial pooling"][1]), 6)
    2.347169
    """
    generalised = _generalised(data, formula, family, weights, na)
    if generalised is not None:
        return explain_glmm(generalised.design(), engine, generalised.case)
    design, title = _design(data, formula, method, na)
    return explained(design, engine, title)


def inference(
    data: Data, formula: str | None = None, method: Method = "REML", *, na: NaPolicy = "raise"
) -> pd.DataFrame:
    """Give tests and intervals of the fixed effects, each by its definition and from its source.

    Of any linear mixed model of the grammar: Kenward-Roger, Satterthwaite, containment, Wald,
    profile and likelihood ratio, F tests of whole terms, marginal means of the first factor and
    their differences, R2. Our own stand at the certified optimum; R's and statsmodels' beside them.

    Parameters
    ----------
    data, formula, method, na
        As for `audit`.

    Returns
    -------
    DataFrame
        One row a definition, source and term: ``estimate``, ``se``, ``df`` (infinite for a normal),
        ``statistic``, ``p``, ``lower``, ``upper``, and ``df_above`` of an F test.
        ``attrs["remarks"]`` says what is on the boundary, what is not defined and why, and where
        R's values come from.

    Raises
    ------
    InputError
        As `audit`.
    DegenerateModelError
        Where the criterion has no optimum, or does not identify the variances.
    UnavailableError
        Where the model has more parameters than can be handled.

    Examples
    --------
    >>> import pp_compare
    >>> table = pp_compare.inference("seed_case1")
    >>> wald = table[(table.definition == "wald") & (table.source == "certified")]
    >>> wald.se.round(3).tolist()
    [1.55, 2.192]
    """
    design, title = _design(data, formula, method, na)
    tables, remarks = all_inference(design, title, first_factor(design))
    found = table_frame(tables)
    found.attrs["remarks"] = remarks
    return found


def _generalised(
    data: Data, formula: str | None, family: str | None, weights: str | None, na: NaPolicy
) -> GlmmSelection | None:
    """The generalised model that is asked for; None for a linear one."""
    if isinstance(data, str) and formula is None:
        known = {case.name: case for case in glmm_cases()}.get(data)
        if known is not None:
            return GlmmSelection(data, known.dataset, known.formula, known.family, why=known.why)
    if family is None:
        if weights is not None:
            raise InputError("weights are the trials of a binomial response: family is needed")
        return None
    if isinstance(data, str):
        data = case(data).dataset
    if formula is None:
        raise InputError("data need a formula in lme4's grammar, as in 'y ~ x + (1|g)'")
    dataset = _dataset(data)
    return GlmmSelection(dataset.name, dataset, formula, parse_family(family), weights, na=na)


def _selections(
    data: Data, formula: str | None, method: Method | Sequence[Method] | None
) -> list[Selection]:
    asked = (method,) if isinstance(method, str) else tuple(method or ())
    for each in asked:
        if each not in ("REML", "ML"):
            raise InputError(f"method is 'REML' or 'ML', not {each!r}")
    if isinstance(data, str):
        known = case(data)
        if formula is None:
            methods = asked or known.methods
            return [Selection(data, known.dataset, known.formula, m, known.why) for m in methods]
        data = known.dataset
    if formula is None:
        raise InputError("data need a formula in lme4's grammar, as in 'y ~ x + (1|g)'")
    dataset = _dataset(data)
    return [Selection(dataset.name, dataset, formula, m) for m in asked or ("REML",)]


def _dataset(data: pd.DataFrame | Dataset) -> Dataset:
    if isinstance(data, Dataset):
        return data
    if not isinstance(data, pd.DataFrame):
        raise InputError(f"data is a DataFrame, a Dataset or the name of a case, not {type(data)}")
    return Dataset("data", data, "a DataFrame")


def _design(data: Data, formula: str | None, method: Method, na: NaPolicy) -> tuple[Design, str]:
    selection = _selections(data, formula, method)[0]
    return selection.design(na), selection.case
