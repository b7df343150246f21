"""Processes on this machine: a thread waits for each, and takes the next range when it is done."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing
from itertools import islice
from queue import SimpleQueue

from pp_compare.campaign import store
from pp_compare.campaign.plan import Plan
from pp_compare.campaign.run import Range
from pp_compare.campaign.sandbox import DEFAULT_LIMITS, Limits, Sandbox


class LocalFleet:
    """So many processes here.

    Parameters
    ----------
    plan : Plan
    processes : int
    limits : Limits
    """

    def __init__(self, plan: Plan, processes: int = 1, limits: Limits = DEFAULT_LIMITS) -> None:
        self.plan, self.processes, self.limits = plan, processes, limits

    def results(self, ranges: Iterator[Range]) -> Iterator[tuple[Range, bytes]]:
        """Rows of every range, as they come; no more ranges are begun than there are processes."""
        with ExitStack() as stack:
            pool = stack.enter_context(ThreadPoolExecutor(self.processes))
            idle: SimpleQueue[Sandbox] = SimpleQueue()

            def fit(of: Range) -> tuple[Range, bytes]:
                sandbox = idle.get()
                try:
                    return of, store.to_bytes(sandbox.rows(*of))
                finally:
                    idle.put(sandbox)

            running: set[Future[tuple[Range, bytes]]] = set()
            for of in islice(ranges, self.processes):
                # Leaving in a hurry kills the processes, which ends the waiting threads.
                idle.put(stack.enter_context(closing(Sandbox(self.plan, self.limits))))
                running.add(pool.submit(fit, of))
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                running |= {pool.submit(fit, of) for of in islice(ranges, len(done))}
                for future in done:
                    yield future.result()
