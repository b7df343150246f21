"""The search at length: everything that is known of statsmodels' MixedLM, in ten minutes."""

from __future__ import annotations

import pytest

from pp_compare.search.run import search

KNOWN = {
    "two-optima",
    "score-sign",
    "variance-se-scale",
    "other-definition",
    "broken-identity-lbfgs",
    "grows-with-rows",
}


@pytest.mark.slow
def test_a_fresh_search_finds_what_is_known() -> None:
    findings = {finding.hunt.id: finding for finding in search("statsmodels", 600.0, seed=2026)}
    assert set(findings) >= KNOWN
    assert len(findings["two-optima"].example[0].frame) <= 12
