"""The suite on anybody's engine: ``pytest --pyargs pp_compare.conformance --pp-engine ID``.

Without pytest: `audit` gives the Report of an engine, `parametrize_with_cases` the checks one by
one, each a callable with a readable id. `assert_parity` holds one's own numbers against a
reference.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

import pandas as pd

from pp_compare.audits.provenance import collect_provenance
from pp_compare.conformance.checks import Check, ConformanceError, Outcome, checks_of
from pp_compare.conformance.models import Level, Model, model_of_data, models_of
from pp_compare.conformance.parity import assert_parity
from pp_compare.conformance.references import DEFAULT
from pp_compare.conformance.trial import Trial
from pp_compare.data.corpus import METHODS
from pp_compare.engines import Engine
from pp_compare.errors import InputError
from pp_compare.model import Method
from pp_compare.report.record import FailOn, Report
from pp_compare.verdict.deviations import Deviation


def parametrize_with_cases(
    engine: Engine | str,
    cases: Sequence[str] = (),
    *,
    level: Level = "quick",
    methods: Collection[Method] = METHODS,
    references: Sequence[str] = DEFAULT,
    registry: Sequence[Deviation] | None = None,
) -> list[Check]:
    """Every check of an engine, to be called one by one by any test runner or none.

    Parameters
    ----------
    engine : Engine or str
        An engine, or its id.
    cases : sequence of str
        Named cases; those of the level where none is named.
    level : {"quick", "full", "search"}
    methods : collection of {"REML", "ML"}
    references : sequence of str
        ``certified``, and ``recorded:STACK`` or ``live``.
    registry : sequence of Deviation, optional
        Known deviations; those of the project by default.

    Returns
    -------
    list of Check
        ``check.id`` names one, ``check()`` raises ConformanceError where it fails, ``check.run()``
        gives the Outcome. All share one fit a model.

    Raises
    ------
    InputError, UnavailableError
        As `Trial` and `models_of` raise them.
    """
    trial = Trial(engine, references, registry)
    return list(checks_of(trial, models_of(level, cases, methods)))


def audit(
    engine: Engine | str,
    data: pd.DataFrame | None = None,
    formula: str | None = None,
    *,
    cases: Sequence[str] = (),
    level: Level = "quick",
    methods: Collection[Method] = METHODS,
    references: Sequence[str] = DEFAULT,
    registry: Sequence[Deviation] | None = None,
) -> Report:
    """Audit one engine, in this process, on data of one's own or on named cases.

    Parameters
    ----------
    engine : Engine or str
        An engine, or its id.
    data : DataFrame, optional
        One row an observation; with `formula`, in the place of named cases.
    formula : str, optional
        In lme4's grammar.
    cases, level, methods, references, registry
        As for `parametrize_with_cases`.

    Returns
    -------
    Report
        ``report.exit_status`` is 0 where all pass or are known, on data of one's own where the
        engine is right; the functions of `pp_compare.report` show it.

    Raises
    ------
    InputError, UnavailableError
        As `Trial` and `models_of` raise them, and for data without a formula.
    """
    if (data is None) != (formula is None):
        raise InputError("data and formula belong together")
    started = time.perf_counter()
    trial = Trial(engine, references, registry)
    if data is None or formula is None:
        models: Sequence[Model] = models_of(level, cases, methods)
    else:
        models = [model_of_data(data, formula, method) for method in METHODS if method in methods]
    reports = tuple(trial.judged(model) for model in models)
    fits = [fit for report in reports for fit in report.fits.values()]
    sources = {trial.name: trial.name, **{n: e.name for n, e in trial.references.engines.items()}}
    provenance = collect_provenance(fits, sources, "pp_compare.conformance.audit")
    fail_on: FailOn = "news" if data is None else "wrong"
    return Report(provenance, reports, time.perf_counter() - started, fail_on)


__all__ = [
    "Check",
    "ConformanceError",
    "Model",
    "Outcome",
    "Trial",
    "assert_parity",
    "audit",
    "checks_of",
    "models_of",
    "parametrize_with_cases",
]
