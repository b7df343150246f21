"""The process that started this one as a `ChildProcess`, seen from within."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

_PARENT_DIED = 1  # PR_SET_PDEATHSIG, <linux/prctl.h>


class Parent:
    """Its questions, in turn, and the way back; this process ends with it.

    Answers leave on the standard output that there was; what is printed from here on, by whatever
    library, goes to standard error.
    """

    def __init__(self) -> None:
        self._answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends this one
        if sys.platform == "linux":
            # Even in the middle of a fit.
            ctypes.CDLL(None).prctl(_PARENT_DIED, signal.SIGKILL)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (json.loads(line) for line in sys.stdin)

    def send(self, answer: dict[str, Any]) -> None:
        """Answer a question."""
        self._answers.write(json.dumps(answer) + "\n")
        self._answers.flush()
