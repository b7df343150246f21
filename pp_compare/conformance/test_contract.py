"""The contract of the Engine protocol: what an adapter owes, whatever it estimates."""

from __future__ import annotations

import pytest

from pp_compare.conformance.checks import ConformanceError
from pp_compare.conformance.contract import CONTRACT, Adapter, Clause


@pytest.mark.pp_checks("contract")
@pytest.mark.parametrize("clause", CONTRACT, ids=lambda clause: clause.id)
def test_contract(clause: Clause, pp_adapter: Adapter) -> None:
    """One clause."""
    try:
        clause(pp_adapter)
    except ConformanceError as broken:
        pytest.fail(str(broken), pytrace=False)
