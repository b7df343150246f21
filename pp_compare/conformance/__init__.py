"""The suite on anybody's engine: ``pytest --pyargs pp_compare.conformance --pp-engine ID``.

Without pytest: `parametrize_with_cases` gives the checks one by one, each a callable with a
readable id. `assert_parity` holds one's own numbers against a reference.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pp_compare.conformance.checks import Check, ConformanceError, Outcome, checks_of
from pp_compare.conformance.models import Level, Model, model_of_data, models_of
from pp_compare.conformance.parity import assert_parity
from pp_compare.conformance.references import DEFAULT
from pp_compare.conformance.trial import Trial
from pp_compare.data.corpus import METHODS
from pp_compare.engines import Engine
from pp_compare.model import Method
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


__all__ = [
    "Check",
    "ConformanceError",
    "Model",
    "Outcome",
    "Trial",
    "assert_parity",
    "checks_of",
    "model_of_data",
    "models_of",
    "parametrize_with_cases",
]
