"""A hook of mkdocs: formulas between dollars become MathML, which browsers set by themselves."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

_MADE = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def on_page_content(content: str, **_: Any) -> str:
    """Set what arithmatex has marked; nothing is loaded from elsewhere for it."""
    return _MADE.sub(_set, content)


def _set(found: re.Match[str]) -> str:
    tag, bracket, text = found.groups()
    display = "block" if bracket == "[" else "inline"
    return f'<{tag} class="formula">{convert(html.unescape(text), display=display)}</{tag}>'
