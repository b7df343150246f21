"""The level ``search``: generated data, judged like the named cases, and shrunk where they fail."""

from __future__ import annotations

import random

from hypothesis import HealthCheck, find, settings
from hypothesis.errors import NoSuchExample

from pp_compare.conformance.checks import Check, checks_of
from pp_compare.conformance.models import Model
from pp_compare.conformance.trial import Trial
from pp_compare.data import strategies
from pp_compare.data.corpus import Case
from pp_compare.data.strategies import Example
from pp_compare.errors import DataError

KINDS = {
    "random-intercept": strategies.random_intercept,
    "cluster-level": strategies.random_intercept_cluster_level,
    "random-slopes": strategies.random_slopes,
    "nested": strategies.nested,
    "crossed": strategies.crossed,
    "one-cluster-and-singletons": strategies.one_cluster_and_singletons,
}
"""What is generated, by name."""


def smallest_failure(trial: Trial, kind: str, tries: int = 200, seed: int = 1) -> Check | None:
    """A check that fails on the smallest data set found; None where all of them pass.

    Parameters
    ----------
    trial : Trial
        Its known deviations are known here, too.
    kind : str
        One of `KINDS`.
    tries : int
        Data sets to look at, those of the shrinking not counted.
    seed : int
        Of the generated data.
    """
    quiet = settings(
        max_examples=tries, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    rng = random.Random(f"{seed} {kind}")  # noqa: S311  # data, not secrets
    try:
        example = find(
            KINDS[kind](),
            lambda example: _failing(trial.again(), kind, example) is not None,
            settings=quiet,
            random=rng,
        )
    except NoSuchExample:
        return None
    return _failing(trial, kind, example)


def _failing(trial: Trial, kind: str, example: Example) -> Check | None:
    """The first check that fails; a model without an optimum has none."""
    dataset, spec = example
    model = Model(Case(f"generated-{kind}", lambda: dataset, spec.formula), spec.method)
    try:
        checks = checks_of(trial, [model], ("answer", "identity", "truth"))
        return next((check for check in checks if check.run().verdict == "fail"), None)
    except DataError:
        return None
