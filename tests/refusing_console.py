"""A console that no text of the data may reach as a string: rich would look for markup in it."""

from __future__ import annotations

import io
from collections.abc import Callable

from rich.console import Console
from rich.text import Text

MARKUP = "[]:\x1b"


class RefusingConsole(Console):
    """Reads markup as rich does by default, and fails where a string has any."""

    def render_str(self, text: str, **options: object) -> Text:
        assert not set(MARKUP) & set(text), f"a string, not a Text: {text!r}"
        return super().render_str(text, **options)


def printed(show: Callable[[Console], None], width: int = 200) -> str:
    """What is shown on such a console, without colours."""
    out = io.StringIO()
    show(RefusingConsole(file=out, width=width))
    return out.getvalue()
