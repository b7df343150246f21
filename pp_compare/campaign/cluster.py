"""Processes on other machines, through dask.distributed: the only importer of it.

Each dask worker, a process with one thread under a Nanny, drives one process that fits, whose main
thread has R. A crash, a hang or a lack of memory ends that process and not the worker, so dask sees
sound tasks only; what dask retries are tasks of machines that went away.
"""

from __future__ import annotations

import atexit
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from pp_compare.campaign import store
from pp_compare.campaign.plan import Plan, from_document, to_document
from pp_compare.campaign.run import Range
from pp_compare.campaign.sandbox import DEFAULT_LIMITS, Limits, Sandbox
from pp_compare.errors import InputError, UnavailableError
from pp_compare.resources import pip_install

try:
    from distributed import Client, as_completed, get_worker
except ImportError as error:
    raise UnavailableError(f"{error}; this brings it: {pip_install('campaign')}") from error

PATIENCE = 60
"""Seconds to wait for a scheduler, and for its first worker."""

Asked = tuple[Mapping[str, Any], tuple[float, float | None]]
"""A plan and its limits, as they travel."""

_sandboxes: dict[str, Sandbox] = {}


class DaskFleet:
    """The workers of a dask scheduler.

    Parameters
    ----------
    plan : Plan
    address : str
        Of the scheduler, ``tcp://host:8786``.
    limits : Limits

    Raises
    ------
    UnavailableError
        Where there is no scheduler at the address, or it has no worker.
    """

    def __init__(self, plan: Plan, address: str, limits: Limits = DEFAULT_LIMITS) -> None:
        self.plan, self.limits = plan, limits
        try:
            self._client: Any = Client(address, timeout=PATIENCE)  # type: ignore[no-untyped-call]  # dask has half its types
            self._client.wait_for_workers(1, timeout=PATIENCE)
        except (OSError, ValueError) as why:
            raise UnavailableError(f"no dask scheduler with workers at '{address}': {why}") from why
        self._require_single_threads()

    def _require_single_threads(self) -> None:
        for address, threads in self._client.nthreads().items():
            _require_one_thread(address, threads)

    def results(self, ranges: Iterator[Range]) -> Iterator[tuple[Range, bytes]]:
        """Rows of every range, as they come; two ranges a worker are on their way."""
        with self._client as client:
            asked = (to_document(self.plan), (self.limits.seconds, self.limits.megabytes))
            waiting = 2 * len(client.nthreads())
            running: Any = as_completed(  # type: ignore[no-untyped-call]  # as above
                [self._submit(asked, of) for of in islice(ranges, waiting)]
            )
            for future in running:
                yield future.result()
                for of in islice(ranges, 1):
                    running.add(self._submit(asked, of))

    def _submit(self, asked: Asked, of: Range) -> Any:
        return self._client.submit(fit_range, *asked, of, pure=False)


def fit_range(
    document: Mapping[str, Any], limits: tuple[float, float | None], of: Range
) -> tuple[Range, bytes]:
    """Fit a range, in a worker.

    Raises
    ------
    InputError
        In a worker with more than one thread.
    """
    worker = get_worker()
    _require_one_thread(worker.address, worker.state.nthreads)
    plan = from_document(document)
    key = f"{plan.digest} {plan.engines} {limits}"
    if key not in _sandboxes:
        while _sandboxes:
            _sandboxes.popitem()[1].close()
        _sandboxes[key] = Sandbox(plan, Limits(*limits))
        atexit.register(_sandboxes[key].close)
    return of, store.to_bytes(_sandboxes[key].rows(*of))


def _require_one_thread(address: str, threads: int) -> None:
    """One fit keeps one core busy, and R has one thread: a second one would break it."""
    if threads != 1:
        raise InputError(
            f"the dask worker {address} has {threads} threads; R allows one: start workers with "
            "'dask worker --nthreads 1 --nworkers CORES ...'"
        )
