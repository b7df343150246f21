"""The level search: a fault that needs the right data to show is found, and made small."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from pp_compare.conformance.search import KINDS, smallest_failure
from pp_compare.conformance.test_search import KINDS as LISTED
from pp_compare.conformance.trial import Trial
from pp_compare.conformance.wording import SHOWN_ROWS


@pytest.fixture
def henderson(example: Callable[..., None], monkeypatch: pytest.MonkeyPatch):
    """The example's engine, with or without a fault, on trial against the certified optimum."""

    def trial(*fault: str) -> Trial:
        example(*fault)
        for name in ("henderson", "henderson.fit", "henderson.adapter"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        return Trial("henderson.adapter:Engine", ["certified"])

    return trial


def test_the_test_lists_every_kind() -> None:
    assert tuple(KINDS) == LISTED


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_engine_survives(kind: str, henderson: Callable[..., Trial]) -> None:
    assert smallest_failure(henderson(), kind, tries=30) is None


@pytest.mark.slow
def test_weights_for_equal_sizes_are_found_out_by_a_small_unbalanced_data_set(
    henderson: Callable[..., Trial],
) -> None:
    trial = henderson("fit.py", "n / (1 + n rho) for", "for")
    assert smallest_failure(trial, "cluster-level", tries=30) is None  # a comment is no fault
    trial = henderson("fit.py", "(sizes / (1 + sizes * rho))", "(sizes / (1 + sizes.mean() * rho))")
    found = smallest_failure(trial, "cluster-level", tries=50)
    assert found is not None
    frame = found.model.frame
    assert len(frame) <= SHOWN_ROWS  # so that a failure shows them all
    assert frame[found.model.design.spec.groups[0]].value_counts().nunique() > 1
    text = found.run().text
    assert "henderson: " in text
    assert all(line in text for line in found.model.case.dataset.exact_csv().splitlines())
    assert "--pp-case" not in text
