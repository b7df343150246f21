"""The contract of the Engine protocol: what an adapter owes, whatever it estimates."""

from __future__ import annotations

import pytest

from pp_compare.conformance.checks import ConformanceError
from pp_compare.conformance.contract import CONTRACT, Adapter, Clause
from pp_compare.engines import Engine


@pytest.fixture(scope="module")
def adapter(pp_engine: Engine) -> Adapter:
    """The engine, with its answers."""
    return Adapter(pp_engine)


@pytest.mark.pp_checks("contract")
@pytest.mark.parametrize("clause", CONTRACT, ids=lambda clause: clause.id)
def test_contract(clause: Clause, adapter: Adapter) -> None:
    """One clause."""
    try:
        clause(adapter)
    except ConformanceError as broken:
        pytest.fail(str(broken), pytrace=False)
