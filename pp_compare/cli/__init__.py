"""The command line: ``pp-compare`` and ``python -m pp_compare``.

Exit status: 0 nothing to answer for; 1 what ``--fail-on`` asks about; 2 bad usage or bad input; 3
something asked for is not available here; 4 a fault of pp-compare itself. Results go to stdout,
progress and messages to stderr.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point."""
    try:
        # Takes a moment, in which somebody may think better of it.
        from pp_compare.cli.entry import run  # noqa: PLC0415
    except KeyboardInterrupt:
        sys.exit(130)
    run()
