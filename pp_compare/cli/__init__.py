"""The command line: ``pp-compare`` and ``python -m pp_compare``.

Exit status: 0 all pass or known; 1 something unexpected; 2 bad usage or bad input; 3 something
asked for is not available here. Results go to stdout, progress and messages to stderr.
"""

from __future__ import annotations

import os
import sys

from pp_compare.cli.app import BAD_INPUT, UNAVAILABLE, app
from pp_compare.errors import InputError, PPCompareError, UnavailableError
from pp_compare.report.verbatim import visible


def main() -> None:
    """Entry point: every error of ours becomes one line on stderr and an exit status."""
    try:
        app()
    except InputError as error:
        _die(error, BAD_INPUT)
    except UnavailableError as error:
        _die(error, UNAVAILABLE)
    except PPCompareError as error:
        _die(error, 1)
    except BrokenPipeError:
        # The reader of our output went away; Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _die(error: PPCompareError, status: int) -> None:
    # A message quotes what it found in the data: no terminal obeys it.
    lines = "\n".join(map(visible, str(error).splitlines()))
    sys.stderr.write(f"pp-compare: {lines}\n")
    sys.exit(status)
