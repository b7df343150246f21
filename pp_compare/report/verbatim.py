"""Text from data, in a terminal and in figures: shown as it is, never markup, never obeyed."""

from __future__ import annotations

from rich.text import Text

VISIBLE = {code: repr(chr(code))[1:-1] for code in (*range(32), *range(127, 160))}
r"""Control characters and what stands for each: a line break is ``\n``, an escape ``\x1b``."""


def verbatim(text: str, style: str = "") -> Text:
    """One line of text in which nothing means anything to rich or to a terminal.

    rich reads a string ``[plate]`` as a style and drops it, and ``:heart:`` as a picture.
    """
    return Text(visible(text), style=style)


def visible(text: str) -> str:
    """The text with its control characters spelt out."""
    return text.translate(VISIBLE)
