"""What a log gets of a command that takes long."""

from __future__ import annotations

import pytest

from pp_compare.cli import console
from pp_compare.cli.console import LOG_SECONDS, follow


def test_a_log_gets_a_line_now_and_then_and_the_last_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr(console.time, "monotonic", lambda: now)
    with follow("first") as show:
        for done in range(4):
            show(f"{done} of 3", done, 3)
            now += 0.4 * LOG_SECONDS
        show("an installation", 0, None)
    shown = capsys.readouterr()
    # The first; the last; and what may take any time. 0.4 and 0.8 of the time are too early.
    assert shown.err.splitlines() == ["0 of 3", "3 of 3", "an installation"]
    assert shown.out == ""
