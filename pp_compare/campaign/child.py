"""The process that fits: ``python -m pp_compare.campaign.child``, started by `Sandbox`.

Requests come as lines of JSON on stdin, answers leave as lines of JSON on the stdout it was started
with; whatever engines print goes to stderr. R lives in its main thread, which is its only one.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

from pp_compare.campaign.plan import from_document
from pp_compare.campaign.rows import Fitter
from pp_compare.engines import make_engine
from pp_compare.engines.parent import Parent
from pp_compare.errors import InputError, UnavailableError

try:
    import resource
except ImportError:  # Windows has none; there the memory has no limit
    resource = None  # type: ignore[assignment]


def main() -> None:
    """Serve until stdin ends."""
    parent = Parent()
    asked = next(iter(parent))
    try:
        fitter = Fitter(from_document(asked["plan"]), make_engine)
    except (InputError, UnavailableError) as error:
        parent.send({"error": type(error).__name__, "reason": str(error)})
        return
    gc.freeze()  # what is loaded stays: no later collection needs to go through it
    _limit_memory(asked["memory"])
    parent.send({"ready": True})
    for task in parent:
        lost = {int(index): reason for index, reason in task["lost"].items()}
        parent.send({"rows": fitter.rows(task["engine"], task["indices"], lost)})


def _limit_memory(megabytes: float | None) -> None:
    """Let allocations fail beyond what is in use now and `megabytes`.

    The limit is on private writable memory (RLIMIT_DATA, Linux 4.7 and later). One on the address
    space would count what BLAS only reserves, and be met by sound fits.
    """
    if megabytes is None or resource is None or sys.platform != "linux":
        return
    status = Path("/proc/self/status").read_text(encoding="ascii")
    used = next(int(x.split()[1]) for x in status.splitlines() if x.startswith("VmData:"))
    bytes_allowed = int(used * 1024 + megabytes * 1e6)
    resource.setrlimit(resource.RLIMIT_DATA, (bytes_allowed, bytes_allowed))


if __name__ == "__main__":
    main()
