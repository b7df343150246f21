"""Generated data, with ``--pp-level search``: the smallest data set on which the engine fails."""

from __future__ import annotations

import pytest

from pp_compare.conformance.trial import Trial

KINDS = (
    "random-intercept",
    "cluster-level",
    "random-slopes",
    "nested",
    "crossed",
    "one-cluster-and-singletons",
)


@pytest.mark.pp_checks("search")
@pytest.mark.parametrize("kind", KINDS)
def test_search(kind: str, pp_trial: Trial, pytestconfig: pytest.Config) -> None:
    """One kind of data."""
    if pytestconfig.option.pp_level != "search":
        pytest.skip("generated data come with --pp-level search")
    if not pp_trial.generates:
        pytest.skip("generated data are of linear models")
    try:
        from pp_compare.conformance.search import smallest_failure  # noqa: PLC0415  # optional
    except ImportError as error:
        pytest.fail(f"{error}; 'pip install hypothesis' brings it", pytrace=False)
    found = smallest_failure(pp_trial, kind)
    if found is not None:
        pytest.fail(found.run().text, pytrace=False)
