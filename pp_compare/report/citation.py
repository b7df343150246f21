"""How to cite this package, from its ``CITATION.cff``."""

from __future__ import annotations

import re

from pp_compare.resources import resource


def citation() -> str:
    """A reference in words, and the same as BibTeX."""
    text = resource("CITATION.cff").read_text(encoding="utf-8")
    author = re.search(r"- name: (.+)", text)
    title, version, date = (_field(text, name) for name in ("title", "version", "date-released"))
    who = author.group(1).strip() if author else ""
    year = date[:4]
    return (
        f"{who} ({year}). {title}. Version {version}.\n\n"
        f"@software{{pp_compare,\n  author = {{{{{who}}}}},\n  title = {{{title}}},\n"
        f"  version = {{{version}}},\n  year = {{{year}}},\n}}\n"
    )


def _field(text: str, name: str) -> str:
    match = re.search(rf'^{name}: "?([^"\n]+?)"?$', text, re.MULTILINE)
    return match.group(1) if match else ""
