from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import LocalCluster

from pp_compare.campaign.cluster import DaskFleet
from pp_compare.campaign.local import LocalFleet
from pp_compare.campaign.plan import from_document
from pp_compare.campaign.run import run_campaign
from pp_compare.campaign.sandbox import Limits
from pp_compare.errors import InputError, UnavailableError
from tests.campaign.test_run import rows

pytestmark = [
    pytest.mark.slow,
    # dask leaves sockets and loops to the end of the interpreter.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning"),
]

TRAPS = [f"tests.campaign.engines:{name}" for name in ("crashes", "hangs", "eats")]
GRID = {"clusters": [5, 8], "rows": 5, "imbalance": 0.5, "icc": 0.3, "predictors": "both"}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
    ) as cluster:
        yield cluster.scheduler_address


@pytest.mark.needs_r
def test_two_workers_give_the_rows_of_a_serial_run(address: str, tmp_path: Path) -> None:
    plan = from_document(
        {"engines": ["lme4", "nlme", "statsmodels"], "replications": 6, "grid": GRID}
    )
    run_campaign(plan, tmp_path / "dask", DaskFleet(plan, address), part=5)
    run_campaign(plan, tmp_path / "serial", LocalFleet(plan), part=40)
    assert len(rows(tmp_path / "dask")) == 4 * plan.size
    assert rows(tmp_path / "dask") == rows(tmp_path / "serial")


def test_what_ends_a_process_costs_one_row_each(address: str, tmp_path: Path) -> None:
    plan = from_document({"engines": TRAPS, "replications": 5, "grid": {"clusters": 4, "rows": 3}})
    done = run_campaign(plan, tmp_path, DaskFleet(plan, address, Limits(5, 300)), part=3)
    assert (done.done, done.failed, done.lost) == (5, 3, 3)
    lost = [row for row in rows(tmp_path) if "'status': 'lost'" in row]
    assert len(lost) == 3
    assert all("'index': 3," in row for row in lost)
    for reason in ("SIGSEGV", "stopped after 5 s", "MemoryError"):
        assert sum(reason in row for row in lost) == 1


def test_a_worker_with_two_threads_is_refused() -> None:
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0"
        ) as cluster,
        pytest.raises(InputError, match="has 2 threads; R allows one"),
    ):
        DaskFleet(from_document({"grid": {}}), cluster.scheduler_address)


def test_no_scheduler_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pp_compare.campaign.cluster.PATIENCE", 2)
    with pytest.raises(UnavailableError, match="no dask scheduler"):
        DaskFleet(from_document({"grid": {}}), "tcp://127.0.0.1:1")
